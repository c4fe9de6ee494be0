//! Files that are no weight files, by their first bytes, with the cure for each.

use std::fmt::Display;

/// A file of which this many bytes are text is called a text file.
const TEXT: usize = 512;
/// No weight file is as short as this.
const SHORT: usize = 64;
/// Compressed files, by their first bytes.
const COMPRESSED: [(&[u8], &str); 6] = [
    (b"\x1f\x8b", "gzip"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
];
/// Files of other programs, by their first bytes.
const OTHERS: [(&[u8], &str); 7] = [
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes them: only weights of PyTorch are read"),
    (b"\x93NUMPY", "an array of numpy (.npy): save the weights with `torch.save` or as safetensors"),
    (b"GGUF", "a GGUF file: only weights of PyTorch are read"),
    (b"MATLAB", "a MATLAB file: only weights of PyTorch are read"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"%PDF", "a PDF file"),
];
/// The last bytes of a table of LevelDB, as TensorFlow's `.index` files and old checkpoints are.
const LEVELDB: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";
/// How PyTorch's pickles begin: protocol 2 to 5.
const PICKLES: [&[u8]; 4] = [b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"];

/// What `bytes` are and what to do, if they are a known kind of file that holds no weights.
pub(super) fn reason(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("it is empty: download or copy it again".into());
    }
    if bytes.iter().all(|&byte| byte == 0) {
        return Some("it holds nothing but zeros: download or copy it again".into());
    }
    if let Some((_, name)) = COMPRESSED.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(format!("it is compressed ({name}): unpack it first"));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Some(format!("it is {what}"));
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(
            "it is a tar archive: unpack it, and give the file inside; if that is sys_info, pickle, tensors and \
             storages, it is of PyTorch before 0.2: load it with PyTorch 1.x, and save it again"
                .into(),
        );
    }
    if bytes.ends_with(LEVELDB) {
        return Some("it is a checkpoint of TensorFlow: only weights of PyTorch are read".into());
    }
    // The version of ONNX's format, then the name of the program that wrote it, or the graph.
    if let [0x08, 3..=32, 0x12 | 0x1a | 0x3a | 0x42, ..] = bytes {
        return Some("it is an ONNX model: give the weights of PyTorch that it was made from".into());
    }
    if let [0x08, 1..=2, 0x12, ..] = bytes {
        return Some("it is a model of TensorFlow: only weights of PyTorch are read".into());
    }
    text(bytes)
}

/// What to say of bytes that begin like no file that is known.
pub(super) fn unknown(bytes: &[u8]) -> String {
    if bytes.len() < SHORT {
        return format!("it has only {} bytes: download or copy it again", bytes.len());
    }
    if PICKLES.iter().any(|start| bytes.starts_with(start)) {
        return "it is a pickle that `torch.save` has not written: load it in Python, and save its tensors with \
                `torch.save`"
            .into();
    }
    "it is neither a safetensors file nor a file of `torch.save` (a zip archive or, before 1.6, a legacy file)".into()
}

/// What to do about a file that is damaged.
pub(super) fn with_cure(reason: String) -> String {
    const DAMAGED: [&str; 5] = ["cut off", "hecksum", "another size than", "is damaged", "not found"];
    if DAMAGED.iter().any(|word| reason.contains(word)) {
        format!("{reason}: download or copy it again")
    } else {
        reason
    }
}

/// What to say of the file `name` in an archive that cannot be read.
pub(super) fn unread(name: &str, error: &dyn Display) -> String {
    let text = format!("{name}: {error}");
    if text.contains("not supported") {
        format!(
            "{text}: the archive was packed again after `torch.save`; load it in Python, and save it again with `torch.save`"
        )
    } else {
        text
    }
}

/// What a text file is.
fn text(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(TEXT)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character that is cut at the end.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let lower = text.to_lowercase();
    if text.starts_with("version https://git-lfs.github.com/spec/") {
        return Some("it is a Git LFS pointer, not the file itself: run `git lfs pull`".into());
    }
    if lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.contains("<html") {
        return Some("it is a web page that was saved instead of the file: download the file itself again".into());
    }
    if lower.starts_with("<?xml") || lower.starts_with('<') {
        return Some("it is a server's answer (XML), saved instead of the file: download the file itself again".into());
    }
    if text.starts_with("outs:") || text.starts_with("md5:") {
        return Some("it is a DVC pointer, not the file itself: run `dvc pull`".into());
    }
    if text.contains("/annex/objects/") {
        return Some("it is a git-annex pointer, not the file itself: run `git annex get` (or `datalad get`)".into());
    }
    let first: String = text.lines().next().unwrap_or_default().chars().take(40).collect();
    Some(format!("it is a text file, which begins with \"{first}\": download the file itself"))
}
