//! Cuts the images of a data set and writes the file of patches.

use super::{INDEX, PATCHES, PatchParams, positions};
use crate::augment::reflect;
use crate::{DataError, Entry, Micrograph, OpenDataset};
use rayon::prelude::*;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Images decoded at a time: bounds memory, and lets the cores work.
const TOGETHER: usize = 16;

/// Writes `patches.safetensors` (tensor `"patches"`, u8 `[n, size, size, channels]`; 1 channel if all images are
/// grey) and `index.csv` (a line for each patch: image, x, y, split) into the folder `out`. Returns the number of
/// patches. `progress(done, total)` counts images.
///
/// # Errors
/// [`DataError::Bad`] if there is no image to cut or none is large enough; reading and writing errors.
pub fn cut(
    dataset: &OpenDataset,
    params: &PatchParams,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<usize, DataError> {
    let splits = params.from.splits();
    let entries: Vec<&Entry> = dataset.manifest.images.iter().filter(|entry| splits.contains(&entry.split)).collect();
    let places = |entry: &Entry| -> Vec<(usize, usize)> {
        let rows = positions(entry.height, params.size, params.overlap, params.edge);
        let columns = positions(entry.width, params.size, params.overlap, params.edge);
        rows.iter().flat_map(|&y| columns.iter().map(move |&x| (x, y))).collect()
    };
    let count: usize = entries.iter().map(|entry| places(entry).len()).sum();
    if count == 0 {
        let problem = match entries.iter().map(|entry| (entry.width, entry.height)).max() {
            Some((width, height)) => {
                format!("no image holds a patch of {} pixels, the largest is {width}×{height}", params.size)
            }
            None => format!("no image is {}", splits.iter().map(|split| split.name()).collect::<Vec<_>>().join(" or ")),
        };
        let cure = "change `use`, `size` or `edge`";
        return Err(DataError::bad(Path::new(&dataset.manifest.format), problem, cure));
    }
    let channels = entries.iter().map(|entry| entry.channels).max().unwrap_or(1);
    let path = out.join(PATCHES);
    let file = File::create(&path).map_err(DataError::writing(&path))?;
    let mut patches = BufWriter::with_capacity(1 << 20, file);
    patches.write_all(&header(count, params.size, channels)).map_err(DataError::writing(&path))?;
    let index_path = out.join(INDEX);
    let writing_index = |error: csv::Error| DataError::Write { path: index_path.clone(), source: error.into() };
    let mut index = csv::Writer::from_path(&index_path).map_err(writing_index)?;
    index.write_record(["image", "x", "y", "split"]).map_err(writing_index)?;
    for (group, chunk) in entries.chunks(TOGETHER).enumerate() {
        let cut: Vec<Result<Vec<u8>, DataError>> = chunk
            .par_iter()
            .map(|entry| {
                let image = dataset.read_image(entry)?;
                Ok(places(entry).iter().flat_map(|&place| patch(&image, place, params.size, channels)).collect())
            })
            .collect();
        for (i, (entry, bytes)) in chunk.iter().zip(cut).enumerate() {
            patches.write_all(&bytes?).map_err(DataError::writing(&path))?;
            for (x, y) in places(entry) {
                let record = [entry.image.as_str(), &x.to_string(), &y.to_string(), entry.split.name()];
                index.write_record(record).map_err(writing_index)?;
            }
            progress(group * TOGETHER + i + 1, entries.len());
        }
    }
    patches.flush().map_err(DataError::writing(&path))?;
    index.flush().map_err(DataError::writing(&index_path))?;
    Ok(count)
}

/// What a safetensors file begins with: the header's length and the header, padded so that data starts at a multiple
/// of 8. Written by hand because the crate wants the whole tensor in memory.
fn header(count: usize, size: usize, channels: usize) -> Vec<u8> {
    let bytes = count * size * size * channels;
    let mut json = format!(
        r#"{{"patches":{{"dtype":"U8","shape":[{count},{size},{size},{channels}],"data_offsets":[0,{bytes}]}}}}"#
    );
    while json.len() % 8 != 0 {
        json.push(' ');
    }
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(json.as_bytes());
    header
}

/// `size` × `size` pixels from (left, top), mirrored beyond the image; grey is repeated if `channels` is 3.
fn patch(image: &Micrograph, (left, top): (usize, usize), size: usize, channels: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size * size * channels);
    for y in 0..size {
        let row = reflect(top + y, image.height) * image.width;
        for x in 0..size {
            let at = (row + reflect(left + x, image.width)) * image.channels;
            match (image.channels, channels) {
                (1, 3) => bytes.extend([image.pixels[at]; 3]),
                _ => bytes.extend_from_slice(&image.pixels[at..at + channels]),
            }
        }
    }
    bytes
}
