//! What the fields of a card may hold.
//!
//! Each rule names the field and says what to write instead. The bounds are far beyond any card in use; they keep what is
//! computed from a card (rows to score, bins to count) within reason.

use super::{Card, Feature, Golden, NotFinite, Window};
use crate::error::{Error, Result, shown};
use crate::forest::{MAX_FEATURES, MAX_OUTPUTS};

/// The version of the layout that this build reads.
const FORMAT: u32 = 1;
const NAME_CHARS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4_096;
const GOLDEN_MAX: usize = 4_096;
const EDGES_MAX: usize = 31;
/// More than this hides a wrong model.
const TOLERANCE_MAX: f64 = 0.01;
const SHARES_SUM_TOLERANCE: f64 = 1e-6;

type Check = std::result::Result<(), (String, String)>;

fn refuse(what: impl Into<String>, hint: impl Into<String>) -> Check {
    Err((what.into(), hint.into()))
}

impl Card {
    pub(super) fn check(&self) -> Result<()> {
        self.check_all().map_err(|(what, hint)| Error::invalid(format!("card: {what}"), hint))
    }

    fn check_all(&self) -> Check {
        if self.format != FORMAT {
            return refuse(
                format!("`format = {}` is not known to this build, which reads {FORMAT}", self.format),
                "use the Davy that the card was written for, or write the card again",
            );
        }
        self.check_identity()?;
        self.check_classes()?;
        self.check_scoring()?;
        if let Some(window) = &self.window {
            window.check()?;
        }
        self.check_training()?;
        self.check_features()?;
        self.check_golden()
    }

    fn check_identity(&self) -> Check {
        if !is_name(&self.name, char::is_ascii_lowercase) {
            return refuse(
                format!("`name = \"{}\"` is no model name", shown(&self.name)),
                format!("use a-z, 0-9 and _, beginning with a-z, at most {NAME_CHARS_MAX}"),
            );
        }
        check_text("version", &self.version)?;
        check_text("description", &self.description)?;
        if let Some(license) = &self.license {
            check_text("license", license)?;
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if self.model.is_empty()
            || self.model.starts_with('.')
            || 255 < self.model.len()
            || !self.model.chars().all(is_plain)
        {
            return refuse(
                format!("`model = \"{}\"` is no plain file name", shown(&self.model)),
                "name the file beside the card, such as model.onnx, without folders",
            );
        }
        let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
        if self.sha256.len() != 64 || !self.sha256.chars().all(is_hex) {
            return refuse(
                format!("`sha256 = \"{}\"` is no SHA-256", shown(&self.sha256)),
                "write the 64 lower-case hex digits that sha256sum prints for the model file",
            );
        }
        Ok(())
    }

    fn check_classes(&self) -> Check {
        if !(2..=MAX_OUTPUTS).contains(&self.classes.len()) {
            return refuse(
                format!("`classes` has {} names", self.classes.len()),
                format!("name 2 to {MAX_OUTPUTS} classes, in the order of the model's outputs"),
            );
        }
        for (index, class) in self.classes.iter().enumerate() {
            check_text(&format!("classes[{index}]"), class)?;
            if self.classes[..index].contains(class) {
                return refuse(
                    format!("`classes` names `{}` twice", shown(class)),
                    "give each output a name of its own",
                );
            }
        }
        if !self.classes.contains(&self.positive) {
            return refuse(
                format!("`positive = \"{}\"` is not one of the classes", shown(&self.positive)),
                "name the class whose probability is the score as it stands in `classes`",
            );
        }
        Ok(())
    }

    fn check_scoring(&self) -> Check {
        if !self.threshold.is_finite() {
            return refuse(
                format!("`threshold = {}` is not finite", self.threshold),
                "write the score from which a row is `positive`",
            );
        }
        if !(0.0..=TOLERANCE_MAX).contains(&self.tolerance) {
            return refuse(
                format!("`tolerance = {}` is not within 0 and {TOLERANCE_MAX}", self.tolerance),
                "write 0 for exact scores, else 1e-6",
            );
        }
        Ok(())
    }

    fn check_training(&self) -> Check {
        let training = &self.training;
        if !is_date(&training.date) {
            return refuse(
                format!("`training.date = \"{}\"` is no day", shown(&training.date)),
                "write it as a string, \"2026-11-21\"",
            );
        }
        if training.data.is_empty() {
            return refuse("`training.data` is empty", "say what the model was trained on, with origin and licence");
        }
        for (index, data) in training.data.iter().enumerate() {
            check_text(&format!("training.data[{index}]"), data)?;
        }
        check_text("training.trainer", &training.trainer)?;
        check_text("training.command", &training.command)?;
        match &training.sql {
            Some(sql) => check_text("training.sql", sql),
            None => Ok(()),
        }
    }

    fn check_features(&self) -> Check {
        if !(1..=MAX_FEATURES).contains(&self.features.len()) {
            return refuse(
                format!("there are {} `[[features]]`", self.features.len()),
                format!("describe each input of the model, 1 to {MAX_FEATURES}, in its order"),
            );
        }
        let mut names = std::collections::HashSet::new();
        for (index, feature) in self.features.iter().enumerate() {
            if !is_name(&feature.name, |c| c.is_ascii_lowercase() || *c == '_') {
                return refuse(
                    format!("features[{index}]: `name = \"{}\"` is no column name", shown(&feature.name)),
                    format!("use a-z, 0-9 and _, no digit first, at most {NAME_CHARS_MAX}"),
                );
            }
            if !names.insert(&feature.name) {
                return refuse(
                    format!("features[{index}]: `{}` is there twice", feature.name),
                    "give each column one entry",
                );
            }
            feature.check()?;
        }
        Ok(())
    }

    fn check_golden(&self) -> Check {
        if !(1..=GOLDEN_MAX).contains(&self.golden.len()) {
            return refuse(
                format!("there are {} `[[golden]]` rows", self.golden.len()),
                format!(
                    "write 1 to {GOLDEN_MAX} rows with the trainer's own scores; without them a wrong model cannot be recognised"
                ),
            );
        }
        for (index, golden) in self.golden.iter().enumerate() {
            golden.check(index, self.features.len(), self.not_finite)?;
        }
        Ok(())
    }
}

impl Window {
    fn check(&self) -> Check {
        let unit_at = self.width.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.width.len());
        let (count, unit) = self.width.split_at(unit_at);
        let is_positive = count.parse::<u32>().is_ok_and(|count| 0 < count);
        if !is_positive || !matches!(unit, "ms" | "s" | "m" | "h" | "d") {
            return refuse(
                format!("`window.width = \"{}\"` is no duration", shown(&self.width)),
                "write a whole number with ms, s, m, h or d, such as \"15m\"",
            );
        }
        let is_column = |key: &String| is_name(key, |c| c.is_ascii_lowercase() || *c == '_');
        if self.key.is_empty() || MAX_FEATURES < self.key.len() || !self.key.iter().all(is_column) {
            return refuse(
                "`window.key` is not a list of column names",
                "name the columns that the rows of a window are grouped by",
            );
        }
        if self.rows_min == 0 {
            return refuse("`window.rows_min = 0` means nothing", "write 1 to score every window");
        }
        Ok(())
    }
}

impl Feature {
    fn check(&self) -> Check {
        check_text(&format!("features.{}.unit", self.name), &self.unit)?;
        check_text(&format!("features.{}.description", self.name), &self.description)?;
        if self.edges.is_empty() && self.shares.is_empty() {
            return Ok(());
        }
        let is_rising =
            self.edges.windows(2).all(|pair| pair[0] < pair[1]) && self.edges.iter().all(|edge| edge.is_finite());
        if !(1..=EDGES_MAX).contains(&self.edges.len()) || !is_rising {
            return refuse(
                format!("feature `{}`: `edges` are not 1 to {EDGES_MAX} rising numbers", self.name),
                "write the inner edges of the bins from low to high, each once, or leave out `edges` and `shares`",
            );
        }
        let total: f64 = self.shares.iter().sum();
        let are_shares =
            self.shares.iter().all(|share| (0.0..=1.0).contains(share)) && (total - 1.0).abs() <= SHARES_SUM_TOLERANCE;
        if self.shares.len() != self.edges.len() + 1 || !are_shares {
            return refuse(
                format!("feature `{}`: `shares` are not {} shares that sum to 1", self.name, self.edges.len() + 1),
                "write the share of the training rows in each bin: below the first edge, between the edges, above the last",
            );
        }
        Ok(())
    }
}

impl Golden {
    fn check(&self, index: usize, n_features: usize, not_finite: NotFinite) -> Check {
        if self.features.len() != n_features {
            return refuse(
                format!("golden row {index}: {} values for {n_features} features", self.features.len()),
                "write one value for each feature, in their order",
            );
        }
        if !self.score.is_finite() {
            return refuse(
                format!("golden row {index}: `score = {}` is not finite", self.score),
                "write the trainer's own score",
            );
        }
        let has_no_score =
            not_finite == NotFinite::Null && self.features.iter().any(|value| !(*value as f32).is_finite());
        if has_no_score {
            return refuse(
                format!(
                    "golden row {index}: a value is not finite as f32, so the row has no score by `not_finite = \"null\"`"
                ),
                "leave the row out",
            );
        }
        Ok(())
    }
}

fn is_name(name: &str, may_begin: impl Fn(&char) -> bool) -> bool {
    let may_follow = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= NAME_CHARS_MAX
        && name.chars().next().is_some_and(|first| may_begin(&first))
        && name.chars().all(may_follow)
}

fn check_text(field: &str, text: &str) -> Check {
    if text.trim().is_empty() {
        return refuse(format!("`{field}` is empty"), "say it in words");
    }
    if TEXT_BYTES_MAX < text.len() || text.chars().any(|c| c.is_control() && c != '\n') {
        return refuse(
            format!("`{field}` is longer than {TEXT_BYTES_MAX} bytes or holds control characters"),
            "shorten it",
        );
    }
    Ok(())
}

fn is_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let is_shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    is_shaped && (1..=days).contains(&day)
}
