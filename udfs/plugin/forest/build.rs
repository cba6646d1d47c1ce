//! Finds the model that the plug-in carries: the folder `DAVY_MODEL`, `models/cds_flow` unless set, seen from the top of the
//! repository. A script, because `include_bytes!` needs a path while it compiles, and the card names the model's file.

use std::env;
use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn main() {
    let here = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = env::var("DAVY_MODEL").unwrap_or_else(|_| "models/cds_flow".to_owned());
    let folder = Path::new(&here).join("../../..").join(folder);
    let card = folder.join("card.toml");
    let text = std::fs::read_to_string(&card).unwrap_or_else(|error| {
        panic!("{}: {error}; name the folder of a model package in DAVY_MODEL", card.display())
    });
    let parsed: toml::Table = text.parse().expect("a card is TOML");
    let model = parsed.get("model").and_then(toml::Value::as_str).expect("a card names its `model`");
    let model = folder.join(model);
    println!("cargo::rustc-env=DAVY_MODEL_CARD={}", card.display());
    println!("cargo::rustc-env=DAVY_MODEL_FILE={}", model.display());
    println!("cargo::rerun-if-env-changed=DAVY_MODEL");
    println!("cargo::rerun-if-changed={}", card.display());
    println!("cargo::rerun-if-changed={}", model.display());
}
