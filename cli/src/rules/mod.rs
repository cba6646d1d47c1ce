//! `davy rules import`: Falco's rules about connections as a script over flows, with its lists as lookup tables.
//!
//! ```text
//! text ─file─▶ items ─definitions─▶ lists, macros, rules ─expand─▶ tests ─sql─▶ SQL ─script─▶ files
//! ```
//! A flow does not know processes, containers and files. What a rule says of those is left out only where the rule becomes wider by
//! that, never narrower, and only with `--allow-wider`; each such field is reported.

mod condition;
mod definitions;
mod expand;
mod field;
mod file;
mod output;
mod report;
mod script;
mod sql;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};
use davy_engine::{Error, Result};

use self::definitions::{Definitions, Rule};
use self::expand::{Findings, expand};
use self::report::Report;
use self::script::RuleQuery;
use self::sql::{Kind, ListTable, Tables};
use crate::output::say;

#[derive(Debug, ClapArgs)]
pub(crate) struct RulesArgs {
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Makes a script of Falco's rules about connections
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ImportArgs {
    /// A file of Falco's rules, or the values of its Helm chart with `customRules`
    pub(crate) file: PathBuf,
    /// The folder for the script and its lists; made where it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Leaves out what a flow does not know (processes, containers, files) where that makes a rule true of more flows
    #[arg(long)]
    pub(crate) allow_wider: bool,
}

const IMPORT_EXAMPLES: &str = "Example:
  davy rules import custom-rules.yaml --out my-rules --allow-wider
  davy run my-rules/rules.sql --input flows.csv.gz

What a rule has lost, and what was decided, is on standard error, by line. Exit code 2 when a rule could not be imported; the others are
written all the same.";

pub(crate) fn run(command: &RulesCommand) -> Result<ExitCode> {
    match command {
        RulesCommand::Import(args) => import(args),
    }
}

fn import(args: &ImportArgs) -> Result<ExitCode> {
    let file = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Error::invalid(format!("rules `{file}` cannot be read: {error}")).hint("check the path"))?;
    let mut report = Report::default();
    let translated = translate(&text, args, &mut report);
    report.lines(&file).iter().for_each(|line| say(line));
    let Translated { script, lists, n_rules, n_refused } = translated.map_err(|error| error.context(&file))?;
    if n_rules == 0 {
        return Err(Error::invalid(format!("{file}: none of the rules can be imported")).hint("see the lines above"));
    }
    write(&args.out, &script, &lists)?;
    let path = args.out.join(script::FILE);
    say(&format!("{n_rules} rules are in {}; {n_refused} could not be imported", path.display()));
    for list in lists.iter().filter(|list| list.kind == Kind::Names && !list.elements.is_empty()) {
        let (names, addresses) = (args.out.join(list.source_file()), args.out.join(list.file()));
        say(&format!(
            "{} has names: resolve them now and then with davy ioc resolve {} --out {}",
            list.name,
            names.display(),
            addresses.display()
        ));
    }
    Ok(if n_refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// What a file becomes.
struct Translated {
    script: String,
    lists: Vec<ListTable>,
    n_rules: usize,
    n_refused: usize,
}

fn translate(text: &str, args: &ImportArgs, report: &mut Report) -> Result<Translated> {
    let definitions = Definitions::of(file::items(text, report)?)?;
    let mut tables = Tables::new(&definitions);
    let mut queries = Vec::new();
    let mut n_refused = 0;
    for rule in &definitions.rules {
        if !rule.is_enabled {
            report.note(rule.line, format!("rule `{}` is not enabled, and left out", rule.name));
            continue;
        }
        match query(rule, &definitions, &mut tables, args.allow_wider, report) {
            Ok(query) => queries.push(query),
            Err(why) => {
                n_refused += 1;
                report.refuse(rule.line, format!("rule `{}` cannot be imported: {why}", rule.name));
            }
        }
    }
    let used: Vec<&str> = queries.iter().flat_map(|query| &query.joins).map(|join| join.table.as_str()).collect();
    let lists: Vec<ListTable> = tables.lists().filter(|list| used.contains(&list.name.as_str())).cloned().collect();
    let script = script::script(&args.file, &args.out, &lists, &queries);
    Ok(Translated { script, lists, n_rules: queries.len(), n_refused })
}

/// The query of one rule; an error says why there is none.
fn query(
    rule: &Rule,
    definitions: &Definitions,
    tables: &mut Tables<'_>,
    allow_wider: bool,
    report: &mut Report,
) -> Result<RuleQuery, String> {
    // Of a rule that was refused.
    drop(tables.take_joins());
    let mut findings = Findings::default();
    let test = expand(&rule.condition, definitions, &mut findings)?;
    let (name, line) = (&rule.name, rule.condition.line);
    for (comparison, holds) in &findings.constant {
        report.note(
            line,
            format!(
                "rule `{name}`: `{comparison}` is {holds} of every flow: a flow is a connection that a client makes"
            ),
        );
    }
    if !findings.dropped.is_empty() && !allow_wider {
        let fields: Vec<String> = findings.dropped.iter().map(|comparison| format!("`{comparison}`")).collect();
        return Err(format!(
            "a flow does not know {}; with --allow-wider that is left out, and the rule is true of more flows than in Falco",
            fields.join(", ")
        ));
    }
    if let Some(line) = rule.exceptions {
        if !allow_wider {
            return Err(
                "its `exceptions` are not imported; with --allow-wider they are left out, and the rule is true of \
                        more flows than in Falco"
                    .to_owned(),
            );
        }
        report.warn(line, format!("rule `{name}`: its `exceptions` are left out: the rule is wider"));
    }
    for comparison in &findings.dropped {
        report.warn(
            line,
            format!(
                "rule `{name}`: `{comparison}` is left out, since a flow does not know `{}`: the rule is wider",
                comparison.field
            ),
        );
    }
    let condition = tables.sql(&test)?;
    let joins = tables.take_joins();
    let (output, unknown) = output::expression(&rule.output);
    for field in unknown {
        report.note(
            rule.line,
            format!("rule `{name}`: `%{field}` of its output is `<NA>`, since a flow does not know it"),
        );
    }
    Ok(RuleQuery { rule: rule.clone(), condition, joins, output })
}

/// Writes the script and its lists. A list of addresses that is there already is kept: it may have been resolved.
fn write(folder: &Path, script: &str, lists: &[ListTable]) -> Result<()> {
    let failed =
        |path: &Path, error: &std::io::Error| Error::Unavailable(format!("cannot write `{}`: {error}", path.display()));
    let put = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(|error| failed(&path, &error))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for list in lists {
        if list.kind != Kind::Names {
            put(&list.file(), &list.content())?;
            continue;
        }
        put(&list.source_file(), &list.content())?;
        if !folder.join(list.file()).exists() {
            put(&list.file(), script::NO_ADDRESSES)?;
        }
    }
    put(script::FILE, script)
}
