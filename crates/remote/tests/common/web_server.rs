//! A plain web server, as `python3 -m http.server`: it sends whole files, and nothing can be written there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves the files in `folder`. Returns the port. If `breaks`, the first answer with each file above 100 kB ends in the middle.
pub fn start(folder: &Path, breaks: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        let mut broken = BTreeSet::new();
        for client in listener.incoming().flatten() {
            // A client that goes away is no matter.
            let _ = answer(client, &folder, if breaks { Some(&mut broken) } else { None });
        }
    });
    port
}

fn answer(mut client: TcpStream, folder: &Path, broken: Option<&mut BTreeSet<PathBuf>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (method, path) = request.split_once(' ').unwrap_or_default();
    let path = folder.join(path.split(' ').next().unwrap_or_default().trim_start_matches('/'));
    let bytes = match method {
        "GET" | "HEAD" => std::fs::read(&path).map_err(|_| "404 Not Found"),
        _ => Err("501 Not Implemented"),
    };
    match bytes {
        Ok(bytes) => {
            let ends_early = bytes.len() > 100_000 && broken.is_some_and(|broken| broken.insert(path));
            let size = bytes.len();
            write!(client, "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n")?;
            if method == "GET" {
                client.write_all(&bytes[..if ends_early { size / 2 } else { size }])?;
            }
        }
        Err(status) => write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?,
    }
    client.flush()
}
