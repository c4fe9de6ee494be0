//! An S3 server in a thread of this process.
#![allow(dead_code, unreachable_pub, reason = "each program uses its own part")]

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder as ConnectionBuilder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use std::net::TcpListener;
use std::path::Path;

pub const ACCESS_KEY: &str = "the-access-key";
pub const SECRET_KEY: &str = "the-very-secret-key";

/// Starts a server whose buckets are the folders in `folder`. Returns its port. It ends with the process.
pub fn start(folder: &Path) -> u16 {
    let files = s3s_fs::FileSystem::new(folder).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let service = {
                let mut builder = S3ServiceBuilder::new(files);
                builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
                builder.build()
            };
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let Ok((socket, _)) = listener.accept().await else { continue };
                let service = service.clone();
                tokio::spawn(async move {
                    let server = ConnectionBuilder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
    });
    port
}
