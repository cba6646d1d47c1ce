//! `pipelines/option_c.sql` over files: a filter of unusual flows in front of `pipelines/cds.sql` changes no verdict, and leaves some out.

use std::collections::BTreeSet;
use std::path::Path;

use crate::run::{davy, folder, repository, text};

/// The text with what stands from `begin` to before `end` replaced.
fn replaced(text: &str, begin: &str, end: &str, by: &str) -> String {
    let at = text.find(begin).unwrap_or_else(|| panic!("no `{begin}` in {text}"));
    let to = at + text[at..].find(end).expect("its end");
    text[..at].to_owned() + by + &text[to..]
}

/// The verdicts of a pipeline over the recorded session, which is read and written in place of the topics.
fn verdicts(pipeline: &str, folder: &Path) -> Vec<String> {
    let script = std::fs::read_to_string(repository().join("pipelines").join(pipeline)).expect("a pipeline");
    let sink = folder.join("verdicts");
    let source = "connector = 'single_file', type = 'source', path = 'models/capture/lab.csv.gz', ";
    let script = replaced(&script, "connector = 'kafka', type = 'source'", "format =", source);
    let writes = format!("connector = 'single_file', type = 'sink', path = '{}', ", sink.display());
    let script = replaced(&script, "connector = 'kafka', type = 'sink'", "format =", &writes);
    let script = replaced(&script, ",\n    key = 'flow'", "\n);", "");
    let path = folder.join(pipeline);
    std::fs::write(&path, script).expect("written");
    let output = davy(&repository(), &["run", &path.to_string_lossy(), "--tasks", "1"]);
    assert!(output.status.success(), "{pipeline}: {}", text(&output.stderr));
    std::fs::read_to_string(sink).expect("verdicts").lines().map(str::to_owned).collect()
}

#[test]
fn the_filter_in_front_leaves_verdicts_out_and_changes_none() {
    let folder = folder(&[]);
    let all = verdicts("cds.sql", folder.path());
    let unusual = verdicts("option_c.sql", folder.path());
    let known: BTreeSet<&String> = all.iter().collect();
    assert!(
        unusual.iter().all(|verdict| known.contains(verdict)),
        "a verdict that the pipeline without a filter does not give"
    );
    let share = unusual.len() as f64 / all.len() as f64;
    assert!((0.05..0.6).contains(&share), "{} of {} records are unusual", unusual.len(), all.len());
}
