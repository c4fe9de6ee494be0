//! `.pth` files of PyTorch's `torch.save`, in both layouts: the zip archive (since 1.6) and the legacy one before it
//! (`torch/serialization.py`, `_legacy_save`): pickles of a magic number, the protocol's version, facts about the
//! machine, the object, and the keys of its storages; then the storages.

use super::foreign::unread;
use super::pickle::{Id, Object, Pickle, Result};
use super::storage::{StorageRef, Storages, View};
use super::stored::{Group, Place, Stored};
use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config};

/// How a zip archive begins.
const ZIP: &[u8] = b"PK\x03\x04";
/// 0x1950a86a20f9469cfc6c, the first thing pickled into a legacy file.
const MAGIC: &[u8] = &[0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The magic number ends within so many bytes.
const MAGIC_WITHIN: usize = 32;
/// Version of the legacy layout.
const PROTOCOL: usize = 1001;
/// The pickle of a zip archive is read up to this size.
const MAX_PICKLE: u64 = 1 << 28;
/// The most dimensions, as in PyTorch.
const MAX_RANK: usize = 64;
/// Dictionaries inside dictionaries are looked through to this depth (VISSL: classy_state_dict, base_model, model, trunk).
const MAX_DEPTH: usize = 6;
/// What every pickled `torch.nn.Module` has among its attributes.
const MODULE_ATTRIBUTE: &str = "_parameters";

/// What a file of `torch.save` lists.
pub(super) struct Pth<'b> {
    /// Its dictionaries that hold tensors, outer ones first.
    pub(super) groups: Vec<Group>,
    /// The numbers.
    pub(super) storages: Storages<'b>,
    /// The class of a pickled `torch.nn.Module`, if it holds one.
    pub(super) module: Option<String>,
}

/// Whether `bytes` begin as a file of `torch.save`.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MAGIC_WITHIN)];
    bytes.starts_with(ZIP) || start.windows(MAGIC.len()).any(|window| window == MAGIC)
}

/// What the file lists. No number of a tensor is read.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read(bytes: &[u8]) -> Result<Pth<'_>> {
    if bytes.starts_with(ZIP) { read_zip(bytes) } else { read_legacy(bytes) }
}

fn read_zip(bytes: &[u8]) -> Result<Pth<'_>> {
    // The end of the archive lists its files: without it there is nothing to read.
    // It begins with the file, as `is_one` knows. Where to begin must not be guessed: PyTorch writes records of zip64 after the
    // list, and the guess takes the second file of the list for the first if the first one's record is as long as they are.
    let begins = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(begins, Cursor::new(bytes))
        .map_err(|error| format!("the file is cut off or damaged ({error})"))?;
    let names: Vec<String> = archive.file_names().flatten().map(|name| name.to_string()).collect();
    // PyTorch names the folder inside after the file.
    let prefix = names.iter().filter_map(|name| name.strip_suffix("data.pkl")).min_by_key(|prefix| prefix.len());
    let prefix = prefix.ok_or_else(|| foreign_archive(&names))?.to_owned();
    if names.iter().any(|name| *name == format!("{prefix}constants.pkl")) {
        return Err("a TorchScript archive: save its weights alone, in Python: \
            `torch.save(torch.jit.load(\"FILE\").state_dict(), \"weights.pth\")`"
            .into());
    }
    let mut entry = |name: &str| -> Result<Vec<u8>> {
        let entry = archive.by_name(&format!("{prefix}{name}")).map_err(|error| unread(name, &error))?;
        let mut bytes = Vec::new();
        entry.take(MAX_PICKLE).read_to_end(&mut bytes).map_err(|error| unread(name, &error))?;
        Ok(bytes)
    };
    // Files of before 2.1 do not say, and are little-endian.
    if entry("byteorder").is_ok_and(|order| order != b"little") {
        return Err("it was written on a big-endian machine".into());
    }
    let pickled = entry("data.pkl")?;
    let pickle = Pickle::read(&pickled)?;
    let module = module(&pickle);
    Ok(Pth { groups: groups(&pickle), storages: Storages::Zip(Box::new(archive), prefix), module })
}

/// What a zip archive is that `torch.save` has not written.
fn foreign_archive(names: &[String]) -> String {
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    if ends(".npy") {
        return "an archive of numpy (.npz): save the weights with `torch.save` or as safetensors".into();
    }
    if ends(".weights.h5") {
        return "a model of Keras: only weights of PyTorch are read".into();
    }
    let inside =
        names.iter().find(|name| [".pth", ".pt", ".ckpt", ".safetensors", ".tar"].iter().any(|e| name.ends_with(e)));
    match inside {
        Some(name) => format!("a zip archive that holds {name}: unpack it, and give that file"),
        None => "a zip archive without data.pkl, which every file of `torch.save` has".into(),
    }
}

fn read_legacy(bytes: &[u8]) -> Result<Pth<'_>> {
    if !is_one(bytes) {
        return Err("no legacy file of `torch.save`".into());
    }
    let mut rest = bytes;
    let mut next = || -> Result<Pickle<'_>> {
        let pickle = Pickle::read(rest)?;
        rest = &rest[pickle.length..];
        Ok(pickle)
    };
    let (magic, protocol, machine, pickle) = (next()?, next()?, next()?, next()?);
    if magic.get(magic.root()) != &Object::Long(MAGIC) || protocol.count(protocol.root()) != Some(PROTOCOL) {
        return Err("a legacy file of an unknown version".into());
    }
    if let Some(little) = entry(&machine, machine.root(), "little_endian")
        && machine.get(little) != &Object::Bool(true)
    {
        return Err("it was written on a big-endian machine".into());
    }
    let (groups, module) = (groups(&pickle), module(&pickle));
    // A file that holds no tensors by name may hold storages of any kind.
    let storages = if groups.is_empty() { Storages::Legacy(BTreeMap::new()) } else { Storages::legacy(&pickle, rest)? };
    Ok(Pth { groups, storages, module })
}

/// The value of `key` in the dictionary `dict`.
fn entry(pickle: &Pickle<'_>, dict: Id, key: &str) -> Option<Id> {
    let Object::Dict(pairs) = pickle.get(dict) else { return None };
    pairs.iter().rev().find_map(|&(name, value)| (pickle.text(name) == Some(key)).then_some(value))
}

/// All dictionaries that hold tensors, outer ones first. A dictionary that is met twice counts once.
fn groups(pickle: &Pickle<'_>) -> Vec<Group> {
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    let mut level = vec![(String::new(), pickle.root())];
    for _ in 0..MAX_DEPTH {
        let mut inside = Vec::new();
        for (key, id) in level {
            if !seen.insert(id) {
                continue;
            }
            let mut group = Group { key, ..Group::default() };
            let join =
                |name: &str| if group.key.is_empty() { name.to_owned() } else { format!("{}.{name}", group.key) };
            match pickle.get(id) {
                Object::Dict(pairs) => {
                    for &(name, value) in pairs {
                        // An optimiser's states have numbers as names.
                        let Some(name) = pickle.text(name) else { continue };
                        if matches!(pickle.get(value), Object::Dict(_) | Object::List(_) | Object::Tuple(_)) {
                            inside.push((join(name), value));
                        } else if let Some(stored) = stored(pickle, value) {
                            group.tensors.insert(name.to_owned(), stored);
                        }
                    }
                }
                Object::List(items) | Object::Tuple(items) => {
                    let dicts = items.iter().enumerate().filter(|(_, id)| matches!(pickle.get(**id), Object::Dict(_)));
                    inside.extend(dicts.map(|(at, &id)| (join(&at.to_string()), id)));
                }
                _ => {}
            }
            if !group.tensors.is_empty() {
                found.push(group);
            }
        }
        level = inside;
    }
    found
}

/// The class of the first object of a class of its own, if the pickle holds a `torch.nn.Module`.
fn module(pickle: &Pickle<'_>) -> Option<String> {
    pickle.objects().any(|object| matches!(object, Object::Text(MODULE_ATTRIBUTE))).then_some(())?;
    let global = |id: Id| match pickle.get(id) {
        Object::Global(module, class) => Some(format!("{module}.{class}")),
        _ => None,
    };
    let class = |id: Id| {
        let Object::Call(callee, _) = pickle.get(id) else { return None };
        // The legacy layout gives the text of the class with it: ('module', class, file, text).
        match pickle.get(*callee) {
            Object::Persistent(parts) => global(*pickle.tuple(*parts)?.get(1)?),
            _ => global(*callee),
        }
    };
    let root = pickle.root();
    let inside = match pickle.get(root) {
        Object::Dict(pairs) => pairs.iter().find_map(|&(_, value)| class(value)),
        Object::List(items) | Object::Tuple(items) => items.iter().find_map(|&id| class(id)),
        _ => None,
    };
    class(root).or(inside).or_else(|| Some("torch.nn.Module".into()))
}

/// The tensor that `value` stands for; none if it is no tensor.
fn stored(pickle: &Pickle<'_>, value: Id) -> Option<Stored> {
    match view(pickle, value) {
        Ok(view) => view.map(|view| Stored { shape: view.size.clone(), place: Place::View(view) }),
        Err(reason) => Some(Stored { shape: Vec::new(), place: Place::Unreadable(reason) }),
    }
}

/// The view that `value` stands for; none if it is no tensor.
fn view(pickle: &Pickle<'_>, mut value: Id) -> Result<Option<View>> {
    // A parameter holds a tensor, which may be of a class of its own: no more layers than that.
    for _ in 0..3 {
        let Object::Call(callee, arguments) = pickle.get(value) else { return Ok(None) };
        let (Object::Global(module, function), Some(arguments)) = (pickle.get(*callee), pickle.tuple(*arguments))
        else {
            return Ok(None);
        };
        match (*module, *function, arguments) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2", &[storage, offset, size, stride, ..]) => {
                return read_view(pickle, [storage, offset, size, stride]).map(Some);
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state", &[tensor, ..]) => value = tensor,
            ("torch._tensor", "_rebuild_from_type_v2", &[rebuild, _, arguments, ..]) => {
                // The call is there in parts.
                let (Object::Global("torch._utils", "_rebuild_tensor_v2"), Some(&[storage, offset, size, stride, ..])) =
                    (pickle.get(rebuild), pickle.tuple(arguments))
                else {
                    return Err("a tensor of a class that is not read".into());
                };
                return read_view(pickle, [storage, offset, size, stride]).map(Some);
            }
            ("torch._utils", "_rebuild_sparse_tensor", _) => {
                return Err("a sparse tensor, which is not read: save it as `tensor.to_dense()`".into());
            }
            ("torch._utils", "_rebuild_qtensor", _) => {
                return Err("a quantised tensor, which is not read: save the `state_dict()` of the model before its \
                    quantisation"
                    .into());
            }
            ("torch._utils", "_rebuild_meta_tensor_no_storage", _) => {
                return Err(
                    "a tensor without values (device \"meta\"): save the `state_dict()` of a model that was loaded"
                        .into(),
                );
            }
            (module, function, _) if module.starts_with("torch") && function.starts_with("_rebuild") => {
                return Err(format!("{module}.{function} makes tensors that are not read"));
            }
            _ => return Ok(None),
        }
    }
    Err("a tensor inside too many parameters".into())
}

fn read_view(pickle: &Pickle<'_>, [storage, offset, size, stride]: [Id; 4]) -> Result<View> {
    let Object::Persistent(storage) = pickle.get(storage) else { return Err("a tensor without storage".into()) };
    let storage = StorageRef::read(pickle, *storage)?.ok_or("a tensor without storage")?;
    let counts = |id: Id| pickle.tuple(id)?.iter().map(|&id| pickle.count(id)).collect::<Option<Vec<usize>>>();
    match (pickle.count(offset), counts(size), counts(stride)) {
        (Some(offset), Some(size), Some(stride)) if size.len() == stride.len() && size.len() <= MAX_RANK => {
            Ok(View { storage, offset, size, stride })
        }
        _ => Err("a tensor without offset, size or stride".into()),
    }
}

#[cfg(test)]
mod tests;
