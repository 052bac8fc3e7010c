//! Generates the wire types and services from `proto/weir/v1`, without `protoc`.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    // Read when it runs: a build script may be shared by checkouts that share a target folder.
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    let files = ["filter", "query", "source"].map(|name| root.join(format!("weir/v1/{name}.proto")));
    println!("cargo::rerun-if-changed={}", root.join("weir/v1").display());
    let descriptors = protox::compile(files, [&root])?;

    // What reflection serves; comments stay out of the binary.
    let mut embedded = descriptors.clone();
    embedded.file.iter_mut().for_each(|file| file.source_code_info = None);
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("weir_v1.bin");
    std::fs::write(out, embedded.encode_to_vec())?;

    tonic_prost_build::configure()
        // The arenas of a batch and uploaded components are taken out of the frame without a copy.
        .bytes(".weir.v1.RecordBatch")
        .bytes(".weir.v1.UploadFilterRequest")
        .codec_path("crate::codec::MessageCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
