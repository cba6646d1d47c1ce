//! What others reach over the network.

pub mod scaler;
