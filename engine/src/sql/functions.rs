//! Davy's own SQL functions: the window markers `tumble`, `hop` and `session`.
//!
//! They are never evaluated: planning replaces each by its window (see [`super::window`]). One that is left over is
//! where no window can be, and that is an error.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::ScalarValue;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error;
use crate::operator::window::session::SessionLimits;
use crate::operator::window::spec::WindowSpec;
use crate::operator::window::window_fields;

/// Which window a marker makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// `tumble(width)`.
    Tumble,
    /// `hop(slide, width)`.
    Hop,
    /// `session(gap)`.
    Session,
}

impl WindowKind {
    pub const ALL: [Self; 3] = [Self::Tumble, Self::Hop, Self::Session];

    pub fn name(self) -> &'static str {
        match self {
            Self::Tumble => "tumble",
            Self::Hop => "hop",
            Self::Session => "session",
        }
    }

    /// How it is called.
    pub fn usage(self) -> &'static str {
        match self {
            Self::Tumble => "tumble(INTERVAL width)",
            Self::Hop => "hop(INTERVAL slide, INTERVAL width)",
            Self::Session => "session(INTERVAL gap)",
        }
    }

    fn n_arguments(self) -> usize {
        match self {
            Self::Tumble | Self::Session => 1,
            Self::Hop => 2,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct WindowMarker {
    pub kind: WindowKind,
    /// How long a session may last, in nanoseconds.
    max_session: i64,
    signature: Signature,
}

impl WindowMarker {
    /// How long a session may last, in nanoseconds; no other window has such a limit.
    pub fn max_session(&self) -> Option<i64> {
        (self.kind == WindowKind::Session).then_some(self.max_session)
    }

    /// Its window; `interval` gives the arguments by number, in nanoseconds.
    pub fn spec(&self, interval: impl Fn(usize) -> error::Result<i64>) -> error::Result<WindowSpec> {
        match self.kind {
            WindowKind::Tumble => WindowSpec::tumble(interval(0)?),
            WindowKind::Hop => WindowSpec::hop(interval(0)?, interval(1)?),
            WindowKind::Session => WindowSpec::session(interval(0)?, self.max_session),
        }
    }
}

/// `max_session` in nanoseconds.
pub fn window_markers(max_session: i64) -> Vec<Arc<ScalarUDF>> {
    let marker = |kind: WindowKind| {
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let signature = Signature::exact(vec![interval; kind.n_arguments()], Volatility::Volatile);
        Arc::new(ScalarUDF::new_from_impl(WindowMarker { kind, max_session, signature }))
    };
    WindowKind::ALL.into_iter().map(marker).collect()
}

impl ScalarUDFImpl for WindowMarker {
    fn name(&self) -> &str {
        self.kind.name()
    }

    /// The name of an unnamed window column: as it is called, without DataFusion's printing of intervals.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let shown: Vec<String> = args.iter().map(shown_interval).collect();
        Ok(format!("{}({})", self.kind.name(), shown.join(", ")))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        let any = match self.kind {
            WindowKind::Tumble | WindowKind::Hop => WindowSpec::Hop { slide: 1, width: 1 },
            WindowKind::Session => WindowSpec::Session(SessionLimits { gap: 1, max: 1 }),
        };
        Ok(DataType::Struct(window_fields(any)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        plan_err!("{} stands only in GROUP BY", self.kind.usage())
    }
}

fn shown_interval(argument: &Expr) -> String {
    match argument {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _)
            if interval.months == 0 && interval.days == 0 =>
        {
            humantime::format_duration(std::time::Duration::from_nanos(interval.nanoseconds.unsigned_abs())).to_string()
        }
        other => other.to_string(),
    }
}
