//! Cuts the images of a data set into patches.

use super::file::PatchWriter;
use super::params::PatchParams;
use super::positions::positions;
use crate::augment::reflect;
use crate::channels::counted;
use crate::{DataError, Entry, Micrograph, OpenDataset, fits};
use rayon::prelude::*;
use std::path::Path;

/// Number of images that are decoded at a time, in parallel. Bounds the memory.
const AT_A_TIME: usize = 16;

/// Writes the patches of a data set ([`Patches`](super::Patches), with the channels of the images; 3 if some are grey and some
/// RGB) into the folder `out`.
/// Returns the number of patches. `progress(done, total)` counts images.
///
/// # Errors
/// [`DataError::Bad`] if there is no image to cut or none is large enough, or if images differ in channels otherwise; reading and writing errors.
pub fn cut(
    dataset: &OpenDataset,
    params: &PatchParams,
    out: &Path,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<usize, DataError> {
    let splits = params.from.splits();
    let entries: Vec<&Entry> = dataset.manifest.images.iter().filter(|entry| splits.contains(&entry.split)).collect();
    let corners = |entry: &Entry| -> Vec<(usize, usize)> {
        let rows = positions(entry.height, params.size, params.overlap, params.edge);
        let columns = positions(entry.width, params.size, params.overlap, params.edge);
        rows.iter().flat_map(|&y| columns.iter().map(move |&x| (x, y))).collect()
    };
    let count: usize = entries.iter().map(|entry| corners(entry).len()).sum();
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
    if let Some(odd) = entries.iter().find(|entry| !fits(entry.channels, channels)) {
        let most = entries.iter().find(|entry| entry.channels == channels).map_or("", |entry| entry.image.as_str());
        let problem =
            format!("has {}, and {most} has {channels}: only grey and RGB go together", counted(odd.channels));
        let cure = "pick the same channels of all images with `channels` in the data set's table";
        return Err(DataError::bad(Path::new(&odd.image), problem, cure));
    }
    let mut writer = PatchWriter::create(out, [count, params.size, params.size, channels])?;
    for (group, chunk) in entries.chunks(AT_A_TIME).enumerate() {
        let cut: Vec<Result<Vec<u8>, DataError>> = chunk
            .par_iter()
            .map(|entry| {
                let image = dataset.read_image(entry)?;
                Ok(corners(entry).iter().flat_map(|&corner| patch(&image, corner, params.size, channels)).collect())
            })
            .collect();
        for (i, (entry, bytes)) in chunk.iter().zip(cut).enumerate() {
            writer.write(entry, &corners(entry), &bytes?)?;
            progress(group * AT_A_TIME + i + 1, entries.len());
        }
    }
    writer.finish()?;
    Ok(count)
}

/// `size` × `size` pixels from (left, top), mirrored outside the image. Grey is repeated if `channels` is 3.
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
