//! Which files a folder or a glob means.

use std::path::{Path, PathBuf};

use davy_engine::log::SplitId;
use davy_engine::{Error, Result};

/// Whether the pattern has a wildcard. A folder that exists is never one, whatever its name.
pub(in crate::connector) fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[']) && !Path::new(pattern).exists()
}

/// The files as splits, sorted; an error when there is none. Hidden files are still being written and are left out.
pub(in crate::connector) fn list(table: &str, pattern: &str) -> Result<Vec<SplitId>> {
    let mut paths = if is_glob(pattern) { matches(table, pattern)? } else { folder_or_file(table, pattern)? };
    paths.retain(|path| path.is_file());
    paths.sort();
    if paths.is_empty() {
        return Err(Error::invalid(format!("table `{table}`: no file matches `{pattern}`"))
            .hint("let `path` name a file, a folder with files, or a pattern such as 'flows/**/*.csv'"));
    }
    paths.iter().map(|path| split(table, path)).collect()
}

/// Splits are named in text, so that they can be committed and shown.
fn split(table: &str, path: &Path) -> Result<SplitId> {
    match path.to_str() {
        Some(name) => Ok(SplitId::from(name)),
        None => Err(Error::invalid(format!("table `{table}`: the name of file `{}` is not UTF-8", path.display()))
            .hint("rename the file")),
    }
}

fn matches(table: &str, pattern: &str) -> Result<Vec<PathBuf>> {
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::new() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| Error::invalid(format!("table `{table}`: `{pattern}` is not a pattern: {error}")))?;
    let unreadable =
        |error: glob::GlobError| Error::Unavailable(format!("table `{table}`: cannot list files: {error}"));
    found.map(|path| path.map_err(unreadable)).collect()
}

fn folder_or_file(table: &str, pattern: &str) -> Result<Vec<PathBuf>> {
    let path = PathBuf::from(pattern);
    if !path.is_dir() {
        return Ok(vec![path]);
    }
    let unreadable = |error| Error::Unavailable(format!("table `{table}`: cannot list folder `{pattern}`: {error}"));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: &str) {
        let folder = tempfile::tempdir().expect("temp dir");
        for name in ["b.csv", "a.csv", ".part.csv", "sub/c.csv", "sub/.hidden/d.csv", "e.json"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("in a folder")).expect("folder");
            std::fs::write(path, "").expect("file");
        }
        let root = folder.path().to_str().expect("UTF-8");
        let shown = match list("t", &format!("{root}{pattern}")) {
            Ok(splits) => splits.iter().map(|split| split.0[root.len()..].to_owned()).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string().replace(root, ""),
        };
        assert!(shown.contains(expected), "{pattern}: {shown}");
        assert!(shown.len() == expected.len() || shown.contains("table `t`"), "{pattern}: {shown}");
    }

    #[test]
    fn a_pattern_that_matches_nothing_is_an_error() {
        check("/*.parquet", "no file matches `/*.parquet`");
        check("/absent", "no file matches `/absent`");
        check("/a**b", "is not a pattern");
    }

    #[test]
    fn files_come_sorted_and_hidden_ones_not_at_all() {
        check("", "/a.csv /b.csv /e.json");
        check("/a.csv", "/a.csv");
        check("/*.csv", "/a.csv /b.csv");
        check("/**/*.csv", "/a.csv /b.csv /sub/c.csv");
    }
}
