//! The facts that the rules judge: the workspace as cargo sees it, and the files that git keeps or is about to.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{Metadata, MetadataCommand};

/// A file of the repository; `path` is relative to its root, with `/` between the parts.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) content: Vec<u8>,
}

impl File {
    /// A made-up file, for the cases that break a rule.
    pub(crate) fn new(path: &str, content: &str) -> Self {
        Self { path: path.to_owned(), content: content.as_bytes().to_vec() }
    }

    /// The content as text; bytes that are not UTF-8 are replaced, which hides nothing that a rule looks for.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("`cli/` is a folder of the root").to_path_buf()
}

/// The workspace's own crates. Without their dependencies' crates: that would need the network for other systems' crates.
pub(crate) fn workspace() -> Metadata {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("`cargo metadata` reads this workspace")
}

/// Every file that is committed or would be by `git add .`, so that a new file is judged before its first commit.
pub(crate) fn files() -> Vec<File> {
    // A clone that another user owns is common in containers, and listing names is safe there.
    let listing = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git is installed");
    assert!(listing.status.success(), "not a git clone? {}", String::from_utf8_lossy(&listing.stderr));
    let names = String::from_utf8(listing.stdout).expect("our file names are UTF-8");
    // A name that cannot be read is a file deleted but not yet committed, or a link to a folder.
    names
        .split_terminator('\0')
        .filter_map(|name| Some(File { path: name.to_owned(), content: std::fs::read(root().join(name)).ok()? }))
        .collect()
}
