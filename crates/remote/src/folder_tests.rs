//! A shared cache in a folder: what a push brings there, and what it does not.

use crate::folder_world::{World, open};
use crate::{BackgroundPush, NoObserver, Push, Pushed, RemoteError, Settings, SharedCache};
use matssl_pipeline::cache::{Gate, Key, Store};
use std::fs;
use std::sync::Arc;

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
        let Pushed { records, already, objects, .. } = world.shared.push(&push, &|| false).unwrap();
        (records, already, objects.count)
    };
    assert_eq!(dry(&[a.key, b.key]), (2, 0, 3));
    assert!(world.remote_files("").is_empty());
    world.push("e", &[a.key], true);
    assert_eq!(dry(&[a.key, b.key]), (1, 1, 1));
    let readonly = open(world.folder.path(), true);
    let push = Push { store: &world.store, experiment: "e", keys: &[b.key], all: true, is_dry: false };
    assert!(matches!(readonly.push(&push, &|| false), Err(RemoteError::Wrong(_))));
}

/// So many files that a list in the place of a question for each says what is there.
#[test]
fn of_many_files_only_those_that_are_missing_are_sent_and_each_once() {
    let world = World::new();
    let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    let files = |from: usize| names[from..].iter().map(|name| (name.as_str(), name.as_str())).collect::<Vec<_>>();
    let half = world.publish(0, &files(50));
    assert_eq!(world.push("e", &[half.key], true).objects.count, 50);
    // More records than go together: the last ones have files of the first.
    let files_of = |seed: u64| files(0)[..if seed == 1 { 100 } else { 2 }].to_vec();
    let keys: Vec<Key> = (1..40).map(|seed| world.publish(seed, &files_of(seed)).key).collect();
    let pushed = world.push("f", &keys, true);
    assert_eq!((pushed.records, pushed.objects.count, pushed.failed.len() + pushed.left), (39, 50, 0));
    assert_eq!(world.remote_files("objects").len(), 100);
    // What was lost there is sent again.
    world.remote_files("objects").iter().take(3).for_each(|path| fs::remove_file(path).unwrap());
    assert_eq!(world.push("f", &keys, true).objects.count, 3);
}

#[test]
fn the_first_record_of_a_key_stays_in_the_remote() {
    let (world, other) = (World::new(), World::new());
    let first = world.publish(0, &[("a", "one")]);
    let second = other.publish(0, &[("a", "other")]);
    assert_eq!((first.key, first.content == second.content), (second.key, false));
    world.push("e", &[first.key], true);
    let push = Push { store: &other.store, experiment: "e", keys: &[second.key], all: true, is_dry: false };
    assert_eq!(world.shared.push(&push, &|| false).unwrap().already, 1);
    let store = Store::open(&world.folder.path().join("third")).unwrap().with_remote(world.shared.clone());
    store.ask_remote(&[first.key]);
    assert_eq!(store.find(first.key), Some(first));
    // The local `gc` may run meanwhile: nothing is held.
    drop(Gate::shared(&store).unwrap());
}

/// A network that goes in the hours of a run may be back at its end.
#[test]
fn what_could_not_be_pushed_is_pushed_at_the_end_if_the_remote_is_back() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    let run = |shared: &Arc<SharedCache>| {
        shared.lose("the network is gone");
        let mut push = BackgroundPush::start(Arc::clone(shared), world.store.clone()).unwrap();
        push.push(a.key);
        let pushed = push.finish("e", &[a.key], true, &|| false).unwrap();
        (pushed.records, pushed.left)
    };
    assert_eq!(run(&open(world.folder.path(), false)), (0, 1), "it was never there");
    world.push("e", &[], true);
    assert_eq!(run(&world.shared), (1, 0));
    assert_eq!((world.remote_files("records").len(), world.remote_files("experiments").len()), (1, 1));
}

#[test]
fn a_folder_is_made_only_in_one_that_exists() {
    let world = World::new();
    let url = world.folder.path().join("not mounted/shared").to_str().unwrap().to_owned();
    let shared = SharedCache::open(&Settings { url, ..Settings::default() }, Arc::new(NoObserver)).unwrap();
    let error = shared.make().unwrap_err();
    assert!(matches!(error, RemoteError::NotThere(_)) && error.to_string().contains("not mounted"), "{error}");
    assert!(!world.folder.path().join("not mounted").exists());
}
