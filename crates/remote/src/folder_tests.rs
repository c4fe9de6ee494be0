//! A shared cache in a folder: what `gc` keeps, and what two machines do to each other.

use crate::{GcRules, NoObserver, Push, Pushed, RemoteError, Settings, SharedCache};
use matssl_pipeline::cache::{Gate, KEY_SCHEMA, Key, KeyMaterial, Provenance, Record, Store};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

struct World {
    folder: tempfile::TempDir,
    store: Store,
    shared: Arc<SharedCache>,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("cache")).unwrap();
        let shared = open(folder.path(), false);
        World { folder, store, shared }
    }

    /// A finished stage that leaves `files`.
    fn publish(&self, seed: u64, files: &[(&str, &str)]) -> Record {
        let material = KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({}),
            seed: Some(seed),
            inputs: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let private = self.store.private_folder().unwrap();
        for (name, text) in files {
            fs::write(private.out().join(name), text).unwrap();
        }
        let made = Provenance { stage: format!("e/s@{seed}"), ..Provenance::default() };
        self.store.publish(material, &private.out(), made, BTreeMap::new(), false).unwrap()
    }

    fn push(&self, experiment: &str, keys: &[Key], all: bool) -> Pushed {
        let push = Push { store: &self.store, experiment, keys, all, is_dry: false };
        self.shared.push(&push, &AtomicBool::new(false)).unwrap()
    }

    fn remote_files(&self, folder: &str) -> Vec<PathBuf> {
        files_below(&self.folder.path().join("shared").join(folder))
    }

    /// Makes everything in the remote look as if it was written so long ago.
    fn age(&self, age: Duration) {
        for path in self.remote_files("") {
            File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
        }
    }

    fn gc(&self, days: u32, forget: &[&str], delete: bool) -> (usize, usize, usize) {
        let forget = forget.iter().map(|name| (*name).to_owned()).collect();
        let swept = self.shared.gc(&GcRules { older_than: days * DAY, forget, delete }).unwrap();
        (swept.records, swept.objects.count, swept.kept)
    }
}

fn open(folder: &Path, readonly: bool) -> Arc<SharedCache> {
    let url = folder.join("shared").to_str().unwrap().to_owned();
    SharedCache::open(&Settings { url, readonly, ..Settings::default() }, Arc::new(NoObserver)).unwrap()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

#[test]
fn gc_keeps_what_a_listed_experiment_needs_and_what_is_young() {
    let world = World::new();
    let [a, b, c] = [0, 1, 2].map(|seed| world.publish(seed, &[("own", &seed.to_string()), ("common", "common")]));
    assert_eq!(world.push("e", &[a.key, b.key], true).records, 2);
    assert_eq!(world.push("f", &[b.key, c.key], true).records, 2 - 1);
    // The experiment changed: it does not need `a` any more.
    assert_eq!(world.push("e", &[b.key], true).already, 1);
    assert_eq!(world.gc(30, &[], true), (0, 0, 3), "all are young");
    world.age(40 * DAY);
    assert_eq!(world.gc(30, &[], false), (1, 1, 2));
    assert_eq!(world.remote_files("records").len(), 3, "only looked");
    assert_eq!(world.gc(30, &[], true), (1, 1, 2), "`a`, and of its objects the one that no other has");
    assert_eq!((world.remote_files("records").len(), world.remote_files("objects").len()), (2, 3));
    assert_eq!(world.gc(30, &["f"], true), (1, 1, 1), "only `b` is needed");
    assert_eq!(world.gc(30, &[], true), (0, 0, 1));
    // What was removed is pushed again.
    assert_eq!(world.push("e", &[a.key, b.key], true).records, 1);
}

#[test]
fn a_part_of_an_experiment_adds_to_its_list() {
    let world = World::new();
    let [a, b] = [0, 1].map(|seed| world.publish(seed, &[("own", &seed.to_string())]));
    world.push("e", &[a.key], true);
    world.push("e", &[b.key], false);
    world.age(40 * DAY);
    assert_eq!(world.gc(30, &[], true), (0, 0, 2));
    world.push("e", &[b.key], true);
    assert_eq!(world.gc(30, &[], true), (1, 1, 1));
}

#[test]
fn gc_deletes_nothing_if_a_list_is_damaged_or_the_grace_is_short() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("e", &[a.key], true);
    world.push("e", &[], true);
    world.age(40 * DAY);
    let list = world.remote_files("experiments").remove(0);
    let text = fs::read(&list).unwrap();
    fs::write(&list, &text[..text.len() / 2]).unwrap();
    let gc = |older_than, delete| world.shared.gc(&GcRules { older_than, forget: Vec::new(), delete });
    assert!(matches!(gc(30 * DAY, true), Err(RemoteError::Damaged(_))));
    assert!(matches!(gc(Duration::from_secs(60), true), Err(RemoteError::Wrong(_))));
    assert_eq!(world.remote_files("records").len(), 1);
    fs::write(&list, text).unwrap();
    let readonly = open(world.folder.path(), true);
    let rules = |delete| GcRules { older_than: 30 * DAY, forget: Vec::new(), delete };
    assert!(matches!(readonly.gc(&rules(true)), Err(RemoteError::Wrong(_))));
    assert_eq!(readonly.gc(&rules(false)).unwrap().records, 1);
}

/// A `gc` that had decided before the push began: the push notices it, and pushes again what the `gc` took.
#[test]
fn a_push_beside_a_gc_loses_nothing() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("old", &[a.key], true);
    world.push("old", &[], true);
    world.age(40 * DAY);
    let running = world.shared.begin_gc().unwrap();
    let pushed = std::thread::scope(|scope| {
        let push = scope.spawn(|| world.push("new", &[a.key], true));
        let listed = || world.remote_files("experiments").iter().any(|path| path.to_str().unwrap().contains("/new/"));
        while !listed() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        assert!(!push.is_finished(), "it waits for the gc");
        for path in ["records", "objects"].into_iter().flat_map(|folder| world.remote_files(folder)) {
            fs::remove_file(path).unwrap();
        }
        world.shared.end_gc(&running).unwrap();
        push.join().unwrap()
    });
    assert_eq!((pushed.failed.len(), pushed.left), (0, 0));
    assert_eq!((world.remote_files("records").len(), world.remote_files("objects").len()), (1, 1));
}

#[test]
fn what_is_damaged_on_this_disk_is_not_pushed() {
    let world = World::new();
    let [a, b] = [0, 1].map(|seed| world.publish(seed, &[("own", &seed.to_string())]));
    let object = world.store.object(a.outputs[0].digest);
    fs::remove_file(&object).unwrap();
    fs::write(&object, "9").unwrap();
    let pushed = world.push("e", &[a.key, b.key], true);
    assert_eq!((pushed.records, pushed.failed.len()), (1, 1));
    assert!(pushed.failed[0].1.contains("cache verify"), "{pushed:?}");
    assert_eq!(world.remote_files("records").len(), 1);
}

#[test]
fn a_dry_push_writes_nothing_and_tells_what_it_would_send() {
    let world = World::new();
    let [a, b] = [0, 1].map(|seed| world.publish(seed, &[("own", &seed.to_string()), ("common", "common")]));
    let dry = |keys: &[Key]| {
        let push = Push { store: &world.store, experiment: "e", keys, all: true, is_dry: true };
        let Pushed { records, already, objects, .. } = world.shared.push(&push, &AtomicBool::new(false)).unwrap();
        (records, already, objects.count)
    };
    assert_eq!(dry(&[a.key, b.key]), (2, 0, 3));
    assert!(world.remote_files("").is_empty());
    world.push("e", &[a.key], true);
    assert_eq!(dry(&[a.key, b.key]), (1, 1, 1));
    let readonly = open(world.folder.path(), true);
    let push = Push { store: &world.store, experiment: "e", keys: &[b.key], all: true, is_dry: false };
    assert!(matches!(readonly.push(&push, &AtomicBool::new(false)), Err(RemoteError::Wrong(_))));
}

#[test]
fn the_first_record_of_a_key_stays_in_the_remote() {
    let (world, other) = (World::new(), World::new());
    let first = world.publish(0, &[("a", "one")]);
    let second = other.publish(0, &[("a", "other")]);
    assert_eq!((first.key, first.content == second.content), (second.key, false));
    world.push("e", &[first.key], true);
    let push = Push { store: &other.store, experiment: "e", keys: &[second.key], all: true, is_dry: false };
    assert_eq!(world.shared.push(&push, &AtomicBool::new(false)).unwrap().already, 1);
    let store = Store::open(&world.folder.path().join("third")).unwrap().with_remote(world.shared.clone());
    store.ask_remote(&[first.key]);
    assert_eq!(store.find(first.key), Some(first));
    // The local `gc` may run meanwhile: nothing is held.
    drop(Gate::shared(&store).unwrap());
}
