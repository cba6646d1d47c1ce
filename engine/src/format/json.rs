//! JSON.
/// x
#[derive(Clone, Debug)]
pub struct JsonOptions;
