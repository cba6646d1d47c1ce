//! Calls that are refused: their messages, locations and hints.

use davy_proto::v1;
use tonic::{Code, Status};

use super::rig::{Headers, Pipelines, Rig, code, show, submission};

fn named<T>(name: &str, make: impl Fn(String) -> T) -> T {
    make(name.to_owned())
}

async fn get(client: &mut Pipelines, name: &str) -> Result<(), Status> {
    client.get(named(name, |name| v1::GetRequest { name })).await.map(drop)
}

#[tokio::test]
async fn a_wrong_script_is_refused_with_a_reason() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let many: String = "SELECT 1;".repeat(101);
    let long = "x".repeat(256 * 1024 + 1);
    let name = "n".repeat(101);
    for (name, sql, expected) in [
        ("p", "wrong", "InvalidArgument: there is no table `flowz` at 2:5 [did you mean `flows`?]"),
        ("p", "away", "Unavailable: the broker is away []"),
        ("p", "bug", "Internal: the planner has panicked [report this as a bug, with the script]"),
        (
            "p",
            &long,
            "ResourceExhausted: the script has 262145 bytes; 262144 are allowed [split it into several pipelines]",
        ),
        (
            "p",
            &many,
            "ResourceExhausted: the script has 101 statements; 100 are allowed [split it into several pipelines]",
        ),
        (
            "",
            "tasks 1",
            "InvalidArgument: `` is no name of a pipeline: it must be 1 to 100 ASCII alphanumerics, `_` and `-` \
             [such as `miner-windows`]",
        ),
        (
            "a/b\n",
            "tasks 1",
            "InvalidArgument: `a/b\\n` is no name of a pipeline: it must be 1 to 100 ASCII alphanumerics, `_` and `-` \
             [such as `miner-windows`]",
        ),
        (
            "a--b",
            "tasks 1",
            "InvalidArgument: `a--b` is no name of a pipeline: `-` is allowed only between two other characters \
             [such as `miner-windows`]",
        ),
    ] {
        let status = client.submit(submission(name, sql)).await.expect_err(expected);
        assert_eq!(show(&status), expected);
    }
    assert_eq!(code(client.submit(submission(&name, "tasks 1")).await), Code::InvalidArgument);
    let list = client.list(v1::ListRequest { with_stopped: true }).await.expect("a list").into_inner();
    assert_eq!(list.pipelines, []);
}

#[tokio::test]
async fn a_message_beyond_all_limits_is_refused_before_it_is_read() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let status = client.submit(submission("p", &"x".repeat(10 * 1024 * 1024))).await.expect_err("too long");
    assert_eq!(
        show(&status),
        "ResourceExhausted: the message is longer than is allowed [split the script into several pipelines]"
    );
    assert!(client.submit(submission("p", "tasks 1")).await.is_ok(), "the connection is open");
}

#[tokio::test]
async fn unknown_pipelines_are_not_found() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 1")).await.expect("accepted");
    let absent = "absent";
    let expected = "NotFound: there is no pipeline `absent` [`davy list` shows those there are]";
    let update = v1::UpdateRequest { name: absent.into(), sql: "tasks 1".into(), ..Default::default() };
    let tail = v1::TailRequest { name: absent.into(), ..Default::default() };
    let mut cluster = rig.cluster().await;
    for result in [
        get(&mut client, absent).await,
        client.pause(named(absent, |name| v1::PauseRequest { name })).await.map(drop),
        client.resume(named(absent, |name| v1::ResumeRequest { name })).await.map(drop),
        client.stop(named(absent, |name| v1::StopRequest { name, now: false })).await.map(drop),
        client.update(update).await.map(drop),
        client.watch(named(absent, |name| v1::WatchRequest { name })).await.map(drop),
        client.tail(tail).await.map(drop),
        cluster.list_tasks(named(absent, |pipeline| v1::ListTasksRequest { pipeline })).await.map(drop),
    ] {
        assert_eq!(show(&result.expect_err("it is absent")), expected);
    }
    for name in ["", "a/b", "p/../p", &"x".repeat(1_000), "p\0"] {
        assert_eq!(code(get(&mut client, name).await), Code::NotFound, "{name:?}");
    }
}

#[tokio::test]
async fn a_change_that_the_pipelines_state_forbids_is_refused() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    client.submit(submission("p", "tasks 1")).await.expect("accepted");
    let exists = client.submit(submission("p", "tasks 2")).await.expect_err("it runs");
    assert_eq!(
        show(&exists),
        "AlreadyExists: another pipeline runs under the name `p` [update or stop it, or choose another name]"
    );
    let update =
        v1::UpdateRequest { name: "p".into(), sql: "tasks 1".into(), expected_version: 7, ..Default::default() };
    assert_eq!(
        show(&client.update(update).await.expect_err("it has version 1")),
        "FailedPrecondition: pipeline `p` has version 1, not 7 \
         [it was changed meanwhile: look at it, and try again with its version]"
    );
    let tail = v1::TailRequest { name: "p".into(), table: "other".into(), ..Default::default() };
    assert_eq!(
        show(&client.tail(tail).await.expect_err("no such table")),
        "InvalidArgument: the script writes no table `other` [it writes `verdicts`]"
    );
    client.stop(v1::StopRequest { name: "p".into(), now: true }).await.expect("it runs");
    assert_eq!(
        show(&client.resume(v1::ResumeRequest { name: "p".into() }).await.expect_err("it was stopped")),
        "FailedPrecondition: pipeline `p` was stopped [submit it again]"
    );
}

#[tokio::test]
async fn scripts_are_checked_and_explained_without_being_submitted() {
    let rig = Rig::new().await;
    let mut client = rig.pipelines().await;
    let validate = |sql: &str| v1::ValidateRequest { sql: sql.to_owned(), ..Default::default() };
    let explain = |sql: &str| v1::ExplainRequest { sql: sql.to_owned(), ..Default::default() };
    let valid = client.validate(validate("tasks 3")).await.expect("it is fine").into_inner();
    assert_eq!((valid.dataflows[0].sink.as_str(), valid.dataflows[0].stages[0].n_tasks), ("verdicts", 0));
    assert!(client.explain(explain("tasks 3")).await.expect("it is fine").into_inner().text.contains("flows"));
    assert_eq!(code(client.validate(validate("wrong")).await), Code::InvalidArgument);
    assert_eq!(code(client.explain(explain("wrong")).await), Code::InvalidArgument);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let rig = Rig::new().await;
    let of = |tenant| Headers { tenant: Some(tenant), token: None };
    let mut soc = rig.pipelines_as(of("soc")).await;
    let mut noc = rig.pipelines_as(of("noc")).await;
    let submitted = soc.submit(submission("p", "tasks 1")).await.expect("accepted").into_inner();
    assert_eq!((submitted.tenant.as_str(), submitted.kafka_name.as_str()), ("soc", "soc--p"));
    assert_eq!(code(get(&mut noc, "p").await), Code::NotFound);
    noc.submit(submission("p", "tasks 1")).await.expect("the name is free for this tenant");
    let list = |client: Pipelines| async move {
        let mut client = client;
        let list = client.list(v1::ListRequest::default()).await.expect("a list").into_inner();
        list.pipelines.iter().map(|p| format!("{}/{}", p.tenant, p.name)).collect::<Vec<_>>()
    };
    assert_eq!(list(noc).await, ["noc/p"]);
    assert_eq!(list(rig.pipelines().await).await, ["noc/p", "soc/p"], "an administrator of all sees all");
    let mut wrong = rig.pipelines_as(of("a--b")).await;
    assert_eq!(code(wrong.submit(submission("p", "tasks 1")).await), Code::InvalidArgument);
    let mut wrong = rig.pipelines_as(of("a/b")).await;
    assert_eq!(code(wrong.submit(submission("p", "tasks 1")).await), Code::NotFound);
}
