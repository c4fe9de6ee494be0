//! Files that are no weight files, and numbers that are none.

use super::super::{Request, check_bytes};
use super::Outcome;
use super::forms::{form, resnet};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;

fn refusal(bytes: &[u8]) -> String {
    check_bytes(bytes, &resnet().shapes(), &Request::default()).unwrap_err().to_string()
}

#[test]
fn other_files_are_named_with_the_cure() {
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let mut pickle = vec![7; 100];
    pickle[..2].copy_from_slice(b"\x80\x04");
    let mut tensorflow = vec![1u8; 100];
    tensorflow.extend(b"\x57\xfb\x80\x8b\x24\x75\x47\xdb");
    for (bytes, expected) in [
        (&b""[..], "it is empty: download or copy it again"),
        (&[0; 100], "nothing but zeros: download or copy it again"),
        (lfs.as_bytes(), "a Git LFS pointer, not the file itself: run `git lfs pull`"),
        (b"\n<!DOCTYPE html><html><head>", "a web page that was saved instead of the file: download the file itself"),
        (b"\xef\xbb\xbf<html>\n<body>Sign in</body></html>", "a web page"),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "a server's answer (XML)"),
        (
            b"{\"message\": \"Not Found\", \"status\": 404}",
            "a text file, which begins with \"{\"message\": \"Not Found\"",
        ),
        (b"outs:\n- md5: 1234\n  path: a.pth\n", "a DVC pointer, not the file itself: run `dvc pull`"),
        (b"/annex/objects/SHA256E-s1--ab.pth\n", "git-annex pointer"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file, as Keras writes them"),
        (b"\x93NUMPY\x01\0", "an array of numpy"),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x80", "an ONNX model"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "compressed (gzip): unpack it first"),
        (&tar, "a tar archive: unpack it"),
        (&tensorflow, "a checkpoint of TensorFlow"),
        (&pickle, "a pickle that `torch.save` has not written"),
        (b"\x01\x02\x03", "only 3 bytes: download or copy it again"),
        (&[7; 200], "neither a safetensors file nor a file of `torch.save`"),
    ] {
        let error = refusal(bytes);
        assert!(error.contains("is no weight file: it") && error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn a_file_that_is_cut_off_at_any_place_says_so() {
    for name in ["timm.safetensors", "torchvision.pth", "micronet.pth.tar"] {
        let bytes = form(name);
        for part in [9, bytes.len() / 3, bytes.len() / 2, bytes.len() - 1] {
            let error = refusal(&bytes[..part]);
            let short = part < 64;
            assert!(short || error.contains("cut off"), "{name} at {part}: {error}");
            assert!(error.contains("download or copy it again"), "{name} at {part}: {error}");
        }
    }
    let mut longer = form("timm.safetensors");
    longer.push(0);
    assert!(refusal(&longer).contains("is damaged"), "{}", refusal(&longer));
}

#[test]
fn archives_of_others_are_named() {
    // A zip archive with one stored, empty file of this name.
    let archive = |name: &str| {
        let mut zip = Vec::new();
        let length = (name.len() as u16).to_le_bytes();
        zip.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        zip.extend(length);
        zip.extend(b"\0\0");
        zip.extend(name.as_bytes());
        let start = zip.len() as u32;
        zip.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        zip.extend(length);
        zip.extend([0; 16]);
        zip.extend(name.as_bytes());
        let size = zip.len() as u32 - start;
        zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        zip.extend(size.to_le_bytes());
        zip.extend(start.to_le_bytes());
        zip.extend(b"\0\0");
        zip
    };
    for (name, expected) in [
        ("conv1.weight.npy", "an archive of numpy (.npz)"),
        ("model.weights.h5", "a model of Keras"),
        ("runs/best.pth", "a zip archive that holds runs/best.pth: unpack it"),
        ("a.txt", "a zip archive without data.pkl"),
    ] {
        assert!(refusal(&archive(name)).contains(expected), "{}", refusal(&archive(name)));
    }
}

#[test]
fn numbers_that_are_none_are_named() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("w.safetensors");
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    for (name, shape) in resnet().shapes() {
        let dtype = if shape.is_empty() { DType::I64 } else { DType::F32 };
        tensors.insert(name, Tensor::ones(shape, dtype, &Device::Cpu)?);
    }
    tensors.insert("fc.weight".into(), Tensor::new(&[f32::NAN], &Device::Cpu)?);
    candle_core::safetensors::save(&tensors, &path)?;
    check_bytes(&std::fs::read(&path)?, &resnet().shapes(), &Request::default())?;
    tensors.insert("bn1.bias".into(), Tensor::new(&[f32::INFINITY], &Device::Cpu)?);
    tensors.insert("layer1.0.bn1.running_var".into(), Tensor::new(&[f64::NAN], &Device::Cpu)?);
    candle_core::safetensors::save(&tensors, &path)?;
    let error = refusal(&std::fs::read(&path)?);
    for part in [
        "holds NaN or infinite numbers in 2 of its tensors:",
        "\n  bn1.bias: 1 of 1",
        "\n  layer1.0.bn1.running_var: 1 of 1",
        "take an earlier checkpoint",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let zeros: HashMap<String, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), tensor.zeros_like()?)))
        .collect::<candle_core::Result<_>>()?;
    tensors.insert("bn1.bias".into(), Tensor::new(&[-1f32], &Device::Cpu)?);
    tensors.insert("layer1.0.bn1.running_var".into(), Tensor::new(&[-1e-9f64], &Device::Cpu)?);
    candle_core::safetensors::save(&tensors, &path)?;
    let error = refusal(&std::fs::read(&path)?);
    let expected = "holds negative variances in 1 of its tensors:\n  layer1.0.bn1.running_var: 1 of 1\n";
    assert!(error.contains(expected), "{error}");
    candle_core::safetensors::save(&zeros, &path)?;
    let error = refusal(&std::fs::read(&path)?);
    assert!(error.contains("holds nothing but zeros in the convolutions of the network"), "{error}");
    Ok(())
}
