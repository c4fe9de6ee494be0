//! Files of patches, mapped into memory.

use crate::data::DataError;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::path::{Path, PathBuf};

/// One patch.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// u8 `[size, size, channels]`.
    pub pixels: &'a [u8],
    /// Side in pixels.
    pub size: usize,
    /// 1 or 3.
    pub channels: usize,
}

/// The patches of one or more files, one after the other.
pub struct Patches {
    files: Vec<MappedFile>,
    size: usize,
}

struct MappedFile {
    map: Mmap,
    /// Where the tensor's bytes start.
    offset: usize,
    count: usize,
    channels: usize,
    /// Patches in the files before this one.
    before: usize,
}

impl Patches {
    /// Opens one file.
    ///
    /// # Errors
    /// [`DataError`] if it is missing or no file of patches.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Patches::open_all(&[path.to_path_buf()])
    }

    /// Opens several files as one; the patches keep the order of `paths`. Files may differ in channels.
    ///
    /// # Errors
    /// [`DataError`] as [`Patches::open`], and if the patches differ in size.
    pub fn open_all(paths: &[PathBuf]) -> Result<Self, DataError> {
        let (mut files, mut size, mut before) = (Vec::new(), 0, 0);
        for path in paths {
            let (file, file_size) = map(path, before)?;
            if !files.is_empty() && file_size != size {
                let problem = format!("holds patches of {file_size} pixels, the files before it of {size}");
                return Err(DataError::bad(path, problem, "cut all patches to one `size`"));
            }
            size = file_size;
            before += file.count;
            files.push(file);
        }
        Ok(Patches { files, size })
    }

    /// How many patches there are.
    pub fn len(&self) -> usize {
        self.files.last().map_or(0, |file| file.before + file.count)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Side of every patch in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Patch `i`, straight from the map.
    ///
    /// # Panics
    /// If `i` is not below [`Patches::len`], as with a slice.
    pub fn get(&self, i: usize) -> Patch<'_> {
        assert!(i < self.len(), "patch {i} of {}", self.len());
        let file = &self.files[self.files.partition_point(|file| file.before + file.count <= i)];
        let bytes = self.size * self.size * file.channels;
        let start = file.offset + (i - file.before) * bytes;
        Patch { pixels: &file.map[start..start + bytes], size: self.size, channels: file.channels }
    }
}

fn map(path: &Path, before: usize) -> Result<(MappedFile, usize), DataError> {
    let wrong = |problem: String| DataError::bad(path, problem, "run the patchify stage again");
    let file = File::open(path).map_err(DataError::reading(path))?;
    // SAFETY: files of patches are objects of the cache: written once, then read-only, never truncated in place.
    let map = unsafe { Mmap::map(&file) }.map_err(DataError::reading(path))?;
    let tensors = SafeTensors::deserialize(&map).map_err(|error| wrong(format!("no file of patches ({error})")))?;
    let patches = tensors.tensor("patches").map_err(|_| wrong("holds no tensor `patches`".into()))?;
    let (count, size, channels) = match (patches.dtype(), patches.shape()) {
        (Dtype::U8, &[count, size, width, channels]) if size == width && matches!(channels, 1 | 3) => {
            (count, size, channels)
        }
        (dtype, shape) => return Err(wrong(format!("its `patches` are {dtype:?} {shape:?}"))),
    };
    // The tensor's place in the map, which outlives the borrowed view.
    let offset = patches.data().as_ptr() as usize - map.as_ptr() as usize;
    Ok((MappedFile { map, offset, count, channels, before }, size))
}
