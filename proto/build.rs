//! Compiles the .proto files without `protoc`, and keeps their descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 4] = [
    "proto/davy/v1/pipelines.proto",
    "proto/davy/v1/cluster.proto",
    "proto/davy/v1/workers.proto",
    "proto/keda/externalscaler.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    #[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts by their environment")]
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(folder.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
