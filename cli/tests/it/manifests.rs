//! What the manifests and the lockfile must keep: one arrow, one registry, and one place for versions and lints.

use std::collections::BTreeMap;

use crate::repository::{File, files};
use toml::{Table, Value};

/// How cargo writes crates.io in a lockfile.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates of which a second major version would bring types that look the same and do not fit.
const ONE_MAJOR: &[&str] = &["arrow", "arrow-array", "arrow-schema", "datafusion", "parquet"];

fn parse(file: &File) -> Table {
    file.text().parse().unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

fn field<'a>(package: &'a Value, name: &str) -> Option<&'a str> {
    package.get(name).and_then(Value::as_str)
}

fn packages(lockfile: &Table) -> &[Value] {
    lockfile.get("package").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn crates_with_several_majors(lockfile: &Table) -> Vec<String> {
    let mut majors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages(lockfile) {
        let (Some(name), Some(version)) = (field(package, "name"), field(package, "version")) else { continue };
        if ONE_MAJOR.contains(&name) {
            majors.entry(name).or_default().push(version.split('.').next().unwrap_or(version));
        }
    }
    let several = majors.iter().filter(|(_, majors)| majors.iter().any(|major| *major != majors[0]));
    several.map(|(name, majors)| format!("`{name}` has majors {}", majors.join(" and "))).collect()
}

fn crates_from_elsewhere(lockfile: &Table) -> Vec<String> {
    let from_elsewhere = |package: &&Value| field(package, "source").is_some_and(|source| source != CRATES_IO);
    packages(lockfile)
        .iter()
        .filter(from_elsewhere)
        .filter_map(|package| field(package, "name"))
        .map(|name| format!("`{name}` does not come from crates.io"))
        .collect()
}

/// Whether a member takes lints and the versions of its dependencies from the workspace.
fn says_it_again(path: &str, manifest: &Table) -> Vec<String> {
    let is_inherited = |value: &Value| value.get("workspace").and_then(Value::as_bool) == Some(true);
    let mut complaints = Vec::new();
    if !manifest.get("lints").is_some_and(is_inherited) {
        complaints.push(format!("{path}: add `[lints] workspace = true`"));
    }
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let entries = manifest.get(section).and_then(Value::as_table).into_iter().flatten();
        let own = entries.filter(|(_, entry)| !is_inherited(entry));
        complaints
            .extend(own.map(|(name, _)| format!("{path}: `{name}`: move its version to the workspace's manifest")));
    }
    complaints
}

fn lockfile() -> Table {
    let files = files();
    parse(files.iter().find(|file| file.path == "Cargo.lock").expect("Cargo.lock is committed"))
}

#[test]
fn there_is_one_arrow() {
    let lockfile = lockfile();
    let has_arrow = packages(&lockfile).iter().any(|package| field(package, "name") == Some("arrow"));
    assert!(has_arrow, "Cargo.lock was read, but names no arrow");
    assert_eq!(crates_with_several_majors(&lockfile), [""; 0]);
}

#[test]
fn every_crate_comes_from_crates_io() {
    assert_eq!(crates_from_elsewhere(&lockfile()), [""; 0]);
}

#[test]
fn members_take_versions_and_lints_from_the_workspace() {
    let is_own_workspace = |file: &File| parse(file).contains_key("workspace");
    let manifests: Vec<_> =
        files().into_iter().filter(|file| is_member(&file.path) && !is_own_workspace(file)).collect();
    assert!(manifests.iter().any(|file| file.path == "engine/Cargo.toml"), "no manifest was read");
    let complaints: Vec<_> = manifests.iter().flat_map(|file| says_it_again(&file.path, &parse(file))).collect();
    assert_eq!(complaints, [""; 0]);
}

/// The plug-in is a workspace of its own, and the root has no package.
fn is_member(path: &str) -> bool {
    path.ends_with("/Cargo.toml") && !path.starts_with("udfs/plugin/")
}

#[test]
fn a_lockfile_with_two_arrows_or_a_fork_is_refused() {
    let two_arrows = r#"
        package = [
            { name = "arrow", version = "59.3.2", source = "registry+https://github.com/rust-lang/crates.io-index" },
            { name = "arrow", version = "60.0.0", source = "git+https://example.org/arrow" },
            { name = "syn", version = "1.0.0" },
            { name = "syn", version = "2.0.0" },
        ]
    "#;
    let lockfile = two_arrows.parse().expect("the case is TOML");
    assert_eq!(crates_with_several_majors(&lockfile), ["`arrow` has majors 59 and 60"]);
    assert_eq!(crates_from_elsewhere(&lockfile), ["`arrow` does not come from crates.io"]);
}

#[test]
fn a_member_with_a_version_of_its_own_is_named() {
    let manifest = "[dependencies]\ntoml = '0.9'\nclap.workspace = true\n".parse().expect("the case is TOML");
    assert_eq!(
        says_it_again("x/Cargo.toml", &manifest),
        [
            "x/Cargo.toml: add `[lints] workspace = true`",
            "x/Cargo.toml: `toml`: move its version to the workspace's manifest",
        ]
    );
}
