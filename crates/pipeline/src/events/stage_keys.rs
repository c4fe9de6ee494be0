//! The cache keys that an event log names: what `gc` and the forecast read of it.
//!
//! Only the fields that matter here are read, for two reasons: logs are long, and a log of a newer program, whose events may
//! have other fields, must still protect its records from `gc`.

use super::log::{event_log_path, lines};
use crate::key::Key;
use serde::Deserialize;
use std::fs;
use std::path::Path;

/// The keys that the event log of one run names.
#[derive(Debug, Default)]
pub(crate) struct StageKeys {
    /// In the order of the log.
    pub(crate) mentions: Vec<KeyMention>,
    /// Whether the log ends as that of a finished run does.
    pub(crate) run_finished: bool,
}

/// An event that names a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyMention {
    /// Milliseconds since 1970; 0 if the log does not say.
    pub(crate) milliseconds: u64,
    pub(crate) kind: EventKind,
    pub(crate) key: Key,
}

/// The kinds of [`Event`](super::Event) that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    StageStarted,
    StageFinished,
    RunFinished,
    #[default]
    #[serde(other)]
    Other,
}

/// The part of a line that is read.
#[derive(Deserialize)]
struct PartialLine {
    #[serde(default, rename = "at")]
    milliseconds: u64,
    #[serde(default)]
    event: EventKind,
    key: Option<Key>,
}

/// Reads the keys that the event log of the run in this folder names. A line that is half written names none.
pub(crate) fn read_stage_keys(run: &Path) -> StageKeys {
    let log = fs::read(event_log_path(run)).unwrap_or_default();
    let mut keys = StageKeys::default();
    for line in lines(&log) {
        let Ok(PartialLine { milliseconds, event: kind, key }) = serde_json::from_slice(line) else { continue };
        keys.run_finished |= kind == EventKind::RunFinished;
        keys.mentions.extend(key.map(|key| KeyMention { milliseconds, kind, key }));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::super::{ErrorClass, Event, EventLog};
    use super::*;
    use crate::key::Digest;

    #[test]
    fn every_event_with_a_key_is_a_mention_of_its_kind() {
        let run = tempfile::tempdir().unwrap();
        let [a, b, c, d] = [b"a", b"b", b"c", b"d"].map(|text| Key(Digest::of(text)));
        let stage = || "s".to_owned();
        let (class, message) = (ErrorClass::Failed, "m".to_owned());
        let failed = |key| Event::StageFailed {
            stage: stage(),
            class,
            message: message.clone(),
            key,
            log: None,
            last_lines: Vec::new(),
        };
        let mut log = EventLog::create(run.path()).unwrap();
        for event in [
            Event::RunStarted { experiment: "e".into(), stages: 4, cached: 1, jobs: 2 },
            Event::StageHit { stage: stage(), key: a },
            Event::StageStarted { stage: stage(), key: b, threads: 1, device: Some("cuda:0".into()) },
            Event::StageFinished { stage: stage(), key: c, seconds: 1.0 },
            failed(Some(d)),
            failed(None),
        ] {
            log.write(&event).unwrap();
        }
        let read = read_stage_keys(run.path());
        let mentions: Vec<_> = read.mentions.iter().map(|mention| (mention.kind, mention.key)).collect();
        use EventKind::{Other, StageFinished, StageStarted};
        assert_eq!(mentions, [(Other, a), (StageStarted, b), (StageFinished, c), (Other, d)]);
        assert!(read.mentions.iter().all(|mention| mention.milliseconds > 1_600_000_000_000));
        assert!(!read.run_finished);
        log.write(&Event::RunFinished { ran: 1, failed: 2, interrupted: false, seconds: 1.0 }).unwrap();
        assert!(read_stage_keys(run.path()).run_finished);
    }

    #[test]
    fn keys_of_unknown_events_count_and_those_of_half_lines_do_not() {
        let run = tempfile::tempdir().unwrap();
        let (a, b) = (Key(Digest::of(b"a")), Key(Digest::of(b"b")));
        let log = format!("{{\"event\":\"stage_moved\",\"key\":\"{a}\"}}\n{{\"at\":1}}\n{{\"at\":9,\"key\":\"{b}");
        fs::write(event_log_path(run.path()), log).unwrap();
        let read = read_stage_keys(run.path());
        assert_eq!(read.mentions, [KeyMention { milliseconds: 0, kind: EventKind::Other, key: a }]);
    }
}
