//! Damaged files: an error or a network, never a panic.

use super::super::{Request, check_bytes};
use super::forms::{form, resnet};
use matssl_base::random::Stream;

/// Mutants of each file.
const MUTANTS: usize = 400;

/// `bytes` with one to four changes: bytes flipped or set, parts cut out, doubled or taken from elsewhere, the end cut off.
fn mutant(mut bytes: Vec<u8>, stream: &mut Stream) -> Vec<u8> {
    let below = |stream: &mut Stream, count: usize| stream.range(0.0, count.max(1) as f64) as usize;
    for _ in 0..=below(stream, 4) {
        if bytes.is_empty() {
            return bytes;
        }
        // Headers are short: half of the changes are among the first bytes, where the lists are.
        let reach = if below(stream, 2) == 0 { bytes.len() } else { bytes.len().min(4096) };
        let at = below(stream, reach);
        let length = below(stream, 32).min(bytes.len() - at);
        match below(stream, 7) {
            0 => bytes[at] ^= 1 << below(stream, 8),
            1 => bytes[at] = below(stream, 256) as u8,
            2 => bytes[at] = [0, 0xff, 0x7f, 0x80, b'.', b'R', b'}'][below(stream, 7)],
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let part = bytes[at..at + length].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let from = below(stream, bytes.len() - length);
                let part = bytes[from..from + length].to_vec();
                bytes[at..at + length].copy_from_slice(&part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn damaged_files_are_errors_or_networks() {
    let expected = resnet().shapes();
    let files = [
        "timm.safetensors",
        "torchvision.pth",
        "micronet.pth.tar",
        "matssl.pth",
        "dino.pth",
        "module.pth",
        "sparse.pth",
    ];
    let mut read = 0;
    for name in files {
        let bytes = form(name);
        let mut stream = Stream::new(18, "mutants", 0, bytes.len() as u64);
        for _ in 0..MUTANTS {
            let request = Request { allow_missing: true, ..Request::default() };
            match check_bytes(&mutant(bytes.clone(), &mut stream), &expected, &request) {
                Ok(_) => read += 1,
                Err(error) => assert!(error.to_string().len() < 4000, "{error}"),
            }
        }
    }
    assert!(read > 0, "no mutant was read: they are too damaged to test much");
}
