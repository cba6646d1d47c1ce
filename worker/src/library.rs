//! Which plug-ins may be loaded: those that lie in a folder the operator has named, and are the very file the script has named.
//!
//! What is loaded is a private copy of the bytes that were hashed, so that the file cannot change in between.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use davy_engine::connector::VettedLibrary;
use davy_engine::{Error, Result};
use davy_forest::package::sha256 as hash;

/// A larger library is refused as a mistake.
const MAX_BYTES: u64 = 512 << 20;

/// Finds `path` in the allowed folders, compares its SHA-256, and copies it.
pub(crate) fn vet(folders: &[PathBuf], path: &str, sha256: Option<&str>) -> Result<VettedLibrary> {
    let file = find(folders, Path::new(path))?;
    let shown = file.display();
    let unreadable = |error: &std::io::Error| Error::Unavailable(format!("library `{shown}` cannot be read: {error}"));
    let mut bytes = Vec::new();
    let opened = File::open(&file).map_err(|error| unreadable(&error))?;
    opened.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if MAX_BYTES < bytes.len() as u64 {
        return Err(Error::invalid(format!("library `{shown}` is larger than {MAX_BYTES} bytes"))
            .hint("check that it is a plug-in, and strip it"));
    }
    let found = hash(&bytes);
    match sha256 {
        None => Err(Error::invalid(format!("library `{shown}` has to be named by its SHA-256"))
            .hint(format!("if it is the one you mean, add WITH (sha256 = '{found}')"))),
        Some(wanted) if !wanted.trim().eq_ignore_ascii_case(&found) => {
            Err(Error::invalid(format!("library `{shown}` has the SHA-256 {found}, not `{}`", wanted.trim()))
                .hint("it is another build or was tampered with; put the right file there, or change `sha256`"))
        }
        Some(_) => copy(&bytes),
    }
}

/// The file, in one of the folders. Links are followed first, so that none leads out of them.
fn find(folders: &[PathBuf], path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    if folders.is_empty() {
        return Err(Error::invalid(format!("library `{shown}` may not be loaded: no folder for plug-ins is allowed"))
            .hint("allow its folder with --plugin-dir, or with `plugin_dirs` in davy.toml"));
    }
    let real = folders.iter().filter_map(|folder| std::fs::canonicalize(folder).ok());
    let real: Vec<PathBuf> = real.collect();
    // An absolute path replaces the folder that it is joined to.
    let candidates = real.iter().map(|folder| folder.join(path));
    let files: Vec<PathBuf> = candidates.filter_map(|file| std::fs::canonicalize(file).ok()).collect();
    let Some(file) = files.iter().find(|file| is_within(&real, file)) else {
        let listed: Vec<String> = folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let what = if files.is_empty() { "does not exist in" } else { "lies outside" };
        return Err(Error::invalid(format!(
            "library `{shown}` {what} the folders for plug-ins: {}",
            listed.join(", ")
        ))
        .hint("put it there, or allow its folder with --plugin-dir"));
    };
    if !file.is_file() {
        return Err(Error::invalid(format!("library `{shown}` is no file")).hint("name the `.so` itself"));
    }
    Ok(file.clone())
}

fn is_within(folders: &[PathBuf], file: &Path) -> bool {
    folders.iter().any(|folder| file.starts_with(folder))
}

fn copy(bytes: &[u8]) -> Result<VettedLibrary> {
    let away = |error: std::io::Error| {
        Error::Unavailable(format!("a plug-in cannot be copied to `{}`: {error}", std::env::temp_dir().display()))
    };
    let folder = tempfile::Builder::new().prefix("davy-plugin-").tempdir().map_err(away)?;
    let path = folder.path().join("plugin.so");
    let mut file = File::create_new(&path).map_err(away)?;
    file.write_all(bytes).map_err(away)?;
    Ok(VettedLibrary { path, keep: Box::new(folder) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_file_in_an_allowed_folder_is_let_through() {
        let allowed = tempfile::tempdir().expect("a folder");
        let other = tempfile::tempdir().expect("a folder");
        let write = |folder: &Path, name: &str| {
            std::fs::write(folder.join(name), "library").expect("written");
            folder.join(name)
        };
        let inside = write(allowed.path(), "in.so");
        let outside = write(other.path(), "out.so");
        std::os::unix::fs::symlink(&outside, allowed.path().join("link.so")).expect("linked");
        std::fs::create_dir(allowed.path().join("folder.so")).expect("made");
        let sum = hash(b"library");
        let (inside, outside) = (inside.display().to_string(), outside.display().to_string());
        let up = format!("../{}/out.so", other.path().file_name().and_then(|name| name.to_str()).expect("a name"));
        let cases: [(&str, Option<&str>, &str); 9] = [
            ("in.so", Some(&sum), "ok"),
            (&inside, Some(&sum.to_uppercase()), "ok"),
            ("in.so", None, "has to be named by its SHA-256"),
            ("in.so", Some("abc"), "not `abc`"),
            ("none.so", Some(&sum), "does not exist in the folders for plug-ins"),
            (&outside, Some(&sum), "lies outside the folders for plug-ins"),
            (&up, Some(&sum), "lies outside the folders for plug-ins"),
            ("link.so", Some(&sum), "lies outside the folders for plug-ins"),
            ("folder.so", Some(&sum), "is no file"),
        ];
        for (path, sum, expected) in cases {
            let message = match vet(&[allowed.path().to_owned()], path, sum) {
                Ok(vetted) => {
                    assert_eq!(std::fs::read(&vetted.path).expect("the copy"), b"library");
                    "ok".to_owned()
                }
                Err(error) => error.to_string(),
            };
            assert!(message.contains(expected), "{path}: {message}");
        }
        let message = vet(&[], "in.so", Some(&sum)).map(|_| ()).expect_err("no folder").to_string();
        assert!(message.contains("no folder for plug-ins is allowed; allow its folder with --plugin-dir"), "{message}");
    }
}
