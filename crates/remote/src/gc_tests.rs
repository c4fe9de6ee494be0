//! What `gc` keeps in a folder, and what it and a push on another machine do to each other.

use crate::folder_world::{DAY, World, open};
use crate::{GcRules, Push, RemoteError};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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

/// It was killed: its file is there, and nobody writes it any more.
#[test]
fn a_gc_that_died_is_not_waited_for_and_the_next_one_removes_its_file() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("e", &[], true);
    drop(world.shared.begin_gc().unwrap());
    let push = Push { store: &world.store, experiment: "e", keys: &[a.key], all: true, is_dry: false };
    let looks = AtomicUsize::new(0);
    let is_stopped = || looks.fetch_add(1, Ordering::Relaxed) > 6;
    world.shared.push(&push, &is_stopped).unwrap();
    assert!(looks.load(Ordering::Relaxed) > 6, "a file that is young may be one of a gc that lives");
    world.age(Duration::from_secs(1200));
    looks.store(0, Ordering::Relaxed);
    assert_eq!(world.shared.push(&push, &is_stopped).unwrap().already, 1);
    assert!(looks.load(Ordering::Relaxed) < 6, "it waited");
    assert_eq!(world.gc(30, &[], true), (0, 0, 1));
    let left: Vec<_> = world.remote_files("gc").iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(left, ["last.json"]);
}

/// The machine slept: a push on another one holds this `gc` for dead, and no longer looks again.
#[test]
fn a_gc_that_could_not_say_that_it_lives_deletes_nothing_more() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("e", &[a.key], true);
    world.push("e", &[], true);
    world.age(40 * DAY);
    let rules = GcRules { older_than: 30 * DAY, forget: vec!["e".into()], delete: true };
    let running = world.shared.begin_gc().unwrap();
    running.pretend_silence(300);
    let error = world.shared.sweep(&rules, Some(&running)).unwrap_err();
    assert!(error.to_string().contains("run it again"), "{error}");
    let files = ["records", "objects", "experiments"].map(|folder| world.remote_files(folder).len());
    assert_eq!(files, [1, 1, 1]);
    running.pretend_silence(0);
    assert_eq!(world.shared.sweep(&rules, Some(&running)).unwrap().records, 1);
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
        wait_until_listed(&world);
        assert!(!push.is_finished(), "it waits for the gc");
        for path in ["records", "objects"].into_iter().flat_map(|folder| world.remote_files(folder)) {
            fs::remove_file(path).unwrap();
        }
        world.shared.end_gc(running).unwrap();
        push.join().unwrap()
    });
    assert_eq!((pushed.failed.len(), pushed.left), (0, 0));
    assert_eq!((world.remote_files("records").len(), world.remote_files("objects").len()), (1, 1));
}

#[test]
fn gc_removes_what_killed_pushes_have_left_in_a_folder() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("e", &[a.key], true);
    let left = |name: &str| fs::write(world.folder.path().join("shared").join(name), "half").unwrap();
    fs::create_dir_all(world.folder.path().join("shared/objects/ab")).unwrap();
    ["objects/ab/cd#1", "records/x.jsonl#12"].into_iter().for_each(left);
    world.age(40 * DAY);
    left("objects/ab/ef#2");
    let gc = |delete| world.shared.gc(&GcRules { older_than: 30 * DAY, forget: Vec::new(), delete }).unwrap();
    assert_eq!((gc(false).leftovers.count, gc(false).leftovers.bytes), (2, 8));
    let swept = gc(true);
    assert_eq!((swept.leftovers.count, swept.records, swept.objects.count, swept.kept), (2, 0, 0, 1));
    let names = |folder| world.remote_files(folder).iter().filter(|path| path.to_str().unwrap().contains('#')).count();
    assert_eq!((names("objects"), names("records")), (1, 0), "what is young may be on its way");
}

/// It had read the lists before the push began, and is killed when it has deleted: nobody says that it has ended.
#[test]
fn a_gc_that_is_killed_beside_a_push_takes_nothing_for_ever() {
    let world = World::new();
    let a = world.publish(0, &[("a", "a")]);
    world.push("old", &[a.key], true);
    world.push("old", &[], true);
    world.age(40 * DAY);
    drop(world.shared.begin_gc().unwrap());
    std::thread::scope(|scope| {
        let push = scope.spawn(|| world.push("new", &[a.key], true));
        wait_until_listed(&world);
        ["records", "objects"].into_iter().flat_map(|folder| world.remote_files(folder)).for_each(|path| {
            fs::remove_file(path).unwrap();
        });
        assert!(!push.is_finished(), "it waits for the gc");
        world.age(Duration::from_secs(1200));
        let pushed = push.join().unwrap();
        assert_eq!((pushed.failed.len(), pushed.left), (0, 0));
    });
    assert_eq!((world.remote_files("records").len(), world.remote_files("objects").len()), (1, 1));
}

/// Waits until the push of `new` has listed it, and looked for what is there.
fn wait_until_listed(world: &World) {
    let is_listed = || world.remote_files("experiments").iter().any(|path| path.to_str().unwrap().contains("/new/"));
    while !is_listed() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
}
