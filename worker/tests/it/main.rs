//! The connectors against real files, programs and pipes.

mod files;
mod folders;
mod generator;
mod harness;
mod nfcapd;
mod options;
mod rows;
