//! Mutated images, masks, annotations and weight files: read or refused with words, without a panic and in bounded memory.
//!
//! A few thousand of each by default; `MATSSL_MUTATIONS=500000 cargo test --release --test mutations` for the long form.

use flate2::read::GzDecoder;
use matssl_run::data::annotations;
use matssl_run::data::decode::{self, ImageOptions};
use matssl_run::nn::{Arch, Encoder, ResNetConfig, Variant, weights};
use matssl_run::random::Stream;
use rayon::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Read;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what a thread has allocated and not freed, and the largest such sum.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// An image of 400 megapixels in RGB, decoded and turned, with room for a decoder's own copy: what a header may ask for at most.
const MOST: isize = 5 << 30;

/// Number of mutated files of each sort.
fn rounds() -> usize {
    std::env::var("MATSSL_MUTATIONS").map_or(4000, |number| number.parse().expect("MATSSL_MUTATIONS is a number"))
}

/// The files below `folder` whose extension is one of `extensions`.
fn seeds(folder: &str, extensions: &[&str]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|own| extensions.iter().any(|one| own == *one)) {
            found.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    assert!(found.len() > 3, "no seeds in {folder}");
    found.sort();
    found
}

/// One to eight changes of a file, as damage and malice make them.
fn mutated(seeds: &[(PathBuf, Vec<u8>)], seed: usize, stream: &mut Stream) -> Vec<u8> {
    let mut bytes = seeds[seed].1.clone();
    let below = |stream: &mut Stream, n: usize| stream.below(n.max(1) as u64) as usize;
    for _ in 0..1 + stream.below(8) {
        if bytes.is_empty() {
            break;
        }
        // Most of what decides lies in the first bytes, or in the last ones.
        let at = match stream.below(4) {
            0 => below(stream, bytes.len().min(64)),
            1 => bytes.len() - 1 - below(stream, bytes.len().min(256)),
            _ => below(stream, bytes.len()),
        };
        match stream.below(9) {
            0 | 1 => bytes[at] ^= 1 << stream.below(8),
            2 => bytes[at] = stream.below(256) as u8,
            3 | 4 => {
                let values = [0u64, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, 1 << 40];
                let value = values[below(stream, values.len())];
                let length = [1, 2, 4, 8][below(stream, 4)];
                let text = if stream.chance(0.5) { value.to_le_bytes() } else { value.to_be_bytes() };
                let text = if stream.chance(0.5) { &text[..length] } else { &text[8 - length..] };
                let end = (at + length).min(bytes.len());
                bytes[at..end].copy_from_slice(&text[..end - at]);
            }
            5 => bytes.truncate(at),
            6 => {
                let end = (at + 1 + below(stream, 64)).min(bytes.len());
                bytes.drain(at..end);
            }
            7 => {
                let end = (at + 1 + below(stream, 64)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let other = &seeds[below(stream, seeds.len())].1;
                let from = below(stream, other.len());
                let part = other[from..(from + 1 + below(stream, 64)).min(other.len())].to_vec();
                let end = (at + part.len()).min(bytes.len());
                bytes.splice(at..end, part);
            }
        }
    }
    if bytes.starts_with(b"\x89PNG") && stream.chance(0.7) {
        right_checksums(&mut bytes);
    }
    bytes
}

/// Gives the chunks of a png their checksums, without which the decoder looks at nothing else.
fn right_checksums(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let Some(end) = at.checked_add(8).and_then(|start| start.checked_add(length)) else { return };
        let Some(covered) = bytes.get(at + 4..end) else { return };
        let mut crc = u32::MAX;
        for &byte in covered {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        let Some(place) = bytes.get_mut(end..end + 4) else { return };
        place.copy_from_slice(&(!crc).to_be_bytes());
        at = end + 4;
    }
}

/// Reads as many mutated files of `sort` as asked for. `read` says whether it could read the bytes, and if not, why.
fn all(sort: &str, seeds: &[(PathBuf, Vec<u8>)], read: impl Fn(&Path, &[u8]) -> Result<(), String> + Sync) {
    let (right, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worst = AtomicUsize::new(0);
    (0..rounds()).into_par_iter().for_each(|round| {
        let mut stream = Stream::new(1, sort, 0, round as u64);
        let seed = stream.below(seeds.len() as u64) as usize;
        let bytes = mutated(seeds, seed, &mut stream);
        let path = &seeds[seed].0;
        let before = LIVE.get();
        PEAK.set(before);
        let outcome = catch_unwind(std::panic::AssertUnwindSafe(|| read(path, &bytes)));
        let most = PEAK.get() - before;
        worst.fetch_max(most.max(0) as usize, Ordering::Relaxed);
        let keep = || {
            let kept = std::env::temp_dir().join(format!("matssl-mutation-{sort}-{round}"));
            std::fs::write(&kept, &bytes).unwrap();
            format!("round {round} of {sort}, from {}, kept as {}", path.display(), kept.display())
        };
        assert!(most <= MOST, "{most} bytes: {}", keep());
        match outcome {
            Ok(Ok(())) => right.fetch_add(1, Ordering::Relaxed),
            Ok(Err(why)) if why.len() > 10 => refused.fetch_add(1, Ordering::Relaxed),
            Ok(Err(why)) => panic!("refused without words ({why}): {}", keep()),
            Err(_) => panic!("a panic: {}", keep()),
        };
    });
    let (right, refused) = (right.into_inner(), refused.into_inner());
    println!("{sort}: {right} read, {refused} refused, at most {} MiB", worst.into_inner() >> 20);
}

#[test]
fn images_and_masks() {
    let seeds = seeds("crates/data/tests/files", &["tif", "png", "jpg", "bmp"]);
    let options = [
        ImageOptions::default(),
        ImageOptions { range: Some([0.0, 1.0]), page: Some(2), bits: Some(12), channels: Some(vec![0]) },
    ];
    all("images", &seeds, |path, bytes| {
        let which = usize::from(bytes.len().is_multiple_of(4));
        decode::decode_image(path, bytes, &options[which]).map(drop).map_err(|error| error.to_string())
    });
    all("masks", &seeds, |path, bytes| {
        let page = bytes.len().is_multiple_of(4).then_some(2);
        decode::decode_mask(path, bytes, page).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn weight_files() {
    // Packed, so that the repository stays small.
    let mut seeds = seeds("crates/train/src/weights/testdata/forms", &["gz"]);
    for (_, bytes) in &mut seeds {
        let mut unpacked = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).unwrap();
        *bytes = unpacked;
    }
    let config = ResNetConfig { arch: Arch::ResNet18, width: 1, variant: Variant::V15, in_channels: 3 };
    let shapes = Encoder::new(config).shapes();
    let request = weights::Request { allow_missing: true, ..weights::Request::default() };
    all("weights", &seeds, |_, bytes| {
        weights::check_bytes(bytes, &shapes, &request).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn annotation_files() {
    let seeds = seeds("crates/data/tests/annotations", &["json", "geojson", "xml", "csv"]);
    all("annotations", &seeds, |path, bytes| annotations::check_bytes(path, bytes).map_err(|error| error.to_string()));
}
