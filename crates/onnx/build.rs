//! Compiles ONNX's published schema into Rust types.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=schema");
    let files = protox::compile(["onnx.proto"], ["schema"])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
