//! Submissions whose coordinator dies: each is listed or not, and the same request again makes no second one.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::commands::word;
use super::node::PATIENCE;
use super::rig::Rig;
use crate::end_to_end::alone;
use crate::end_to_end::number_from_environment;
use crate::end_to_end::process::Davy;
use crate::run::text;
use davy_testkit::wait::{let_pass, until};

const ROUNDS: usize = 3;
/// Starting, planning, requests to the broker and writing to the catalog take less, also on a busy machine.
const SUBMISSION_MS: u32 = 3_000;

#[test]
fn a_submission_whose_coordinator_dies_is_made_once_or_not_at_all() {
    let _alone = alone();
    let seed = number_from_environment("SEED").unwrap_or(0);
    println!("seed {seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut rig = Rig::idle(seed, 100);
    rig.write_script();
    for round in 1..=ROUNDS {
        let (name, id) = (format!("p{round}"), format!("request-{round}"));
        let submit = ["submit", "pipeline.sql", "--name", &name, "--request-id", &id];
        let log = rig.folder().join(format!("{name}.log"));
        let mut client = Davy::start(rig.client().command(&submit), log);
        let delay = Duration::from_millis(u64::from(random.next_u32() % SUBMISSION_MS));
        let_pass(delay);
        rig.kill_coordinator(0);
        client.kill();
        rig.start_coordinator(0);
        let names = |rig: &Rig| -> Option<Vec<String>> {
            Some(rig.client().query(&["list"]).ok()?.iter().map(|row| word(row, "name")).collect())
        };
        let listed = until("a coordinator leads", PATIENCE, || names(&rig));
        let was_made = listed.contains(&name);
        let again = rig.client().run(&submit);
        assert!(again.status.success(), "killed after {delay:?}: {}", text(&again.stderr));
        let rows = rig.client().must(&["list"]);
        assert_eq!(rows.len(), round, "killed after {delay:?}: {rows:?}");
        let row = rows.iter().find(|row| row["name"] == *name).expect("it is listed");
        assert_eq!((row["version"].as_u64(), row["incarnation"].as_u64()), (Some(1), Some(1)), "{row}");
        println!("killed after {delay:?}: {}", if was_made { "made" } else { "not made" });
    }
}
