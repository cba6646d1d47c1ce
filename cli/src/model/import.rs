//! `davy model import`: a scikit-learn forest in plain JSON becomes a package.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use davy_engine::{Error, Result};
use davy_forest::import::{Column, Options, forest};
use davy_forest::package::MAX_MODEL_BYTES;
use flate2::bufread::MultiGzDecoder;

use crate::args::ModelImportArgs;
use crate::output::say;

pub(super) fn import(args: &ModelImportArgs) -> Result<ExitCode> {
    let json = read(&args.forest)?;
    let imported = forest(&json, &options(args)).map_err(|error| super::about(&args.forest, error))?;
    let shown = args.out.display();
    std::fs::create_dir_all(&args.out)
        .map_err(|error| Error::invalid(format!("folder `{shown}` cannot be made: {error}")).hint("check --out"))?;
    let (card, model) = (args.out.join("card.toml"), args.out.join("model.onnx"));
    if let Some(taken) = [&card, &model].into_iter().find(|path| path.exists()) {
        return Err(
            Error::invalid(format!("`{}` is there already", taken.display())).hint("choose another folder with --out")
        );
    }
    write_new(&model, &imported.model)?;
    write_new(&card, imported.card.as_bytes())?;
    say(&format!("wrote {shown}/card.toml and model.onnx ({} bytes)", imported.model.len()));
    say(&format!("check it with: davy model verify {shown}/card.toml"));
    Ok(ExitCode::SUCCESS)
}

fn options(args: &ModelImportArgs) -> Options {
    let date = args.date.clone().unwrap_or_else(today);
    let mut options = Options::cds(&date);
    options.name.clone_from(&args.name);
    options.version.clone_from(&args.model_version);
    options.threshold = args.threshold;
    options.positive.clone_from(&args.positive);
    options.classes.clone_from(&args.class);
    options.command = format!("davy model import {} --out {}", args.forest.display(), args.out.display());
    if let Some(description) = &args.description {
        options.description.clone_from(description);
    }
    if !args.data.is_empty() {
        options.data.clone_from(&args.data);
    }
    if !args.feature.is_empty() {
        options.features = args.feature.iter().map(|text| column(text)).collect();
    }
    options
}

/// `name:unit:description`, of which the last two may be left out.
fn column(text: &str) -> Column {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    let name = parts.next().unwrap_or_default();
    let unit = parts.next().filter(|unit| !unit.is_empty()).unwrap_or_else(|| "1".to_owned());
    let description = parts.next().unwrap_or_else(|| name.clone());
    Column { name, unit, description }
}

#[expect(clippy::disallowed_methods, reason = "a card says when it was made")]
fn today() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string().chars().take(10).collect()
}

/// Reads a file, through gzip where it begins like one.
fn read(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let unreadable =
        |error: std::io::Error| Error::invalid(format!("`{shown}` cannot be read: {error}")).hint("check the path");
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let is_gzip = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    let mut json = Vec::new();
    let limit = MAX_MODEL_BYTES + 1;
    let read = if is_gzip {
        MultiGzDecoder::new(file).take(limit).read_to_end(&mut json)
    } else {
        file.take(limit).read_to_end(&mut json)
    };
    read.map_err(unreadable)?;
    if MAX_MODEL_BYTES < json.len() as u64 {
        return Err(Error::invalid(format!("`{shown}` holds more than {MAX_MODEL_BYTES} bytes"))
            .hint("a forest of this size would score too slowly; train a smaller one"));
    }
    Ok(json)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let shown = path.display();
    let mut file = File::create_new(path).map_err(|error| {
        Error::invalid(format!("`{shown}` cannot be made: {error}")).hint("choose another folder with --out")
    })?;
    file.write_all(bytes).map_err(|error| Error::Unavailable(format!("cannot write `{shown}`: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_has_a_name_and_may_have_a_unit() {
        let cases =
            [("td:s:duration", ["td", "s", "duration"]), ("n", ["n", "1", "n"]), ("n::of rows", ["n", "1", "of rows"])];
        for (text, expected) in cases {
            let Column { name, unit, description } = column(text);
            assert_eq!([name, unit, description], expected, "{text}");
        }
    }
}
