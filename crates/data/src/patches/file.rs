//! The files of patches: written patch by patch, read through a memory map.

use crate::{DataError, Entry, MOST_CHANNELS};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Name of the tensor in the file.
const TENSOR: &str = "patches";

/// One patch.
#[derive(Clone, Copy, Debug)]
pub struct Patch<'a> {
    /// u8 `[size, size, channels]`.
    pub pixels: &'a [u8],
    /// Side in pixels.
    pub size: usize,
    /// 1 to 8.
    pub channels: usize,
}

/// The patches of one or more files, one after the other. A file holds the tensor `"patches"`, u8 `[n, size, size, channels]`.
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
    /// The file of patches that a stage leaves.
    pub const FILE: &'static str = "patches.safetensors";
    /// The file beside it with a row for each patch: image, x and y of its top left corner, split.
    pub const INDEX: &'static str = "index.csv";

    /// Opens one file.
    ///
    /// # Errors
    /// [`DataError`] if it is missing or not a file of patches.
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
            let (file, file_size) = map_file(path, before)?;
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

    /// The number of channels of each file's patches.
    pub fn channels_by_file(&self) -> impl Iterator<Item = usize> + '_ {
        self.files.iter().map(|file| file.channels)
    }

    /// The largest number of channels of a patch: of grey and RGB patches, 3 if there are colours.
    pub fn channels(&self) -> usize {
        self.files.iter().map(|file| file.channels).max().unwrap_or(1)
    }

    /// Patch `i`, directly from the mapped file.
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

fn map_file(path: &Path, before: usize) -> Result<(MappedFile, usize), DataError> {
    let wrong = |problem: String| DataError::bad(path, problem, "run the patchify stage again");
    let file = File::open(path).map_err(DataError::reading(path))?;
    // SAFETY: files of patches are objects of the cache: written once, read-only afterwards, and never truncated.
    let map = unsafe { Mmap::map(&file) }.map_err(DataError::reading(path))?;
    let tensors = SafeTensors::deserialize(&map).map_err(|error| wrong(format!("not a file of patches ({error})")))?;
    let patches = tensors.tensor(TENSOR).map_err(|_| wrong(format!("holds no tensor `{TENSOR}`")))?;
    let (count, size, channels) = match (patches.dtype(), patches.shape()) {
        (Dtype::U8, &[count, size, width, channels]) if size == width && (1..=MOST_CHANNELS).contains(&channels) => {
            (count, size, channels)
        }
        (dtype, shape) => return Err(wrong(format!("its `{TENSOR}` are {dtype:?} {shape:?}"))),
    };
    // The tensor's offset in the map, which outlives the borrowed view.
    let offset = patches.data().as_ptr() as usize - map.as_ptr() as usize;
    Ok((MappedFile { map, offset, count, channels, before }, size))
}

/// Writes [`Patches::FILE`] and [`Patches::INDEX`], image by image.
pub(super) struct PatchWriter {
    patches: BufWriter<File>,
    index: csv::Writer<File>,
    path: PathBuf,
    index_path: PathBuf,
}

impl PatchWriter {
    /// Creates both files in `folder`, for patches of `shape` = `[n, size, size, channels]`.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(super) fn create(folder: &Path, shape: [usize; 4]) -> Result<Self, DataError> {
        let (path, index_path) = (folder.join(Patches::FILE), folder.join(Patches::INDEX));
        let file = File::create(&path).map_err(DataError::writing(&path))?;
        let mut patches = BufWriter::with_capacity(1 << 20, file);
        patches.write_all(&header(shape)).map_err(DataError::writing(&path))?;
        let mut index = csv::Writer::from_path(&index_path).map_err(writing_csv(&index_path))?;
        index.write_record(["image", "x", "y", "split"]).map_err(writing_csv(&index_path))?;
        Ok(PatchWriter { patches, index, path, index_path })
    }

    /// Appends the patches of one image: their top left corners (x, y), and the pixels of all of them.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(super) fn write(&mut self, entry: &Entry, corners: &[(usize, usize)], pixels: &[u8]) -> Result<(), DataError> {
        self.patches.write_all(pixels).map_err(DataError::writing(&self.path))?;
        for (x, y) in corners {
            let record = [entry.image.as_str(), &x.to_string(), &y.to_string(), entry.split.name()];
            self.index.write_record(record).map_err(writing_csv(&self.index_path))?;
        }
        Ok(())
    }

    /// Writes what is still in buffers.
    ///
    /// # Errors
    /// [`DataError::Write`].
    pub(super) fn finish(mut self) -> Result<(), DataError> {
        self.patches.flush().map_err(DataError::writing(&self.path))?;
        self.index.flush().map_err(DataError::writing(&self.index_path))
    }
}

fn writing_csv(path: &Path) -> impl FnOnce(csv::Error) -> DataError + '_ {
    move |error| DataError::writing(path)(error.into())
}

/// The start of a safetensors file: the header's length and the header, padded so that data starts at a multiple of 8. The
/// safetensors crate writes only tensors that are in memory as a whole.
fn header(shape: [usize; 4]) -> Vec<u8> {
    let bytes: usize = shape.iter().product();
    let [count, height, width, channels] = shape;
    let mut json = format!(
        r#"{{"{TENSOR}":{{"dtype":"U8","shape":[{count},{height},{width},{channels}],"data_offsets":[0,{bytes}]}}}}"#
    );
    while json.len() % 8 != 0 {
        json.push(' ');
    }
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.extend_from_slice(json.as_bytes());
    header
}
