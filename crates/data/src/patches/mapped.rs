//! Files of patches, mapped into memory.

use crate::DataError;
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

    /// The most channels that a patch has: 3 if there are colours.
    pub fn channels(&self) -> usize {
        self.files.iter().map(|file| file.channels).max().unwrap_or(1)
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

#[cfg(test)]
mod tests {
    use super::super::{Edge, INDEX, PATCHES, PatchParams, Use, cut};
    use super::*;
    use crate::{Entry, Manifest, OpenDataset, Root, Split};
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use std::collections::BTreeMap;

    /// Images of 10 × 7 pixels whose values say where they are; `colour` makes the unlabelled one RGB.
    fn dataset(root: &Path, colour: bool) -> OpenDataset {
        let mut images = Vec::new();
        for (name, split) in
            [("a.png", Split::Test), ("b.png", Split::Train), ("c.png", Split::Unlabeled), ("d.png", Split::Val)]
        {
            let path = root.join(name);
            let is_colour = colour && split == Split::Unlabeled;
            if is_colour {
                RgbImage::from_fn(10, 7, |x, y| Rgb([(10 * y + x) as u8, 1, 2])).save(&path).unwrap();
            } else {
                GrayImage::from_fn(10, 7, |x, y| Luma([(10 * y + x) as u8])).save(&path).unwrap();
            }
            images.push(Entry {
                image: name.into(),
                image_digest: blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string(),
                mask: None,
                mask_digest: None,
                width: 10,
                height: 7,
                resized_from: None,
                specimen: None,
                channels: if is_colour { 3 } else { 1 },
                split,
                class_pixels: Vec::new(),
            });
        }
        let manifest = Manifest {
            format: "folder".into(),
            classes: Vec::new(),
            ignore_classes: Vec::new(),
            label_values: BTreeMap::new(),
            label_colors: BTreeMap::new(),
            bits: None,
            images,
        };
        OpenDataset::new(manifest, Root::Folder(root.into()))
    }

    fn cut_all(colour: bool, params: &PatchParams) -> (tempfile::TempDir, usize) {
        let root = tempfile::tempdir().unwrap();
        let count = cut(&dataset(root.path(), colour), params, root.path(), &mut |_, _| {}).unwrap();
        (root, count)
    }

    #[test]
    fn what_was_cut_is_what_is_mapped_and_test_images_stay_out() {
        let params = PatchParams { size: 4, overlap: 0.25, edge: Edge::Shift, from: Use::AllButTest };
        let (grey, count) = cut_all(false, &params);
        // Columns 0, 3, 6; rows 0, 3.
        assert_eq!(count, 18);
        let index = std::fs::read_to_string(grey.path().join(INDEX)).unwrap();
        let lines: Vec<&str> = index.lines().collect();
        assert_eq!(lines[..3], ["image,x,y,split", "b.png,0,0,train", "b.png,3,0,train"]);
        assert_eq!((lines[6], lines[18], lines.len()), ("b.png,6,3,train", "d.png,6,3,val", 19));
        assert!(!index.contains("a.png"));
        let (colour, _) = cut_all(true, &params);
        let paths = [grey.path().join(PATCHES), colour.path().join(PATCHES)];
        let patches = Patches::open_all(&paths).unwrap();
        assert_eq!((patches.len(), patches.size(), patches.is_empty()), (36, 4, false));
        let expected = [36, 37, 38, 39, 46, 47, 48, 49, 56, 57, 58, 59, 66, 67, 68, 69];
        assert_eq!((patches.get(5).pixels, patches.get(5).channels), (&expected[..], 1));
        // In a file with one RGB image grey ones are repeated.
        assert_eq!(patches.get(18 + 5).pixels[..6], [36, 36, 36, 37, 37, 37]);
        assert_eq!(patches.get(18 + 6 + 5).pixels[..6], [36, 1, 2, 37, 1, 2]);
        // The crate agrees with the header written by hand.
        let bytes = std::fs::read(&paths[0]).unwrap();
        let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!((header % 8, metadata.data_len()), (0, 18 * 16));
    }

    #[test]
    fn impossible_wishes_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let data = dataset(root.path(), false);
        let params = PatchParams { size: 8, overlap: 0.0, edge: Edge::Drop, from: Use::Train };
        let error = cut(&data, &params, root.path(), &mut |_, _| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "folder: no image holds a patch of 8 pixels, the largest is 10×7; change `use`, `size` or `edge`"
        );
        let padded = PatchParams { edge: Edge::Pad, ..params };
        assert_eq!(cut(&data, &padded, root.path(), &mut |_, _| {}).unwrap(), 2);
        let eight = root.path().join(PATCHES);
        let (four, _) = cut_all(false, &PatchParams { size: 4, ..params });
        let error = Patches::open_all(&[four.path().join(PATCHES), eight.clone()]).err().unwrap().to_string();
        assert!(error.ends_with("holds patches of 8 pixels, the files before it of 4; cut all patches to one `size`"));
        let mut bytes = std::fs::read(&eight).unwrap();
        bytes.pop();
        std::fs::write(&eight, bytes).unwrap();
        assert!(Patches::open(&eight).err().unwrap().to_string().contains("no file of patches"));
        assert_eq!(Patches::open(&root.path().join("none")).err().unwrap().exit_code(), 4);
    }
}
