//! Keeps the values of `${env:…}` and `${file:…}` out of the errors of planning: a script's author may see where a value stands, and not
//! what it is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use davy_forest::scorer::{Backend, Scorer};

use crate::connector::{Connectors, Stopwatch, Table, TableRequest, VettedLibrary};
use crate::error::{Error, Result};
use crate::options::Options;

/// A shorter value may be part of any word, so it is masked only where an error quotes it.
const WORD_BYTES: usize = 4;

/// Connectors that note what they have resolved.
pub(super) struct Masking<'a> {
    inner: &'a dyn Connectors,
    resolved: Mutex<Vec<Resolved>>,
}

struct Resolved {
    reference: String,
    value: String,
}

impl<'a> Masking<'a> {
    pub(super) fn new(inner: &'a dyn Connectors) -> Self {
        Self { inner, resolved: Mutex::default() }
    }

    fn resolved(&self) -> MutexGuard<'_, Vec<Resolved>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error with references in place of values.
    pub(super) fn mask(&self, error: Error) -> Error {
        let mut resolved = self.resolved();
        // A value may be part of another one.
        resolved.sort_by_key(|one| std::cmp::Reverse(one.value.len()));
        let masked = |text: String| resolved.iter().fold(text, |text, one| one.mask(&text));
        match error {
            Error::Invalid(mut diagnostic) => {
                diagnostic.message = masked(diagnostic.message);
                diagnostic.hint = diagnostic.hint.map(masked);
                Error::Invalid(diagnostic)
            }
            Error::Data(mut diagnostic) => {
                diagnostic.message = masked(diagnostic.message);
                diagnostic.hint = diagnostic.hint.map(masked);
                Error::Data(diagnostic)
            }
            Error::Unavailable(message) => Error::Unavailable(masked(message)),
            Error::OutOfMemory(message) => Error::OutOfMemory(masked(message)),
            Error::Fenced(message) => Error::Fenced(masked(message)),
            Error::OutputClosed(message) => Error::OutputClosed(masked(message)),
            Error::Internal(message) => Error::Internal(masked(message)),
        }
    }
}

impl Resolved {
    fn mask(&self, text: &str) -> String {
        let Self { reference, value } = self;
        if WORD_BYTES <= value.len() {
            text.replace(value, reference)
        } else if value.is_empty() {
            text.to_owned()
        } else {
            text.replace(&format!("`{value}`"), &format!("`{reference}`"))
        }
    }
}

impl Connectors for Masking<'_> {
    fn names(&self) -> Vec<&'static str> {
        self.inner.names()
    }

    fn variable(&self, kind: &str, name: &str) -> Result<String> {
        let value = self.inner.variable(kind, name)?;
        self.resolved().push(Resolved { reference: format!("${{{kind}:{name}}}"), value: value.clone() });
        Ok(value)
    }

    fn model(&self, card: &str, backend: Backend) -> Result<Arc<Scorer>> {
        self.inner.model(card, backend)
    }

    fn library(&self, path: &str, sha256: Option<&str>) -> Result<VettedLibrary> {
        self.inner.library(path, sha256)
    }

    fn stopwatch(&self) -> Stopwatch {
        self.inner.stopwatch()
    }

    fn table(&self, request: TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
        self.inner.table(request, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Variables;

    impl Connectors for Variables {
        fn names(&self) -> Vec<&'static str> {
            Vec::new()
        }

        fn variable(&self, _: &str, name: &str) -> Result<String> {
            Ok(name.to_lowercase())
        }

        fn table(&self, request: TableRequest<'_>, _: &mut Options) -> Result<Arc<dyn Table>> {
            Err(Error::invalid(format!("no connector `{}`", request.connector)))
        }
    }

    #[test]
    fn values_become_references_wherever_an_error_has_them() {
        let masking = Masking::new(&Variables);
        for name in ["HUNTER", "HUNTER2", "AB", ""] {
            masking.variable("env", name).expect("a value");
        }
        let error = Error::invalid("option `x` cannot be `hunter2`, as hunter said: cab `ab`").hint("not hunter2");
        assert_eq!(
            masking.mask(error).to_string(),
            "option `x` cannot be `${env:HUNTER2}`, as ${env:HUNTER} said: cab `${env:AB}`; not ${env:HUNTER2}"
        );
        let unavailable = masking.mask(Error::Unavailable("no answer from hunter".to_owned())).to_string();
        assert_eq!(unavailable, "no answer from ${env:HUNTER}");
    }
}
