//! An image that is larger than what is kept of it. A process of its own, so that its peak of memory is that of the reader.

use matssl_data::{ImageFile, ReadAs, Resampled, Rows};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

const TILE: usize = 256;

/// The grey value at (x, y): sixteen different tiles, drawn by a hash.
fn value(x: usize, y: usize) -> u8 {
    let kind = (x / TILE * 7 + y / TILE * 3) % 16;
    let (x, y) = (x % TILE, y % TILE);
    ((x * y) / 64 + kind * 11 + (x * 31 + y * 17 + kind).wrapping_mul(2_654_435_761) % 7) as u8
}

/// Writes a grey tiled BigTIFF of `side`² pixels, compressed by deflate.
fn write_tiled(path: &Path, side: usize) -> std::io::Result<()> {
    let tile = |kind: usize| {
        let (left, top) =
            (0..16).map(|i| (i, 0)).find(|(x, _)| x * 7 % 16 == kind).map_or((0, 0), |(x, y)| (x * TILE, y));
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        let pixels: Vec<u8> = (0..TILE * TILE).map(|i| value(left + i % TILE, top + i / TILE)).collect();
        encoder.write_all(&pixels).and_then(|()| encoder.finish())
    };
    let tiles: Vec<Vec<u8>> = (0..16).map(tile).collect::<std::io::Result<_>>()?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"II+\0\x08\0\0\0")?;
    file.write_all(&0u64.to_le_bytes())?;
    let (across, mut at) = (side.div_ceil(TILE), 16u64);
    let (mut offsets, mut counts) = (Vec::new(), Vec::new());
    for i in 0..across * across {
        let tile = &tiles[(i % across * 7 + i / across * 3) % 16];
        file.write_all(tile)?;
        offsets.extend(at.to_le_bytes());
        counts.extend((tile.len() as u64).to_le_bytes());
        at += tile.len() as u64;
    }
    let lists = [at, at + offsets.len() as u64];
    file.write_all(&offsets)?;
    file.write_all(&counts)?;
    let count = (across * across) as u64;
    let tags = [
        (256u16, 1, side as u64),
        (257, 1, side as u64),
        (258, 1, 8),
        (259, 1, 8),
        (262, 1, 1),
        (277, 1, 1),
        (322, 1, TILE as u64),
        (323, 1, TILE as u64),
        (324, count, lists[0]),
        (325, count, lists[1]),
    ];
    file.write_all(&(tags.len() as u64).to_le_bytes())?;
    for (tag, count, value) in tags {
        file.write_all(&tag.to_le_bytes())?;
        file.write_all(&16u16.to_le_bytes())?;
        file.write_all(&count.to_le_bytes())?;
        file.write_all(&value.to_le_bytes())?;
    }
    file.write_all(&0u64.to_le_bytes())?;
    file.seek(SeekFrom::Start(8))?;
    file.write_all(&(lists[1] + counts.len() as u64).to_le_bytes())?;
    file.flush()
}

/// The largest memory of this process so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

/// Reads all of an image of `side`² pixels in bands that overlap, then half as large; returns the peak of memory.
fn read_through(side: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.tif");
    write_tiled(&path, side).unwrap();
    assert_eq!(ImageFile::size_of(&path, &ReadAs::default()).unwrap(), (side, side));
    let mut file = ImageFile::open(&path, &ReadAs::default()).unwrap();
    assert!(file.is_streamed());
    assert_eq!((file.width(), file.height(), file.channels()), (side, side, 1));
    for top in (0..side).step_by(384) {
        let rows = file.rows(top..(top + 512).min(side)).unwrap();
        for (x, y) in [(0, 0), (side - 1, 0), (side / 3, rows.height / 2), (side - 2, rows.height - 1)] {
            assert_eq!(rows.pixels[y * side + x], value(x, top + y), "({x}, {})", top + y);
        }
    }
    let mut half = Resampled::new(file, [2.0, 2.0]);
    for top in (0..side / 2).step_by(512) {
        let rows = half.rows(top..(top + 512).min(side / 2)).unwrap();
        let sum =
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(x, y)| u32::from(value(200 + x, 2 * top + y))).iter().sum::<u32>();
        assert_eq!(u32::from(rows.pixels[100]), (sum + 2) / 4);
    }
    peak()
}

/// 100 megapixels, of which at most 64 MiB are kept.
#[test]
fn an_image_is_read_through_in_little_memory() {
    let peak = read_through(10_000);
    assert!(peak < 95, "{peak} MiB, and the image alone has 95");
}

/// The largest image of the issue: 20,000 × 20,000 pixels. `cargo test -p matssl-data --test large_image -- --ignored --nocapture`
#[test]
#[ignore = "takes minutes without optimisation"]
fn an_image_of_20_000_squared_is_read_through_in_300_mib() {
    let started = std::time::Instant::now();
    let peak = read_through(20_000);
    println!("20,000 × 20,000 pixels: {peak} MiB, {:.0} s", started.elapsed().as_secs_f64());
    assert!(peak < 300, "{peak} MiB");
}
