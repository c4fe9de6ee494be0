//! The types of ONNX's schema, made by `build.rs`.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all, rustdoc::all)]

include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
