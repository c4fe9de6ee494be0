use super::super::weight_file::WeightFile;
use super::super::{WeightsError, load};
use super::MAGIC;
use candle_core::{DType, Device, Tensor};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use matssl_tensor::{Parameters, Role};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use zip::ZipArchive;

/// Made by testdata/generate.py.
const FILES: [(&str, &[u8]); 4] = [
    ("zip", include_bytes!("../testdata/zip.pth")),
    ("legacy", include_bytes!("../testdata/legacy.pth")),
    ("training-zip", include_bytes!("../testdata/training-zip.pth")),
    ("training-legacy", include_bytes!("../testdata/training-legacy.pth")),
];

fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// The tensors of the first dictionary that holds any.
fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let mut file = WeightFile::parse(bytes)?;
    let mut found = BTreeMap::new();
    let wanted = file.groups[0].tensors.iter().map(|(name, stored)| (name.as_str(), stored));
    file.numbers.read(wanted, |name, tensor| {
        found.insert(name.to_owned(), tensor);
        Ok(())
    })?;
    Ok(found)
}

#[test]
fn both_layouts_give_what_pytorch_saved() {
    let half = 3e38f32.to_bits().next_multiple_of(1 << 16);
    let expected: [(&str, DType, &[usize], Vec<f64>); 15] = [
        ("bfloat16", DType::BF16, &[2], vec![0.5, -f64::from(f32::from_bits(half))]),
        ("bool", DType::U8, &[2], vec![1.0, 0.0]),
        ("channels_last", DType::F32, &[2, 3, 2, 2], (0..24).map(f64::from).collect()),
        ("empty", DType::F32, &[0, 3], vec![]),
        ("expanded", DType::F32, &[2, 2], vec![5.0; 4]),
        ("float16", DType::F16, &[2], vec![0.5, -65504.0]),
        ("float32", DType::F32, &[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
        ("float64", DType::F64, &[2], vec![1.0 / 3.0, -2.0]),
        ("int32", DType::I64, &[2, 1], vec![-5.0, 2147483647.0]),
        ("int64", DType::I64, &[2], vec![-1099511627776.0, 3.0]),
        ("parameter", DType::F32, &[2], vec![1.5, 2.5]),
        ("scalar", DType::I64, &[], vec![7.0]),
        ("steps", DType::F32, &[2, 3], vec![7.0, 9.0, 11.0, 13.0, 15.0, 17.0]),
        ("transposed", DType::F32, &[3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]),
        ("uint8", DType::U8, &[2], vec![0.0, 255.0]),
    ];
    for (file, bytes) in &FILES[..2] {
        let tensors = read(bytes).unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), expected.iter().map(|(name, ..)| name).collect::<Vec<_>>());
        for (name, dtype, shape, numbers) in &expected {
            let tensor = &tensors[*name];
            assert_eq!((tensor.dtype(), tensor.dims()), (*dtype, *shape), "{file}: {name}");
            assert_eq!(&values(tensor), numbers, "{file}: {name}");
        }
    }
}

/// Under `model` in the one, `state_dict` in the other, beside objects of unknown classes; pickle protocol 4.
#[test]
fn weights_are_found_inside_a_training_checkpoint() {
    for (file, bytes) in &FILES[2..] {
        let tensors = read(bytes).unwrap();
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["weight"], "{file}");
        assert_eq!(values(&tensors["weight"]), [0.0, 1.0], "{file}");
    }
}

/// How the files of an archive are packed.
#[derive(Clone, Copy)]
enum Packed {
    /// As they are: PyTorch's way.
    Stored = 0,
    Deflated = 8,
    /// By a method that is not read.
    Bzip2 = 12,
}

/// The files of the archive FILES[0] in an archive as PyTorch writes it under the name `stem` (`caffe2/serialize/inline_container.cc`
/// with miniz): each begins at a multiple of 64 bytes, behind a field "FB"; after the list of files, the end record of zip64, its
/// locator, and the end record.
fn archive(stem: &str, packed: Packed) -> Vec<u8> {
    let mut original = ZipArchive::new(Cursor::new(FILES[0].1)).unwrap();
    let (mut zip, mut list) = (Vec::new(), Vec::new());
    for index in 0..original.len() {
        let mut entry = original.by_index(index).unwrap();
        let name = format!("{stem}/{}", entry.name().unwrap().split_once('/').unwrap().1);
        let (mut content, crc, size) = (Vec::new(), entry.crc32(), entry.size() as u32);
        entry.read_to_end(&mut content).unwrap();
        if let Packed::Deflated = packed {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&content).unwrap();
            content = encoder.finish().unwrap();
        }
        let start = zip.len() as u32;
        let padding = 64 - (zip.len() + 30 + name.len() + 4) % 64;
        let version = [&b"\0\0\0\x08"[..], &(packed as u16).to_le_bytes(), &[0; 4], &crc.to_le_bytes()].concat();
        let sizes = [(content.len() as u32).to_le_bytes(), size.to_le_bytes()].concat();
        let length = (name.len() as u16).to_le_bytes();
        let extra = ((padding + 4) as u16).to_le_bytes();
        zip.extend([b"PK\x03\x04", &version[..], &sizes, &length, &extra, name.as_bytes()].concat());
        zip.extend([b"FB", &(padding as u16).to_le_bytes()[..], &b"Z".repeat(padding), &content].concat());
        list.extend([b"PK\x01\x02\0\0", &version[..], &sizes, &length, &[0; 12], &start.to_le_bytes()].concat());
        list.extend(name.as_bytes());
    }
    let (count, size, start) = (original.len() as u64, list.len() as u64, zip.len() as u64);
    let numbers = |numbers: &[u64]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let short = [&(count as u16).to_le_bytes()[..], &(count as u16).to_le_bytes()].concat();
    zip.extend(list);
    zip.extend([b"PK\x06\x06", &numbers(&[44])[..], b"\x1e\x03\x2d\0", &[0; 8]].concat());
    zip.extend(numbers(&[count, count, size, start]));
    zip.extend([b"PK\x06\x07", &[0; 4][..], &numbers(&[start + size]), b"\x01\0\0\0"].concat());
    zip.extend([b"PK\x05\x06\0\0\0\0", &short[..]].concat());
    zip.extend([&(size as u32).to_le_bytes()[..], &(start as u32).to_le_bytes(), &[0; 2]].concat());
    zip
}

/// With 21 letters, the first file's record in the list is as long as the records of zip64 after it.
#[test]
fn archives_of_any_name_are_read() {
    for length in 1..=64 {
        let tensors = read(&archive(&"n".repeat(length), Packed::Stored));
        let tensors = tensors.unwrap_or_else(|error| panic!("a name of {length} letters: {error}"));
        assert_eq!((tensors.len(), values(&tensors["int64"])), (15, vec![-1099511627776.0, 3.0]), "{length}");
    }
}

#[test]
fn archives_that_were_packed_again_are_read_or_named() {
    let tensors = read(&archive("archive", Packed::Deflated)).unwrap();
    assert_eq!((tensors.len(), values(&tensors["int64"])), (15, vec![-1099511627776.0, 3.0]));
    let error = read(&archive("archive", Packed::Bzip2)).unwrap_err();
    let cure =
        "the archive was packed again after `torch.save`; load it in Python, and save it again with `torch.save`";
    assert_eq!(error, format!("data.pkl: compression method not supported: 12: {cure}"));
}

/// Reads every file of the folder in MATSSL_PTH, which Python wrote.
#[test]
fn all_files_of_a_folder_are_read() {
    let Some(folder) = std::env::var_os("MATSSL_PTH") else {
        println!("skipped: MATSSL_PTH is not set");
        return;
    };
    let (mut count, mut wrong) = (0, Vec::new());
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        count += 1;
        if let Err(error) = read(&std::fs::read(&path).unwrap()) {
            wrong.push(format!("{}: {error}", path.display()));
        }
    }
    println!("{count} files");
    assert!(wrong.is_empty() && count > 0, "{}", wrong.join("\n"));
}

/// A legacy file of one float32 tensor `w` over storage `0`.
struct Legacy {
    claimed: u64,
    offset: u64,
    size: Vec<u64>,
    stride: Vec<u64>,
    class: &'static str,
    rebuild: &'static str,
    numbers: Vec<f32>,
}

impl Legacy {
    fn new(size: &[u64], stride: &[u64]) -> Self {
        let (size, stride) = (size.to_vec(), stride.to_vec());
        let (class, rebuild) = ("FloatStorage", "_rebuild_tensor_v2");
        Legacy { claimed: 4, offset: 0, size, stride, class, rebuild, numbers: vec![1.0, 2.0, 3.0, 4.0] }
    }

    fn read(&self) -> Result<BTreeMap<String, Tensor>, String> {
        let number = |value: u64| [&b"\x8a\x08"[..], &value.to_le_bytes()].concat();
        let tuple =
            |values: &[u64]| [b"(", &values.iter().flat_map(|&v| number(v)).collect::<Vec<u8>>()[..], b"t"].concat();
        let file = [
            b"\x80\x02\x8a\x0a",
            MAGIC,
            b".\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}U\x01wctorch._utils\n",
            self.rebuild.as_bytes(),
            b"\n((U\x07storagectorch\n",
            self.class.as_bytes(),
            b"\nU\x010U\x03cpu",
            &number(self.claimed),
            b"NtQ",
            &number(self.offset),
            &tuple(&self.size),
            &tuple(&self.stride),
            b"\x89)tRs.\x80\x02]U\x010a.",
            &(self.numbers.len() as u64).to_le_bytes(),
            &self.numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>(),
        ];
        read(&file.concat())
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_before_memory_is_taken() {
    assert_eq!(values(&Legacy::new(&[2, 2], &[1, 2]).read().unwrap()["w"]), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(values(&Legacy::new(&[1, 4], &[u64::MAX >> 1, 1]).read().unwrap()["w"]), [1.0, 2.0, 3.0, 4.0]);
    let beyond = "w: it reaches beyond its storage";
    let memory = "its tensors claim more memory than a file of ";
    let other = "storage 0 has another size than its tensors say";
    let new = Legacy::new;
    for (file, expected) in [
        (new(&[5], &[1]), beyond),
        (Legacy { offset: 1, ..new(&[4], &[1]) }, beyond),
        (Legacy { offset: u64::MAX >> 1, ..new(&[1], &[1]) }, beyond),
        (new(&[2, 2], &[u64::MAX >> 1, 1]), beyond),
        (new(&[1 << 40, 1 << 40], &[0, 0]), memory),
        (new(&[1 << 40], &[0]), memory),
        (new(&[4], &[1, 1]), "w: a tensor without offset, size or stride"),
        (new(&[u64::MAX], &[1]), "w: a tensor without offset, size or stride"),
        (Legacy { claimed: 1 << 62, ..new(&[4], &[1]) }, other),
        (Legacy { claimed: 3, ..new(&[3], &[1]) }, other),
        (Legacy { class: "DoubleStorage", ..new(&[4], &[1]) }, "the file is cut off: storage 0 is not whole"),
        (Legacy { class: "QInt8Storage", ..new(&[4], &[1]) }, "it holds a QInt8Storage, which is not read"),
        (Legacy { class: "ShortStorage", ..new(&[4], &[1]) }, "w: it is a ShortStorage, which is not read"),
        (
            Legacy { rebuild: "_rebuild_sparse_tensor", ..new(&[4], &[1]) },
            "w: a sparse tensor, which is not read: save it as `tensor.to_dense()`",
        ),
        (
            Legacy { rebuild: "system", ..new(&[4], &[1]) },
            "it holds no tensors by name, at its top or in a dictionary inside",
        ),
    ] {
        let error = file.read().unwrap_err();
        assert!(error.starts_with(expected), "{error}, expected {expected}");
    }
}

fn fails_or_reads(bytes: &[u8]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.pth");
    std::fs::write(&path, bytes).unwrap();
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    parameters.insert("float32", Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap(), Role::Bias).unwrap();
    let error = load(&parameters, "", &path, false).err()?;
    let text = error.to_string();
    assert!(text.starts_with(path.to_str().unwrap()) && text.len() < 2000, "{text}");
    matches!(error, WeightsError::Format { .. }).then_some(text)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]
    #[test]
    fn damaged_files_are_errors_with_their_path(
        file in 0usize..4,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = FILES[file].1.to_vec();
        for (place, flip) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= flip;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
            prop_assert!(fails_or_reads(&bytes).is_some(), "a file cut off at {} was read", bytes.len());
        } else {
            fails_or_reads(&bytes);
        }
    }
}

#[test]
fn files_of_other_formats_are_refused() {
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (b"<html>", "it is a web page"),
        (&FILES[0].1[..100], "is no weight file"),
        (&FILES[1].1[..100], "the file is cut off"),
    ] {
        let error = fails_or_reads(bytes).unwrap();
        assert!(error.contains(expected), "{error}");
    }
    // A byte of a storage in the archive: its checksum tells.
    let mut bytes = FILES[0].1.to_vec();
    let place = bytes.windows(4).position(|window| window == 23f32.to_le_bytes()).unwrap();
    bytes[place] ^= 1;
    assert!(fails_or_reads(&bytes).unwrap().contains("hecksum"));
}
