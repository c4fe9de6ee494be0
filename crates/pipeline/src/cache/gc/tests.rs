use super::*;
use crate::cache::gate::Alive;
use crate::cache::{KEY_SCHEMA, KeyInput, KeyMaterial, Provenance};
use crate::events::event_log_path;
use std::os::unix::fs::PermissionsExt;

struct Cache {
    dir: tempfile::TempDir,
    store: Store,
}

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

impl Cache {
    fn new() -> Cache {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Cache { dir, store }
    }

    /// A stage that left `files`, `days` before now.
    fn record(&self, stage: &str, days: u64, inputs: &[&Record], files: &[&str]) -> Record {
        let folder = tempfile::tempdir_in(self.store.root()).unwrap();
        for text in files {
            fs::write(folder.path().join(text), text).unwrap();
        }
        let input = |record: &&Record| KeyInput { content: record.content, label: None };
        let material = KeyMaterial {
            schema: KEY_SCHEMA,
            kind: "toy".into(),
            code_version: 1,
            params: serde_json::json!({ "stage": stage }),
            seed: None,
            inputs: BTreeMap::from([("of".to_owned(), inputs.iter().map(input).collect())]),
            files: BTreeMap::new(),
        };
        let made = Provenance { stage: stage.into(), finished_at: NOW - days * DAY, ..Provenance::default() };
        let record = self.store.publish(material, folder.path(), made, BTreeMap::new(), false).unwrap();
        for output in &record.outputs {
            self.age(&self.store.object(output.digest), days);
        }
        record
    }

    fn age(&self, path: &Path, days: u64) {
        let mode = fs::metadata(path).unwrap().permissions();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(NOW - days * DAY);
        File::open(path).unwrap().set_modified(at).unwrap();
        fs::set_permissions(path, mode).unwrap();
    }

    fn gc(&self, change: impl Fn(&mut Rules)) -> Sweep {
        let now = UNIX_EPOCH + Duration::from_secs(NOW);
        let mut rules = Rules { older_than: None, keep: None, max_size: None, now };
        change(&mut rules);
        let seen = gc(&self.store, &rules, Mode::Look).unwrap();
        let sweep = gc(&self.store, &rules, Mode::Delete).unwrap();
        assert_eq!(seen.records, sweep.records);
        assert_eq!(seen.freed(), sweep.freed());
        let again = gc(&self.store, &rules, Mode::Look).unwrap();
        assert!(again.is_empty(), "{again:?}");
        sweep
    }

    fn has(&self, record: &Record) -> bool {
        self.store.find(record.key).is_some()
    }
}

fn days(n: u64) -> Option<Duration> {
    Some(Duration::from_secs(n * DAY))
}

fn names(sweep: &Sweep) -> Vec<&str> {
    sweep.records.iter().map(|dropped| dropped.stage.as_str()).collect()
}

#[test]
fn without_rules_only_leftovers_go() {
    let cache = Cache::new();
    let record = cache.record("e/a", 400, &[], &["x"]);
    let path = cache.store.object(Digest::of(b"nobody's"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "nobody's").unwrap();
    cache.age(&path, 1);
    let dead = cache.dir.path().join("work").join(Digest::of(b"k").to_string());
    fs::create_dir_all(dead.join("checkpoint")).unwrap();
    for path in ["checkpoint", ""] {
        cache.age(&dead.join(path), 1);
    }
    // Training that somebody interrupted yesterday.
    let interrupted = cache.dir.path().join("work").join(Digest::of(b"l").to_string());
    fs::create_dir_all(interrupted.join("checkpoint")).unwrap();
    fs::write(interrupted.join("checkpoint/weights"), "week").unwrap();
    for path in ["checkpoint/weights", "checkpoint", ""] {
        cache.age(&interrupted.join(path), 1);
    }
    let sweep = cache.gc(|_| {});
    assert!(interrupted.join("checkpoint/weights").exists());
    assert_eq!((names(&sweep).len(), sweep.unnamed, sweep.work.count), (0, Amount { count: 1, bytes: 8 }, 1));
    assert!(cache.has(&record) && !path.exists() && !dead.exists());
}

#[test]
fn what_something_younger_rests_on_is_not_old_and_shared_objects_stay() {
    let cache = Cache::new();
    let ssl = cache.record("e/ssl", 90, &[], &["weights", "shared"]);
    let segment = cache.record("e/segment", 10, &[&ssl], &["model"]);
    let old = cache.record("e/old", 90, &[], &["shared", "own"]);
    let sweep = cache.gc(|rules| rules.older_than = days(30));
    assert_eq!((names(&sweep), sweep.objects), (vec!["e/old"], Amount { count: 1, bytes: 3 }));
    assert_eq!(sweep.records[0].bytes, 3);
    assert!(cache.has(&ssl) && cache.has(&segment) && !cache.has(&old));
}

#[test]
fn a_run_that_found_it_has_used_it_and_old_logs_go_but_the_last() {
    let cache = Cache::new();
    let found = cache.record("e/found", 90, &[], &["a"]);
    let mut logs = Vec::new();
    for (days, experiment) in [(60, "e"), (50, "e"), (50, "f")] {
        let started = NOW - days * DAY;
        let folder = cache.dir.path().join(format!("runs/{started}-{experiment}-1"));
        fs::create_dir_all(&folder).unwrap();
        let at = started * 1000;
        let line = format!("{{\"at\":{at},\"event\":\"stage_hit\",\"key\":\"{}\"}}\n", found.key);
        fs::write(event_log_path(&folder), line).unwrap();
        drop(Alive::hold(&folder).unwrap());
        cache.age(&event_log_path(&folder), days);
        logs.push(folder);
    }
    assert!(names(&cache.gc(|rules| rules.older_than = days(55))).is_empty());
    let there: Vec<bool> = logs.iter().map(|log| log.exists()).collect();
    assert_eq!(there, [false, true, true]);
    assert_eq!(names(&cache.gc(|rules| rules.older_than = days(40))), ["e/found"]);
}

#[test]
fn by_size_the_least_recently_used_go_first_and_no_more_than_needed() {
    let cache = Cache::new();
    let a = cache.record("e/a", 5, &[], &["aaaa"]);
    let b = cache.record("e/b", 4, &[&a], &["bbbb"]);
    let c = cache.record("e/c", 6, &[], &["cccc"]);
    assert!(names(&cache.gc(|rules| rules.max_size = Some(12))).is_empty());
    // `a` is as recent as `b`, which rests on it; so `b` goes before it.
    assert_eq!(names(&cache.gc(|rules| rules.max_size = Some(5))), ["e/c", "e/b"]);
    assert!(cache.has(&a) && !cache.has(&b) && !cache.has(&c));
}

#[test]
fn rules_narrow_each_other_and_kept_records_keep_what_they_rest_on() {
    let cache = Cache::new();
    let a = cache.record("e/a", 90, &[], &["a"]);
    let b = cache.record("e/b", 80, &[&a], &["b"]);
    let young = cache.record("f/young", 1, &[], &["y"]);
    let old = cache.record("f/old", 70, &[], &["o"]);
    let keep = Some(BTreeSet::from([b.key]));
    let sweep = cache.gc(|rules| (rules.keep, rules.older_than) = (keep.clone(), days(30)));
    assert_eq!(names(&sweep), ["f/old"]);
    let sweep = cache.gc(|rules| rules.keep = keep.clone());
    assert_eq!(names(&sweep), ["f/young"]);
    assert!(cache.has(&a) && cache.has(&b) && !cache.has(&young) && !cache.has(&old));
}

#[test]
fn nothing_that_a_live_run_has_in_its_log_or_made_goes() {
    let cache = Cache::new();
    let below = cache.record("e/below", 92, &[], &["d"]);
    let hit = cache.record("e/hit", 91, &[&below], &["a"]);
    let made = cache.record("e/made", 0, &[], &["b"]);
    let other = cache.record("e/other", 90, &[], &["c"]);
    let run = cache.dir.path().join(format!("runs/{}-e-1", NOW - DAY));
    fs::create_dir_all(&run).unwrap();
    fs::write(event_log_path(&run), format!("{{\"event\":\"stage_hit\",\"key\":\"{}\"}}\n", hit.key)).unwrap();
    let checkpoint = cache.dir.path().join(format!("work/{}/checkpoint/c", Digest::of(b"k")));
    fs::create_dir_all(checkpoint.parent().unwrap()).unwrap();
    fs::write(&checkpoint, "weeks").unwrap();
    let alive = Alive::hold(&run).unwrap();
    let sweep = cache.gc(|rules| rules.older_than = Some(Duration::ZERO));
    assert_eq!((names(&sweep), sweep.held, sweep.live_runs), (vec!["e/other"], 3, 1));
    assert!(cache.has(&hit) && cache.has(&below) && cache.has(&made) && !cache.has(&other));
    drop(alive);
    let sweep = cache.gc(|rules| rules.older_than = Some(Duration::from_secs(1)));
    assert_eq!(names(&sweep), ["e/hit", "e/below"]);
}

#[test]
fn objects_of_a_later_program_s_records_stay() {
    let cache = Cache::new();
    let record = cache.record("e/a", 90, &[], &["x"]);
    let path = cache.store.record_file(record.key);
    let text = fs::read_to_string(&path).unwrap();
    let unsealed = format!("{}}}", text.split_once(",\"seal\"").unwrap().0);
    fs::write(&path, unsealed.replace("\"schema\":1,", "\"schema\":7,")).unwrap();
    let sweep = cache.gc(|rules| rules.older_than = Some(Duration::ZERO));
    assert_eq!((names(&sweep).len(), sweep.objects.count, sweep.unnamed.count), (0, 0, 0));
    assert!(path.exists() && cache.store.object(record.outputs[0].digest).exists());
}
