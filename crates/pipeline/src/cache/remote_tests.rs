//! A cache with a remote behind it, in all the ways in which that can be damaged.

use super::fixtures::{Stage, empty_cache, material, publish};
use super::{Digest, Download, DownloadError, Key, Record, Remote, Store};
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

/// A remote in memory.
#[derive(Debug, Default)]
struct FakeRemote {
    records: Mutex<HashMap<Key, Record>>,
    objects: Mutex<HashMap<Digest, Vec<u8>>>,
    downloads: Mutex<Vec<Digest>>,
    said: Mutex<Vec<String>>,
    is_lost: Mutex<bool>,
    /// The disk is full.
    is_full: Mutex<bool>,
    /// The first download of each object is damaged on its way.
    damages_first: bool,
}

impl FakeRemote {
    /// With everything that `store` has of `records`.
    fn of(store: &Store, records: &[&Record]) -> Self {
        let remote = FakeRemote::default();
        for record in records {
            for output in &record.outputs {
                let bytes = fs::read(store.object(output.digest)).unwrap();
                remote.objects.lock().unwrap().insert(output.digest, bytes);
            }
            remote.records.lock().unwrap().insert(record.key, (*record).clone());
        }
        remote
    }
}

impl Remote for FakeRemote {
    fn find(&self, keys: &[Key]) -> Vec<Option<Record>> {
        let records = self.records.lock().unwrap();
        keys.iter().map(|key| records.get(key).cloned()).collect()
    }

    fn download(&self, wanted: &[Download], arrived: &mut dyn FnMut(usize, Result<(), DownloadError>)) {
        for (index, wanted) in wanted.iter().enumerate() {
            let mut downloads = self.downloads.lock().unwrap();
            let is_first = !downloads.contains(&wanted.digest);
            downloads.push(wanted.digest);
            let result = match self.objects.lock().unwrap().get(&wanted.digest) {
                _ if *self.is_lost.lock().unwrap() => Err(DownloadError::Failed("no route".into())),
                _ if *self.is_full.lock().unwrap() => {
                    Err(DownloadError::Disk(ErrorKind::StorageFull, "no space for a".into()))
                }
                None => Err(DownloadError::Missing),
                Some(bytes) => {
                    let mut bytes = bytes.clone();
                    if self.damages_first && is_first {
                        bytes[0] ^= 1;
                    }
                    fs::write(&wanted.file, bytes).unwrap();
                    Ok(())
                }
            };
            arrived(index, result);
        }
    }

    fn say(&self, message: &str) {
        self.said.lock().unwrap().push(message.to_owned());
    }
}

/// A cache with two records, an empty cache with a remote that has both, and that remote.
fn two_caches() -> ([tempfile::TempDir; 2], [Record; 2], Store, Arc<FakeRemote>) {
    let (first, full) = empty_cache();
    let a = publish(&full, 0, &[("a", "text"), ("b", "more")]);
    let b = Stage::new(1, &[("c", "other")]).reading(&[&a]).publish(&full);
    let remote = Arc::new(FakeRemote::of(&full, &[&a, &b]));
    let (second, empty) = empty_cache();
    ([first, second], [a, b], empty.with_remote(remote.clone()), remote)
}

#[test]
fn a_remote_record_is_a_hit_in_memory_until_its_objects_are_here() {
    let (_folders, [a, b], store, remote) = two_caches();
    assert_eq!(store.find(a.key), None, "nobody asked for it");
    assert_eq!(store.ask_remote(&[a.key, b.key, Key(Digest::of(b"none"))]), 2);
    assert_eq!(store.find(a.key), Some(a.clone()));
    assert_eq!(store.find_made_of(a.key, Box::new(material(0))), Ok(a.clone()));
    assert!(store.find_here(a.key).is_none() && !store.record_file(a.key).exists());
    assert!(remote.downloads.lock().unwrap().is_empty(), "nothing has read it");
    let record = store.only_remote(a.key).unwrap();
    assert!(store.fetch(&[record.clone(), record]).unwrap().is_empty());
    assert_eq!(Store::open(store.root()).unwrap().find(a.key), Some(a.clone()), "in the cache itself");
    assert_eq!(fs::read_to_string(store.object(a.outputs[0].digest)).unwrap(), "text");
    assert!(store.only_remote(a.key).is_none() && store.only_remote(b.key).is_some());
    assert_eq!(remote.downloads.lock().unwrap().len(), 2);
    assert_eq!(store.ask_remote(&[a.key, b.key]), 0, "asked before");
}

#[test]
fn what_reads_one_object_gets_that_object_and_no_record_is_written() {
    let (_folders, [a, _], store, remote) = two_caches();
    store.ask_remote(&[a.key]);
    assert_eq!(store.read(&a.outputs[1]).unwrap(), b"more");
    assert_eq!(*remote.downloads.lock().unwrap(), [a.outputs[1].digest]);
    assert!(!store.record_file(a.key).exists());
    assert_eq!(store.files(&a).len(), 2, "all files: all objects");
    assert!(store.find_here(a.key).is_some());
    assert_eq!(remote.downloads.lock().unwrap().len(), 2, "what was here is not fetched again");
}

#[test]
fn an_object_that_is_damaged_in_the_remote_is_named_set_aside_and_its_stage_computed() {
    for (what, change) in [
        ("flipped", b"tent".to_vec()),
        ("truncated", b"tex".to_vec()),
        ("longer", b"text and more".to_vec()),
        ("swapped", b"more".to_vec()),
        ("missing", Vec::new()),
    ] {
        let (_folders, [a, b], store, remote) = two_caches();
        let digest = a.outputs[0].digest;
        match change.is_empty() {
            true => remote.objects.lock().unwrap().remove(&digest),
            false => remote.objects.lock().unwrap().insert(digest, change),
        };
        store.ask_remote(&[a.key, b.key]);
        let records: Vec<_> = [&a, &b].map(|record| store.only_remote(record.key).unwrap()).into();
        let failed = store.fetch(&records).unwrap();
        assert_eq!(failed.keys().collect::<Vec<_>>(), [&a.key], "{what}");
        assert_eq!((store.find(a.key), store.find(b.key)), (None, Some(b.clone())), "{what}: the other one is whole");
        assert!(!store.object(digest).exists() && !store.record_file(a.key).exists(), "{what}");
        let said = remote.said.lock().unwrap().concat();
        assert!(said.contains("a of e/s@0") && said.contains(&digest.to_string()), "{what}: {said}");
        let aside = store.root().join("damaged").join(format!("{digest}.remote"));
        assert_eq!(aside.exists(), what != "missing", "{what}");
        // The next process does not use it either, and knows what to replace.
        let next = Store::open(store.root()).unwrap().with_remote(remote.clone());
        assert_eq!(next.ask_remote(&[a.key]), 0, "{what}");
        assert_eq!(next.refused_objects(a.key).unwrap().into_iter().collect::<Vec<_>>(), [digest], "{what}");
        let again = publish(&next, 0, &[("a", "text"), ("b", "more")]);
        assert_eq!(next.find_here(a.key), Some(again), "{what}: computed again");
        next.accept_again(a.key);
        assert_eq!(next.refused_objects(a.key), None);
    }
}

#[test]
fn damage_on_the_way_is_no_damage_of_the_remote() {
    let (_folders, [a, _], store, remote) = two_caches();
    let remote = FakeRemote {
        records: Mutex::new(remote.records.lock().unwrap().clone()),
        objects: Mutex::new(remote.objects.lock().unwrap().clone()),
        damages_first: true,
        ..FakeRemote::default()
    };
    let store = Store::open(store.root()).unwrap().with_remote(Arc::new(remote));
    store.ask_remote(&[a.key]);
    assert!(store.fetch(&[store.only_remote(a.key).unwrap()]).unwrap().is_empty());
    assert!(store.find_here(a.key).is_some());
}

#[test]
fn a_record_of_another_key_or_with_paths_outside_does_not_count() {
    let (_folders, [a, b], store, remote) = two_caches();
    let mut outside = a.clone();
    outside.outputs[0].path = "../a".into();
    outside.content = Record::content_of(&outside.outputs);
    remote.records.lock().unwrap().extend([(b.key, a.clone()), (a.key, outside)]);
    assert_eq!(store.ask_remote(&[a.key, b.key]), 0);
}

#[test]
fn a_remote_that_is_lost_on_the_way_is_no_damage() {
    let (_folders, [a, _], store, remote) = two_caches();
    store.ask_remote(&[a.key]);
    *remote.is_lost.lock().unwrap() = true;
    let failed = store.fetch(&[store.only_remote(a.key).unwrap()]).unwrap();
    assert!(failed[&a.key].contains("no route"), "{failed:?}");
    assert_eq!((store.find(a.key), store.refused_objects(a.key)), (None, None));
    assert!(remote.said.lock().unwrap().is_empty());
}

/// A full disk is no property of the remote: the run must say so, and not compute everything again.
#[test]
fn a_full_disk_is_an_error_and_no_damage() {
    let (_folders, [a, _], store, remote) = two_caches();
    store.ask_remote(&[a.key]);
    *remote.is_full.lock().unwrap() = true;
    let error = store.fetch(&[store.only_remote(a.key).unwrap()]).unwrap_err();
    assert_eq!(error.downcast_ref::<std::io::Error>().unwrap().kind(), ErrorKind::StorageFull);
    assert!(error.to_string().contains("no space for a"));
    assert_eq!((store.find(a.key), store.refused_objects(a.key)), (Some(a), None));
}

#[test]
fn a_local_file_of_the_right_size_is_read_before_a_record_vouches_for_it() {
    let (_folders, [a, _], store, _) = two_caches();
    let path = store.object(a.outputs[0].digest);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "tent").unwrap();
    store.ask_remote(&[a.key]);
    assert!(store.fetch(&[store.only_remote(a.key).unwrap()]).unwrap().is_empty());
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");
}
