use super::super::findings;
use super::super::fixtures::{Stage, empty_cache, make_foreign};
use super::super::{Alive, Amount, Digest, Provenance, Record, Store, verify};
use super::{Mode, Rules, Sweep, gc};
use crate::events::event_log_path;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Cache {
    dir: tempfile::TempDir,
    store: Store,
}

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

impl Cache {
    fn new() -> Cache {
        let (dir, store) = empty_cache();
        Cache { dir, store }
    }

    /// A stage that left `files` some `days` ago. Each file's content is its name.
    fn record(&self, stage: &str, days: u64, inputs: &[&Record], files: &[&str]) -> Record {
        let files: Vec<_> = files.iter().map(|text| (*text, *text)).collect();
        let mut published = Stage::new(0, &files).reading(inputs);
        published.material.params = json!({ "stage": stage });
        published.made = Provenance { stage: stage.into(), finished_at: NOW - days * DAY, ..Provenance::default() };
        let record = published.publish(&self.store);
        self.age(&self.store.record_file(record.key), days);
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
fn without_rules_only_leftovers_are_removed() {
    let cache = Cache::new();
    let record = cache.record("e/a", 400, &[], &["x"]);
    let path = cache.store.object(Digest::of(b"unnamed!"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "unnamed!").unwrap();
    cache.age(&path, 1);
    let dead = cache.dir.path().join("work").join(Digest::of(b"k").to_string());
    fs::create_dir_all(dead.join("checkpoint")).unwrap();
    for path in ["checkpoint", ""] {
        cache.age(&dead.join(path), 1);
    }
    // A training that was interrupted yesterday.
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
fn inputs_of_a_young_record_and_shared_objects_stay() {
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
fn a_record_that_a_run_found_is_used_and_the_last_log_of_an_experiment_stays() {
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
fn a_record_that_came_from_the_remote_today_is_young_however_old_it_is() {
    let cache = Cache::new();
    let [old, fetched] = ["old", "fetched"].map(|name| cache.record(&format!("e/{name}"), 90, &[], &[name]));
    cache.age(&cache.store.record_file(fetched.key), 1);
    assert_eq!(names(&cache.gc(|rules| rules.older_than = days(30))), ["e/old"]);
    assert!(cache.has(&fetched) && !cache.has(&old));
}

#[test]
fn by_size_the_least_recently_used_go_first_and_only_as_many_as_needed() {
    let cache = Cache::new();
    let a = cache.record("e/a", 5, &[], &["aaaa"]);
    let b = cache.record("e/b", 4, &[&a], &["bbbb"]);
    let c = cache.record("e/c", 6, &[], &["cccc"]);
    assert!(names(&cache.gc(|rules| rules.max_size = Some(12))).is_empty());
    // `a` counts as used when `b` was, which depends on it; so `b` goes before it.
    assert_eq!(names(&cache.gc(|rules| rules.max_size = Some(5))), ["e/c", "e/b"]);
    assert!(cache.has(&a) && !cache.has(&b) && !cache.has(&c));
}

#[test]
fn every_rule_must_select_a_record_and_inputs_of_kept_records_stay() {
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
fn records_that_a_live_run_made_or_has_in_its_log_stay() {
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
fn objects_of_a_newer_program_s_records_stay() {
    let cache = Cache::new();
    let record = cache.record("e/a", 90, &[], &["x"]);
    let path = cache.store.record_file(record.key);
    make_foreign(&path, 7);
    let sweep = cache.gc(|rules| rules.older_than = Some(Duration::ZERO));
    assert_eq!((names(&sweep).len(), sweep.objects.count, sweep.unnamed.count), (0, 0, 0));
    assert!(path.exists() && cache.store.object(record.outputs[0].digest).exists());
}

#[test]
fn findings_that_were_not_used_for_a_month_are_removed_and_verify_leaves_them() {
    let (_dir, store) = empty_cache();
    let (old, used) = (Digest::of(b"old"), Digest::of(b"used"));
    let now = SystemTime::now();
    for source in [old, used] {
        store.write_finding(source, &1);
        let path = store.folder(findings::FOLDER).join(format!("{source}.json"));
        let file = File::options().append(true).open(path).unwrap();
        file.set_modified(now - Duration::from_secs(40 * DAY)).unwrap();
    }
    assert_eq!(store.read_finding(used), Some(1));
    assert!(verify(&store, &|_, _| {}).unwrap().damaged.is_empty());
    let rules = Rules { older_than: None, keep: None, max_size: None, now };
    assert_eq!(gc(&store, &rules, Mode::Delete).unwrap().leftovers.count, 1);
    assert_eq!((store.read_finding::<i32>(old), store.read_finding(used)), (None, Some(1)));
}

/// Jobs wait in a queue while no run lives: their inputs and their checkpoints stay.
#[test]
fn what_jobs_in_a_queue_need_stays_until_they_have_ended() {
    let cache = Cache::new();
    let input = cache.record("input", 90, &[], &["input"]);
    let key = super::super::Key(Digest::of(b"job"));
    let checkpoint = cache.store.work(key).checkpoint();
    fs::create_dir_all(&checkpoint).unwrap();
    fs::write(checkpoint.join("1"), "state").unwrap();
    cache.age(&checkpoint.join("1"), 90);
    let batch = cache.dir.path().join("slurm/matssl-e-1-1-0");
    for folder in ["tasks", "ended"] {
        fs::create_dir_all(batch.join(folder)).unwrap();
    }
    fs::write(batch.join("batch.json"), json!({ "experiment": "e", "made_at": NOW - 60 * DAY }).to_string()).unwrap();
    let task = json!({ "key": key, "job": { "inputs": [{ "key": input.key }] } });
    fs::write(batch.join("tasks/0.json"), task.to_string()).unwrap();
    let old = |rules: &mut Rules| rules.older_than = Some(Duration::from_secs(DAY));
    assert!(cache.gc(old).records.is_empty() && checkpoint.join("1").exists());
    fs::write(batch.join("ended/0.json"), "{}").unwrap();
    assert_eq!(cache.gc(old).records.len(), 1);
    assert!(!checkpoint.exists());
}
