//! Tokens, roles and tenants, and how they are distinguished.

use super::*;

/// `sha256` of `secret`.
const SECRET: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn entry(name: &str, sha256: &str, role: &str, tenant: &str) -> String {
    format!("[[token]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nrole = \"{role}\"\ntenant = \"{tenant}\"\n")
}

#[test]
fn a_file_that_is_wrong_says_what_and_where() {
    let good = entry("ann", SECRET, "viewer", "soc");
    assert!(parse(good.clone()).is_ok());
    for (text, message) in [
        (String::new(), "there is no [[token]]"),
        (entry("ann", "12", "viewer", "soc"), "token `ann`: `sha256` must be 64 hex digits"),
        (entry("ann", &"ß".repeat(32), "viewer", "soc"), "token `ann`: `sha256` must be 64 hex digits"),
        (entry("ann", SECRET, "king", "soc"), "unknown variant `king`"),
        (entry("ann", SECRET, "viewer", "a/b"), "token `ann`: `a/b` is no tenant"),
        (entry("a b", SECRET, "viewer", "soc"), "token `a b`: a name must be"),
        (format!("{good}{good}"), "token `ann`: the name is there twice"),
        (format!("{good}{}", entry("bob", SECRET, "viewer", "soc")), "token `bob`: another token has the same digest"),
        (format!("{good}password = \"hunter2\""), "unknown field `password`"),
    ] {
        let found = parse(text).map(|_| ()).expect_err(message);
        assert!(found.contains(message), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_token_is_known_by_its_digest() {
    let known = parse(entry("ann", SECRET, "viewer", "soc")).expect("good");
    let auth = Auth { file: Some("tokens.toml".into()), known: Mutex::new(Arc::new(known)) };
    let name = |header| auth.caller(header).map(|caller| caller.name.to_string()).map_err(|refused| refused.message);
    assert_eq!(name(Some("Bearer secret")).as_deref(), Ok("ann"));
    assert_eq!(name(Some("bearer secret")).as_deref(), Ok("ann"));
    for (header, message) in [
        (None, "there is no token"),
        (Some("secret"), "the header `authorization` holds no bearer token"),
        (Some("Basic secret"), "the header `authorization` holds no bearer token"),
        (Some("Bearer Secret"), "the token is not known"),
        (Some("Bearer "), "the token is not known"),
    ] {
        assert_eq!(name(header), Err(message.to_owned()));
    }
}

#[test]
fn roles_may_make_the_calls_of_the_table() {
    let may = |role, scope: &str| {
        let scope = if scope == "*" { Scope::All } else { Scope::Tenant(scope.into()) };
        let caller = Caller { name: "ann".into(), role, scope };
        [Need::Look, Need::Change, Need::WorkerSession].map(|need| caller.check(need).is_ok())
    };
    assert_eq!(may(Role::Admin, "*"), [true, true, true]);
    assert_eq!(may(Role::Admin, "soc"), [true, true, false]);
    assert_eq!(may(Role::Operator, "*"), [true, true, false]);
    assert_eq!(may(Role::Viewer, "*"), [true, false, false]);
    assert_eq!(may(Role::Worker, "*"), [false, false, true]);
    assert_eq!(may(Role::Worker, "soc"), [false, false, true]);
}

#[test]
fn another_tenant_is_not_found() {
    let caller = |scope| Caller { name: "ann".into(), role: Role::Viewer, scope };
    let tenant = |scope, named| caller(scope).tenant(named).map(|t| t.to_string()).map_err(|refused| refused.kind);
    let soc = || Scope::Tenant("soc".into());
    assert_eq!(tenant(soc(), None).as_deref(), Ok("soc"));
    assert_eq!(tenant(soc(), Some("soc")).as_deref(), Ok("soc"));
    assert_eq!(tenant(soc(), Some("noc")), Err(Kind::NotFound));
    assert_eq!(tenant(Scope::All, None).as_deref(), Ok("default"));
    assert_eq!(tenant(Scope::All, Some("noc")).as_deref(), Ok("noc"));
    assert_eq!(tenant(Scope::All, Some("n/c")), Err(Kind::NotFound));
}

#[test]
fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens.toml");
    let write = |text: &str| std::fs::write(&file, text).expect("it can be written");
    write(&entry("ann", SECRET, "viewer", "soc"));
    let auth = Auth::from_file(file.clone()).expect("good");
    let name = || auth.caller(Some("Bearer secret")).map(|caller| caller.name.to_string());
    for broken in ["[[token", "", &entry("ann", SECRET, "king", "soc")] {
        write(broken);
        auth.refresh();
        assert_eq!(name().as_deref(), Ok("ann"), "{broken}");
    }
    std::fs::remove_file(&file).expect("it is there");
    auth.refresh();
    assert_eq!(name().as_deref(), Ok("ann"));
    write(&entry("bob", SECRET, "viewer", "soc"));
    auth.refresh();
    assert_eq!(name().as_deref(), Ok("bob"));
    write(&entry("bob", &SECRET.replace('2', "3"), "viewer", "soc"));
    auth.refresh();
    assert_eq!(name().map_err(|refused| refused.kind), Err(Kind::Unauthenticated));
}
