//! Tests of what the cache tells a log for a bug report.

use super::fixtures::{empty_cache, publish, replace_object};
use super::{Mode, Rules, gc};
use std::fmt::{Debug, Write as _};
use std::fs::{self, File};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record as SpanRecord};
use tracing::{Event, Metadata, Subscriber};

/// Collects events, one line each: level and fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<String>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }
        let mut fields = Fields(event.metadata().level().to_string());
        event.record(&mut fields);
        *self.0.lock().unwrap() += &format!("{}\n", fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The events of `work`.
fn events_of(work: impl FnOnce()) -> String {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.clone(), work);
    std::mem::take(&mut *lines.0.lock().unwrap())
}

/// Asserts that one line of `events` has all `parts`.
fn says(events: &str, parts: &[&str]) {
    let found = events.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "{parts:?} in\n{events}");
}

#[test]
fn the_log_says_which_file_was_hashed_and_which_was_known() {
    let (dir, store) = empty_cache();
    let path = dir.path().join("image.png");
    fs::write(&path, "pixels").unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let files = [("image.png".to_owned(), path)];
    let hash = || events_of(|| drop(store.digests(dir.path(), &files).unwrap()));
    let digest = super::Digest::of(b"pixels").to_string();
    says(&hash(), &["DEBUG", "hashed a file", "image.png", "bytes=6", &digest, "not in the index", "remembered=false"]);
    // Old enough to be remembered: its ctime, which cannot be set, too.
    std::thread::sleep(Duration::from_millis(2100));
    says(&hash(), &["hashed a file", "image.png", "remembered=true"]);
    let events = hash();
    says(&events, &["TRACE", "unchanged since it was hashed", "image.png", &digest]);
    assert!(!events.contains("hashed a file"), "{events}");
}

#[test]
fn the_log_says_which_record_is_found_written_and_removed() {
    let (_dir, store) = empty_cache();
    let mut record = None;
    let events = events_of(|| record = Some(publish(&store, 0, &[("a", "text")])));
    let record = record.unwrap();
    let (key, digest) = (record.key.to_string(), record.outputs[0].digest);
    says(&events, &["wrote the first record of this key", &key, "e/s@0"]);
    let events = events_of(|| drop(publish(&store, 0, &[("a", "other")])));
    says(&events, &["another record of this key was first", &key, "same_content=false"]);
    says(&events_of(|| drop(store.find(record.key))), &["found the record of this key", &key]);
    replace_object(&store, digest, b"longer text");
    let events = events_of(|| drop(store.find(record.key)));
    says(&events, &["its object is missing or has the wrong size", &key, "path=\"a\"", &digest.to_string()]);
    let now = SystemTime::now() + Duration::from_secs(100);
    let rules = Rules { older_than: Some(Duration::ZERO), keep: None, max_size: None, now };
    let events = events_of(|| drop(gc(&store, &rules, Mode::Delete).unwrap()));
    says(&events, &["gc removes a record", &key, "e/s@0"]);
    says(&events, &["gc removed", &store.object(digest).display().to_string(), "the records that name this object"]);
    says(&events_of(|| drop(store.find(record.key))), &["no record of this key", &key]);
}
