//! Links: each leads to a file and a heading that exist, and no page of docs/ stands alone.

use super::page::Page;
use crate::repository::File;

/// Links that leave this repository are not followed: tests need no network.
fn is_outside(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// `target` as seen from `page`, relative to the root; `None` leaves the repository.
fn resolve(page: &str, target: &str) -> Option<String> {
    let mut folders: Vec<&str> = page.split('/').collect();
    folders.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(folders.pop()?),
            part => folders.push(part),
        }
    }
    Some(folders.join("/"))
}

pub(super) fn broken(pages: &[Page], files: &[File]) -> Vec<String> {
    let mut complaints = Vec::new();
    for page in pages {
        for (line, link) in page.links().into_iter().filter(|(_, link)| !is_outside(link)) {
            let (target, anchor) =
                link.split_once('#').map_or((&*link, None), |(target, anchor)| (target, Some(anchor)));
            let path = if target.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, target) };
            let exists = path.as_ref().is_some_and(|path| {
                let folder = format!("{path}/");
                files.iter().any(|file| file.path == *path || file.path.starts_with(&folder))
            });
            if !exists {
                complaints.push(format!("{}:{line}: `{link}` leads to no file; correct the path", page.path));
                continue;
            }
            let known = pages.iter().find(|page| Some(&page.path) == path.as_ref()).map(Page::anchors);
            if let (Some(anchor), Some(known)) = (anchor, known)
                && !known.iter().any(|name| name == anchor)
            {
                complaints.push(format!(
                    "{}:{line}: `{link}` leads to no heading; there are {}",
                    page.path,
                    known.join(", ")
                ));
            }
        }
    }
    complaints
}

/// Pages of docs/ that no index names, or that lead back to none.
pub(super) fn lonely(pages: &[Page]) -> Vec<String> {
    const INDEXES: [&str; 2] = ["README.md", "docs/README.md"];
    let targets = |page: &Page| -> Vec<String> {
        let without_anchor = |link: &str| link.split('#').next().unwrap_or_default().to_owned();
        page.links().iter().filter_map(|(_, link)| resolve(&page.path, &without_anchor(link))).collect()
    };
    let is_index = |page: &&Page| INDEXES.contains(&&*page.path);
    let indexed: Vec<String> = pages.iter().filter(is_index).flat_map(targets).collect();
    let mut complaints = Vec::new();
    for page in pages.iter().filter(|page| page.path.starts_with("docs/")) {
        if page.path != "docs/README.md" && !indexed.contains(&page.path) {
            complaints.push(format!("{}: is not linked; add it to docs/README.md", page.path));
        }
        if !targets(page).iter().any(|target| INDEXES.contains(&&**target)) {
            complaints
                .push(format!("{}: leads back to no index; add `[Documentation](README.md)` at its top", page.path));
        }
    }
    complaints
}

#[test]
fn a_link_to_nowhere_is_shown_with_file_and_line() {
    let pages = [
        Page::new(
            "README.md",
            "[a](docs/a.md#two) [b](docs/b.md)\n[out](https://example.org/x) [up](../x) [f](docs)\n",
        ),
        Page::new("docs/a.md", "# One\n[home](../README.md) [here](#one) [no](#two)\n"),
    ];
    let files = [File::new("README.md", ""), File::new("docs/a.md", "")];
    assert_eq!(
        broken(&pages, &files),
        [
            "README.md:1: `docs/a.md#two` leads to no heading; there are one",
            "README.md:1: `docs/b.md` leads to no file; correct the path",
            "README.md:2: `../x` leads to no file; correct the path",
            "docs/a.md:2: `#two` leads to no heading; there are one",
        ]
    );
}

#[test]
fn a_page_that_is_not_linked_both_ways_is_named() {
    let pages = [
        Page::new("README.md", "[docs](docs/README.md)"),
        Page::new("docs/README.md", "[a](a.md) [up](../README.md)"),
        Page::new("docs/a.md", "no way back"),
        Page::new("docs/b.md", "[Documentation](README.md)"),
    ];
    assert_eq!(
        lonely(&pages),
        [
            "docs/a.md: leads back to no index; add `[Documentation](README.md)` at its top",
            "docs/b.md: is not linked; add it to docs/README.md",
        ]
    );
}
