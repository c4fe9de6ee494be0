//! A small S3 server, for tests by hand and for `benches/remote`. Its buckets are the folders in FOLDER.
//!
//! `s3_server FOLDER` prints the variables that the AWS tools read, and serves until its standard input ends.

#[path = "../tests/common/s3_server.rs"]
mod s3_server;

use std::path::Path;

fn main() {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("expected: s3_server FOLDER");
        std::process::exit(2);
    };
    let port = s3_server::start(Path::new(&folder));
    println!("AWS_ACCESS_KEY_ID={}", s3_server::ACCESS_KEY);
    println!("AWS_SECRET_ACCESS_KEY={}", s3_server::SECRET_KEY);
    println!("AWS_REGION=us-east-1");
    println!("AWS_ENDPOINT_URL=http://127.0.0.1:{port}");
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
