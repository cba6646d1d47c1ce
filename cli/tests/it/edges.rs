//! Which crate may depend on which, as drawn in ARCHITECTURE.md: nothing points up, nothing sideways.
//!
//! Crates are known by their folder. Tests may depend on any crate, and only they on `testkit`; benches may use every other crate.

use cargo_metadata::DependencyKind;

use crate::repository::{root, workspace};

/// What tests share; no product may be built with it.
const TESTKIT: &str = "testkit";

/// Every crate of the workspace, and the crates it may use.
const DRAWN: &[(&str, &[&str])] = &[
    ("cli", &["coordinator", "worker", "engine", "udfs/forest", "proto"]),
    ("coordinator", &["kafka", "proto"]),
    ("worker", &["engine", "kafka", "udfs/forest", "proto"]),
    ("engine", &["udfs/forest"]),
    ("udfs/forest", &[]),
    ("kafka", &[]),
    ("proto", &[]),
    (TESTKIT, &[]),
    ("benches", &["cli", "coordinator", "worker", "engine", "kafka", "udfs/forest", "proto"]),
];

/// A crate's folder and the folders of the workspace's crates that its product is built with.
struct Crate {
    folder: String,
    uses: Vec<String>,
}

fn crates() -> Vec<Crate> {
    let metadata = workspace();
    let folder_in_root = |path: &cargo_metadata::camino::Utf8Path| {
        path.as_std_path().strip_prefix(root()).ok().and_then(|inside| inside.to_str()).map(str::to_owned)
    };
    let describe = |package: &&cargo_metadata::Package| Crate {
        folder: package.manifest_path.parent().and_then(folder_in_root).expect("members are inside the workspace"),
        uses: package
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind != DependencyKind::Development)
            .filter_map(|dependency| dependency.path.as_deref().and_then(folder_in_root))
            .collect(),
    };
    metadata.workspace_packages().iter().map(describe).collect()
}

fn undrawn_edges(crates: &[Crate]) -> Vec<String> {
    let mut complaints = Vec::new();
    for Crate { folder, uses } in crates {
        let Some((_, may_use)) = DRAWN.iter().find(|(name, _)| name == folder) else {
            complaints.push(format!(
                "crate `{folder}` is not drawn; draw it in the code map of ARCHITECTURE.md and add it here"
            ));
            continue;
        };
        if uses.iter().any(|used| used == TESTKIT) {
            complaints.push(format!("`{folder}` is built with `{TESTKIT}`; make it a dev-dependency"));
        }
        let uses = uses.iter().filter(|used| *used != TESTKIT);
        let undrawn = uses.filter(|used| !may_use.contains(&used.as_str()));
        complaints.extend(undrawn.map(|used| format!("`{folder}` depends on `{used}`; it may use {may_use:?}")));
    }
    complaints
}

#[test]
fn crates_depend_only_on_what_is_drawn() {
    let crates = crates();
    assert!(crates.iter().any(|c| c.folder == "cli" && c.uses.contains(&"engine".to_owned())), "no edge was read");
    assert_eq!(undrawn_edges(&crates), [""; 0]);
}

#[test]
fn the_testkit_is_only_a_dev_dependency() {
    let packages = workspace().packages;
    let is_testkit = |dependency: &&cargo_metadata::Dependency| dependency.name == "davy-testkit";
    let kinds: Vec<_> = packages.iter().flat_map(|package| &package.dependencies).filter(is_testkit).collect();
    assert!(!kinds.is_empty(), "no test uses it");
    assert!(kinds.iter().all(|dependency| dependency.kind == DependencyKind::Development), "{kinds:?}");
}

#[test]
fn a_product_that_is_built_with_the_testkit_is_named() {
    let made_up = Crate { folder: "worker".to_owned(), uses: vec![TESTKIT.to_owned()] };
    assert_eq!(undrawn_edges(&[made_up]), ["`worker` is built with `testkit`; make it a dev-dependency"]);
}

#[test]
fn an_edge_that_points_up_or_sideways_is_named() {
    let made_up = |folder: &str, uses: &str| Crate { folder: folder.to_owned(), uses: vec![uses.to_owned()] };
    assert_eq!(
        undrawn_edges(&[made_up("engine", "worker"), made_up("worker", "engine"), made_up("peers", "engine")]),
        [
            r#"`engine` depends on `worker`; it may use ["udfs/forest"]"#,
            "crate `peers` is not drawn; draw it in the code map of ARCHITECTURE.md and add it here",
        ]
    );
}
