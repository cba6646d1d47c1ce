//! Damage, crashes, full disks and locks.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use davy_coordinator::catalog::file::FileCatalog;
use davy_coordinator::catalog::{Catalog, CatalogError, Snapshot};
use davy_proto::domain::Epoch;
use tempfile::TempDir;

use super::{ceiling, counted, leads, pipeline, put, write};

/// A folder with the catalog of one leader that is gone.
fn written() -> (TempDir, PathBuf, Snapshot) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("catalog");
    let mut catalog = open(&path);
    leads(&mut catalog);
    write(&mut catalog, &[put(&pipeline("a", "SELECT 1")), ceiling(7)]);
    drop(catalog);
    let found = leads(&mut open(&path));
    (folder, path, found)
}

fn open(path: &Path) -> FileCatalog {
    FileCatalog::open(path).expect("a folder that can be written to")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_extension(suffix)
}

#[test]
fn every_damage_is_found_and_nothing_is_written_over_it() {
    let (_folder, path, _) = written();
    let whole = fs::read(&path).expect("a catalog");
    let mut damaged: Vec<(String, Vec<u8>)> =
        (0..whole.len()).map(|length| (format!("cut to {length}"), whole[..length].to_vec())).collect();
    for index in 0..whole.len() {
        for change in [0x01, 0x20, 0xff] {
            let mut bytes = whole.clone();
            bytes[index] ^= change;
            damaged.push((format!("byte {index} changed by {change:#x}"), bytes));
        }
    }
    damaged.push(("a byte too many".to_owned(), [whole.as_slice(), b" "].concat()));
    for (what, bytes) in damaged {
        fs::write(&path, &bytes).expect("written");
        let error = open(&path).lead(&|| false).expect_err(&what);
        assert!(matches!(error, CatalogError::Corrupt(_)), "{what}: {error}");
        assert_eq!(fs::read(&path).expect("still there"), bytes, "{what}");
    }
}

#[test]
fn a_newer_format_is_distinguished_from_damage() {
    let (_folder, path, _) = written();
    let text = fs::read_to_string(&path).expect("a catalog");
    fs::write(&path, text.replacen("davy-catalog 1 ", "davy-catalog 2 ", 1)).expect("written");
    let error = open(&path).lead(&|| false).expect_err("a newer format").to_string();
    assert!(error.ends_with("it has format 2, and this build knows 1 only; start the build that wrote it"), "{error}");
}

#[test]
fn a_crash_in_the_middle_of_a_write_leaves_the_old_one() {
    let (_folder, path, before) = written();
    let whole = fs::read(&path).expect("a catalog");
    fs::write(beside(&path, "new"), &whole[..whole.len() / 2]).expect("half a file");
    let found = leads(&mut open(&path));
    assert_eq!((found.pipelines, found.ceiling), (before.pipelines, before.ceiling));
}

#[test]
fn a_full_disk_leaves_the_old_file_and_a_later_write_may_succeed() {
    let (_folder, path, _) = written();
    let mut catalog = open(&path);
    leads(&mut catalog);
    let whole = fs::read(&path).expect("a catalog");
    symlink("/dev/full", beside(&path, "new")).expect("a disk without space");
    let error = catalog.write(&[ceiling(8)]).expect_err("no space");
    assert!(matches!(&error, CatalogError::Unavailable(why) if why.contains("No space left")), "{error}");
    assert_eq!(fs::read(&path).expect("still there"), whole);
    assert_eq!(catalog.still_leads(), Ok(()));
    write(&mut catalog, &[ceiling(9)]);
    drop(catalog);
    assert_eq!(leads(&mut open(&path)).ceiling, Epoch(9));
}

#[test]
fn where_no_file_can_be_made_the_start_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let error =
        FileCatalog::open(folder.path().join("missing").join("catalog")).expect_err("no such folder").to_string();
    assert!(error.contains("the folder must exist and be writable"), "{error}");
}

#[test]
fn a_leader_that_loses_the_lock_is_fenced() {
    let (_folder, path, _) = written();
    let mut first = open(&path);
    let began = leads(&mut first);
    assert_eq!(open(&path).lead(&counted(3)), Ok(None), "the first has the lock");
    fs::remove_file(beside(&path, "lock")).expect("the lock file is removed");
    let mut second = open(&path);
    assert!(began.term < leads(&mut second).term);
    let whole = fs::read(&path).expect("a catalog");
    assert!(matches!(first.still_leads(), Err(CatalogError::Fenced(_))));
    assert!(matches!(first.write(&[ceiling(99)]), Err(CatalogError::Fenced(_))));
    assert_eq!(fs::read(&path).expect("still there"), whole);
    write(&mut second, &[ceiling(9)]);
}
