//! The storages behind the tensors of a `.pth` file: runs of numbers, which tensors look at by offset, size and stride.

use super::foreign::unread;
use super::pickle::{Id, Object, Pickle, Result};
use candle_core::{DType, Device, Tensor};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// The type of a storage's numbers, by the name of PyTorch's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    name: &'static str,
    /// Bytes of a number.
    width: usize,
    /// What it becomes; none if the program has no use for it.
    dtype: Option<DType>,
}

const KINDS: [Kind; 12] = {
    const fn kind(name: &'static str, width: usize, dtype: Option<DType>) -> Kind {
        Kind { name, width, dtype }
    }
    [
        kind("FloatStorage", 4, Some(DType::F32)),
        kind("DoubleStorage", 8, Some(DType::F64)),
        kind("HalfStorage", 2, Some(DType::F16)),
        kind("BFloat16Storage", 2, Some(DType::BF16)),
        kind("LongStorage", 8, Some(DType::I64)),
        kind("IntStorage", 4, Some(DType::I64)),
        kind("ByteStorage", 1, Some(DType::U8)),
        kind("BoolStorage", 1, Some(DType::U8)),
        // Met in checkpoints beside the weights: their width must be known to pass them over.
        kind("ShortStorage", 2, None),
        kind("CharStorage", 1, None),
        kind("ComplexFloatStorage", 8, None),
        kind("ComplexDoubleStorage", 16, None),
    ]
};

/// What a persistent id of PyTorch's says of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StorageRef {
    pub(super) key: String,
    kind: Kind,
    /// Numbers in the whole storage.
    numbers: usize,
    /// Where the part that is meant begins, in numbers (views, in files of PyTorch 0.1 to 0.3).
    first: usize,
}

impl StorageRef {
    /// Reads the persistent id `('storage', class, key, location, numbers[, view])`; none if it is another thing.
    ///
    /// # Errors
    /// If the class is unknown or a part is missing.
    pub(super) fn read(pickle: &Pickle<'_>, id: Id) -> Result<Option<Self>> {
        let Some([tag, class, key, _, numbers, view @ ..]) = pickle.tuple(id) else { return Ok(None) };
        if pickle.text(*tag) != Some("storage") {
            return Ok(None);
        }
        let Object::Global(_, class) = pickle.get(*class) else { return Err("a storage without a class".into()) };
        let kind = KINDS.into_iter().find(|kind| kind.name == *class);
        let kind = kind.ok_or_else(|| format!("it holds a {class}, which is not read"))?;
        let view = view.first().and_then(|&view| pickle.tuple(view));
        let first = view.map_or(Some(0), |view| pickle.count(*view.get(1)?));
        match (pickle.text(*key), pickle.count(*numbers), first) {
            (Some(key), Some(numbers), Some(first)) => {
                Ok(Some(StorageRef { key: key.to_owned(), kind, numbers, first }))
            }
            _ => Err("a storage without a key or a size".into()),
        }
    }

    /// Whether both are the same storage, or parts of it.
    pub(super) fn same(&self, other: &Self) -> bool {
        (&self.key, self.kind, self.numbers) == (&other.key, other.kind, other.numbers)
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// If it has no possible size.
    pub(super) fn bytes(&self) -> Result<usize> {
        self.numbers.checked_mul(self.kind.width).ok_or_else(|| format!("storage {} has no possible size", self.key))
    }
}

/// Where storages are kept.
pub(super) enum Storages<'b> {
    /// In a zip archive: one stored entry each, named by key under this prefix.
    Zip(Box<ZipArchive<Cursor<&'b [u8]>>>, String),
    /// One after the other, by key.
    Legacy(BTreeMap<String, &'b [u8]>),
}

impl<'b> Storages<'b> {
    /// Finds the storages of a legacy file: the pickled list of their keys, then, for each key, the count of its numbers
    /// (int64) and they themselves. What a number is stands in the pickle of the tensors alone.
    ///
    /// # Errors
    /// If the file is cut off, or a storage is of another size than the tensors say.
    pub(super) fn legacy(tensors: &Pickle<'_>, mut bytes: &'b [u8]) -> Result<Self> {
        let mut known = BTreeMap::new();
        for object in tensors.objects() {
            if let Object::Persistent(id) = object
                && let Some(storage) = StorageRef::read(tensors, *id)?
            {
                known.insert(storage.key.clone(), storage);
            }
        }
        let keys = Pickle::read(bytes)?;
        let Object::List(list) = keys.get(keys.root()) else { return Err("it has no list of storages".into()) };
        bytes = &bytes[keys.length..];
        let mut found = BTreeMap::new();
        for &key in list {
            let key = keys.text(key).ok_or("a storage without a key")?;
            let storage = known.get(key).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
            let cut_off = || format!("the file is cut off: storage {key} is not whole");
            let (count, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut_off)?;
            if usize::try_from(i64::from_le_bytes(*count)) != Ok(storage.numbers) {
                return Err(format!("storage {key} has another size than its tensors say"));
            }
            let (numbers, rest) = rest.split_at_checked(storage.bytes()?).ok_or_else(cut_off)?;
            found.insert(key.to_owned(), numbers);
            bytes = rest;
        }
        Ok(Storages::Legacy(found))
    }

    /// The bytes of `storage`.
    ///
    /// # Errors
    /// If it is not there or is of another size.
    pub(super) fn bytes(&mut self, storage: &StorageRef) -> Result<Cow<'b, [u8]>> {
        let (key, expected) = (storage.key.as_str(), storage.bytes()?);
        let bytes: Cow<'b, [u8]> = match self {
            Storages::Legacy(found) => (*found.get(key).ok_or_else(|| format!("storage {key} is missing"))?).into(),
            Storages::Zip(archive, prefix) => {
                let name = format!("storage {key}");
                let entry = archive.by_name(&format!("{prefix}data/{key}")).map_err(|error| unread(&name, &error))?;
                let mut bytes = Vec::new();
                // One more than expected, so that the end is met and the checksum compared.
                entry.take(expected as u64 + 1).read_to_end(&mut bytes).map_err(|error| unread(&name, &error))?;
                bytes.into()
            }
        };
        if bytes.len() != expected {
            return Err(format!("storage {key} has another size than its tensors say"));
        }
        Ok(bytes)
    }
}

/// How a tensor looks at its storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) storage: StorageRef,
    /// In numbers.
    pub(super) offset: usize,
    pub(super) size: Vec<usize>,
    /// In numbers; of as many dimensions as `size`.
    pub(super) stride: Vec<usize>,
}

impl View {
    /// Bytes that the tensor takes in memory; none if they cannot be counted.
    pub(super) fn memory(&self) -> Option<usize> {
        let width = self.storage.kind.dtype.map_or(1, |dtype| dtype.size_in_bytes());
        self.size.iter().try_fold(width, |product, &size| product.checked_mul(size))
    }

    /// The tensor, with the storage's bytes; int32 becomes int64, bool uint8.
    ///
    /// # Errors
    /// If it reaches beyond the storage, or is of a type that the program has no use for.
    pub(super) fn tensor(&self, storage: &[u8]) -> Result<Tensor> {
        let Kind { name, width, dtype } = self.storage.kind;
        let dtype = dtype.ok_or_else(|| format!("it is a {name}, which is not read"))?;
        let first = self.storage.first.checked_add(self.offset).ok_or("it reaches beyond its storage")?;
        let numbers = if self.size.contains(&0) {
            Cow::default()
        } else {
            let end = self.end(first).filter(|&end| end <= self.storage.numbers);
            let end = end.ok_or("it reaches beyond its storage")?;
            let storage = &storage[first * width..end * width];
            if self.is_contiguous() { storage.into() } else { self.gather(storage, width).into() }
        };
        let widened: Cow<'_, [u8]> = if name == "IntStorage" {
            let widen = |number: &[u8; 4]| i64::from(i32::from_le_bytes(*number)).to_le_bytes();
            numbers.as_chunks::<4>().0.iter().flat_map(widen).collect::<Vec<u8>>().into()
        } else {
            numbers
        };
        Tensor::from_raw_buffer(&widened, dtype, &self.size, &Device::Cpu).map_err(|error| error.to_string())
    }

    /// One past the last number of a tensor that is not empty.
    fn end(&self, first: usize) -> Option<usize> {
        let mut steps = self.size.iter().zip(&self.stride);
        steps.try_fold(first.checked_add(1)?, |end, (&size, &stride)| end.checked_add((size - 1).checked_mul(stride)?))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.size.iter().zip(&self.stride).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    /// The numbers in the order of a contiguous tensor, from `storage`, where the first one lies at 0.
    fn gather(&self, storage: &[u8], width: usize) -> Vec<u8> {
        let mut gathered = Vec::with_capacity(width * self.size.iter().product::<usize>());
        let (mut index, mut at) = (vec![0; self.size.len()], 0);
        'next: loop {
            gathered.extend_from_slice(&storage[at * width..][..width]);
            for dimension in (0..index.len()).rev() {
                if index[dimension] + 1 < self.size[dimension] {
                    index[dimension] += 1;
                    at += self.stride[dimension];
                    continue 'next;
                }
                at -= index[dimension] * self.stride[dimension];
                index[dimension] = 0;
            }
            return gathered;
        }
    }
}
