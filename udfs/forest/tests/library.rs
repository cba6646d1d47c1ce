//! What happens where ONNX Runtime's library is missing or is none. A binary of its own: a process loads the library once, and
//! here it must not have been.

use std::path::{Path, PathBuf};

use davy_forest::Error;
use davy_forest::package::Package;
use davy_forest::scorer::{Options, Scorer};

const REMEDY: &str = "run `make setup`, or set ORT_DYLIB_PATH to libonnxruntime.so 1.30 or newer";

fn open(library: Option<PathBuf>) -> Result<Scorer, Error> {
    let card = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/packages/linear/card.toml");
    let package = Package::open(&card)?;
    Scorer::new(&package, &Options { onnxruntime: library, ..Options::default() })
}

#[expect(clippy::disallowed_methods, reason = "a test has no command line that could say it")]
fn library() -> PathBuf {
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let home = PathBuf::from(std::env::var_os("HOME").expect("HOME is set"));
    named.unwrap_or_else(|| home.join(".cache/davy/onnxruntime/1.31.1/libonnxruntime.so"))
}

#[test]
fn a_library_that_is_missing_or_none_is_an_error_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    let other = glob_libc();
    let cases = [
        (None, "the ONNX Runtime library is needed, and no path to it is given"),
        (Some(folder.path().join("none.so")), "no ONNX Runtime library at"),
        (Some(folder.path().to_owned()), "is no file, so it is not the ONNX Runtime library"),
        (Some(text), "is no ONNX Runtime library of use: failed to load from"),
        (other, "does not export `OrtGetApiBase`"),
    ];
    for (library, expected) in cases {
        let error = open(library).unwrap_err();
        assert!(
            matches!(&error, Error::Unavailable { message, hint } if message.contains(expected) && hint == REMEDY),
            "{error}"
        );
    }

    // A failure is forgotten, a success is kept.
    assert_eq!(open(Some(library())).unwrap().backend(), "onnxruntime 1.31.1");
    let copy = folder.path().join("copy.so");
    std::fs::write(&copy, "").unwrap();
    let error = open(Some(copy)).unwrap_err();
    assert!(matches!(&error, Error::Invalid { message, .. } if message.contains("is already loaded from")), "{error}");
}

/// A shared library that is there and is not ONNX Runtime.
fn glob_libc() -> Option<PathBuf> {
    let paths = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6", "/lib64/libc.so.6"];
    paths.map(PathBuf::from).into_iter().find(|path| path.is_file())
}
