//! CSV.
/// x
#[derive(Clone, Debug)]
pub struct CsvOptions;
