//! Files of tasks over Kafka: whatever dies, and wherever, each row is in one visible file, once.

mod rig;

use std::fs;
use std::path::Path;

use davy_engine::Error;
use davy_engine::log::sink_state::CommittedFile;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::harness::names_in;
use rig::{Broker, FAULTS, Fault, KINDS, Kind, Owner, SharedBroker, locked};

/// The hidden files.
fn hidden(folder: &Path) -> Vec<String> {
    names_in(folder).into_iter().filter(|name| name.starts_with('.')).collect()
}

fn numbers(end: u64) -> Vec<u64> {
    (0..end).collect()
}

/// Cuts what a crash of the machine may have left of an unfinished write: anything between what is committed and what was written.
fn tear(broker: &SharedBroker, folder: &Path, random: &mut ChaCha8Rng) {
    let committed = locked(broker).sink_state().and_then(|state| Some((state.sequence, state.file?)));
    for name in hidden(folder) {
        let is_committed = |(sequence, file): &(u64, CommittedFile)| {
            name.contains(&format!("-{sequence:06}."))
                && name.contains(&format!(".{}-{:016x}.", file.generation, file.owner))
        };
        let keep = committed.filter(is_committed).map_or(0, |(_, file)| file.length);
        let path = folder.join(&name);
        let length = fs::metadata(&path).expect("a file").len();
        if keep < length {
            let file = fs::File::options().write(true).open(&path).expect("a file");
            file.set_len(keep + u64::from(random.next_u32()) % (length - keep + 1)).expect("cut");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Death {
    At(Fault),
    /// In the middle of a write: the machine has kept some of it.
    Torn,
    /// While the next owner takes over, too.
    Twice(Fault),
}

#[test]
fn a_commit_is_whole_or_absent_wherever_its_owner_dies() {
    let cases = [
        (Death::At(Fault::Begin), 2),
        (Death::At(Fault::Write), 2),
        (Death::Torn, 2),
        (Death::At(Fault::Commit), 2),
        (Death::At(Fault::Answer), 5),
        (Death::At(Fault::Publish), 5),
        (Death::At(Fault::Published), 5),
        (Death::Twice(Fault::Begin), 2),
        (Death::Twice(Fault::Commit), 2),
        (Death::Twice(Fault::Answer), 2),
        (Death::Twice(Fault::Write), 2),
        (Death::Twice(Fault::Publish), 2),
        (Death::Twice(Fault::Published), 2),
    ];
    for kind in KINDS {
        for (death, n_committed) in cases {
            for rollover in ["1", "100"] {
                for next_owner in [7, 8] {
                    check_death(kind, rollover, death, next_owner, n_committed);
                }
            }
        }
    }
}

/// Two rows are committed, then three that meet `death`; the next owner, which may be the same process, continues.
fn check_death(kind: Kind, rollover: &str, death: Death, next_owner: u64, n_committed: u64) {
    let case = format!("{kind:?}, {rollover} rows per file, {death:?}, owner {next_owner}");
    let folder = tempfile::tempdir().expect("a folder");
    let table = kind.table(folder.path(), rollover);
    let broker = SharedBroker::default();
    let mut owner = Owner::take_over(&broker, kind, 7, table.as_ref()).expect("taken over");
    owner.write(2).expect("committed");
    locked(&broker).fault = Some(match death {
        Death::At(fault) => fault,
        Death::Torn | Death::Twice(_) => Fault::Begin,
    });
    owner.write(3).expect_err(&case);
    drop(owner);
    match death {
        Death::At(_) => {}
        Death::Torn => tear(&broker, folder.path(), &mut ChaCha8Rng::seed_from_u64(7)),
        Death::Twice(fault) => {
            locked(&broker).fault = Some(fault);
            assert!(Owner::take_over(&broker, kind, 9, table.as_ref()).is_err(), "{case}");
        }
    }
    let mut owner = Owner::take_over(&broker, kind, next_owner, table.as_ref()).expect(&case);
    assert_eq!(owner.position, n_committed, "{case}");
    assert_eq!(kind.visible(folder.path()), numbers(n_committed), "{case}: what is committed is published");
    owner.finish(2).expect(&case);
    assert_eq!(kind.visible(folder.path()), numbers(n_committed + 2), "{case}");
    drop(owner);
    Owner::take_over(&broker, kind, 10, table.as_ref()).expect(&case);
    assert_eq!(hidden(folder.path()), [""; 0], "{case}: nothing is left behind");
}

/// What happens next to the task.
fn play(seed: u64, kind: Kind) {
    let random = &mut ChaCha8Rng::seed_from_u64(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let table = kind.table(folder.path(), "9");
    let broker: SharedBroker = SharedBroker::default();
    let mut n_owners = 0;
    let mut current: Option<Owner> = None;
    let mut former: Vec<Owner> = Vec::new();
    for step in 0..30 {
        let case = format!("SEED={seed}, {kind:?}, step {step}");
        let fault = FAULTS.get(random.next_u32() as usize % (3 * FAULTS.len())).copied();
        let n_rows = u64::from(random.next_u32() % 5);
        match (random.next_u32() % 20, &mut current) {
            // A paused owner continues: it must not commit, nor change what others have written.
            (0..4, Some(_)) if !former.is_empty() => {
                let mut zombie = former.swap_remove(random.next_u32() as usize % former.len());
                assert!(matches!(zombie.write(n_rows), Err(Error::Fenced(_))), "{case}");
            }
            (4..6, current) => former.extend(current.take()),
            (6..8, current) => {
                *current = None;
                tear(&broker, folder.path(), random);
            }
            (_, Some(owner)) => {
                locked(&broker).fault = fault;
                let written = if random.next_u32() % 8 == 0 { owner.finish(n_rows) } else { owner.write(n_rows) };
                assert_eq!(written.is_err(), fault.is_some() && locked(&broker).fault.is_none(), "{case}: {written:?}");
                if written.is_err() {
                    current = None;
                }
            }
            (_, current @ None) => {
                locked(&broker).fault = fault;
                // The same process again, or another one; a process that starts later may have a lesser number.
                if random.next_u32() % 2 == 0 || n_owners == 0 {
                    n_owners += 1;
                }
                let number = (n_owners * 7919) % 101;
                *current = Owner::take_over(&broker, kind, number, table.as_ref()).ok();
            }
        }
        locked(&broker).fault = None;
        let visible = kind.visible(folder.path());
        assert_eq!(visible, numbers(visible.len() as u64), "{case}: a row twice, or out of order");
        assert!(visible.len() as u64 <= locked(&broker).position(), "{case}: a row that is not committed");
    }
    drop(current);
    for number in [1_000, 1_001] {
        let mut last = Owner::take_over(&broker, kind, number, table.as_ref()).expect("taken over");
        last.finish(1).expect("committed");
    }
    let n = locked(&broker).position();
    assert_eq!(kind.visible(folder.path()), numbers(n), "SEED={seed}, {kind:?}");
    assert_eq!(hidden(folder.path()), [""; 0], "SEED={seed}, {kind:?}");
    assert_eq!(locked(&broker).sink_state().and_then(|state| state.file), None, "a last commit leaves nothing open");
}

#[test]
fn random_crashes_lose_and_double_no_row() {
    #[expect(clippy::disallowed_methods, reason = "a seed to play again")]
    let seeds = match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..10,
    };
    for seed in seeds {
        KINDS.iter().for_each(|kind| play(seed, *kind));
    }
}

/// A file that another program has touched is a refusal that names it.
#[test]
fn a_committed_file_that_was_deleted_or_shortened_is_refused() {
    type Touch = fn(&Path);
    let cases: [(&str, Touch, &str); 3] = [
        ("deleted", |path| fs::remove_file(path).expect("removed"), "was deleted, but 4 bytes of it are committed"),
        (
            "shortened",
            |path| fs::File::options().write(true).open(path).and_then(|file| file.set_len(1)).expect("shortened"),
            "was shortened to 1 bytes, but 4 bytes of it are committed",
        ),
        (
            "replaced",
            |path| {
                fs::remove_file(path).expect("removed");
                fs::write(path, "x").expect("written");
            },
            "are committed",
        ),
    ];
    let kind = Kind("csv", "none");
    for (what, touch, expected) in cases {
        for is_running in [true, false] {
            let folder = tempfile::tempdir().expect("a folder");
            let table = kind.table(folder.path(), "100");
            let broker = SharedBroker::default();
            let mut owner = Owner::take_over(&broker, kind, 1, table.as_ref()).expect("taken over");
            owner.write(2).expect("committed");
            let path = folder.path().join(&hidden(folder.path())[0]);
            touch(&path);
            let refused = if is_running {
                owner.write(1).map(|()| String::new())
            } else {
                Owner::take_over(&broker, kind, 2, table.as_ref()).map(|_| String::new())
            };
            let error = refused.expect_err(what);
            assert!(matches!(error, Error::Invalid(_)), "{what}: {error:?}");
            let message = error.to_string();
            assert!(message.contains(expected) && message.contains(&*path.to_string_lossy()), "{what}: {message}");
        }
    }
}

#[test]
fn published_files_may_be_moved_away_at_any_time() {
    let kind = Kind("csv", "none");
    let folder = tempfile::tempdir().expect("a folder");
    let table = kind.table(folder.path(), "1");
    let broker = SharedBroker::default();
    let mut owner = Owner::take_over(&broker, kind, 1, table.as_ref()).expect("taken over");
    owner.write(2).expect("committed");
    let names = names_in(folder.path());
    fs::remove_file(folder.path().join(&names[0])).expect("moved away");
    drop(owner);
    let mut owner = Owner::take_over(&broker, kind, 2, table.as_ref()).expect("taken over");
    owner.write(1).expect("committed");
    assert_eq!(kind.visible(folder.path()), [2]);
}

#[test]
fn another_folder_waits_until_the_files_in_the_old_one_are_finished() {
    let kind = Kind("csv", "none");
    let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (table, moved) = (kind.table(one.path(), "100"), kind.table(other.path(), "100"));
    let broker: std::sync::Arc<std::sync::Mutex<Broker>> = SharedBroker::default();
    let mut owner = Owner::take_over(&broker, kind, 1, table.as_ref()).expect("taken over");
    owner.write(2).expect("committed");
    let error = Owner::take_over(&broker, kind, 2, moved.as_ref()).err().expect("refused").to_string();
    assert!(error.contains("unfinished file") && error.contains("stop it"), "{error}");
    let mut owner = Owner::take_over(&broker, kind, 3, table.as_ref()).expect("as it was");
    owner.finish(1).expect("stopped");
    let mut owner = Owner::take_over(&broker, kind, 4, moved.as_ref()).expect("now it may change");
    owner.finish(1).expect("committed");
    assert_eq!((kind.visible(one.path()), kind.visible(other.path())), (vec![0, 1, 2], vec![3]));
}

/// `davy offsets` takes tasks over on any machine: the files are not its own.
#[test]
fn an_owner_that_only_changes_positions_leaves_files_as_they_are() {
    let kind = Kind("csv", "none");
    let folder = tempfile::tempdir().expect("a folder");
    let table = kind.table(folder.path(), "100");
    let broker = SharedBroker::default();
    let mut owner = Owner::take_over(&broker, kind, 1, table.as_ref()).expect("taken over");
    owner.write(2).expect("committed");
    let before = (names_in(folder.path()), locked(&broker).sink_state());
    let mut tool = Owner::unclaimed(&broker, kind, 2, table.as_ref()).expect("taken over");
    tool.write(0).expect("committed");
    assert_eq!((names_in(folder.path()), locked(&broker).sink_state()), before);
    assert!(matches!(owner.write(1), Err(Error::Fenced(_))));
    let mut owner = Owner::take_over(&broker, kind, 3, table.as_ref()).expect("taken over");
    owner.finish(1).expect("committed");
    assert_eq!(kind.visible(folder.path()), numbers(3));
}
