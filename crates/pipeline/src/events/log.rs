//! The event log of a run: `events.jsonl` in the run's folder, one JSON object a line, appended to only.

use super::event::Event;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// One line of the event log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoggedEvent<E = Event> {
    /// Milliseconds since 1970.
    #[serde(rename = "at")]
    pub milliseconds: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
}

impl<E> LoggedEvent<E> {
    /// Seconds since 1970.
    pub fn seconds(&self) -> f64 {
        self.milliseconds as f64 / 1000.0
    }
}

/// The JSON Schema of one line of the event log.
pub fn event_schema() -> serde_json::Value {
    schemars::schema_for!(LoggedEvent<Event>).to_value()
}

/// Writes the event log of one run.
#[derive(Debug)]
pub struct EventLog {
    file: File,
}

impl EventLog {
    /// Opens the event log in the folder of a run, and makes it if it is missing.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn create(run: &Path) -> io::Result<Self> {
        Ok(EventLog { file: File::options().create(true).append(true).open(event_log_path(run))? })
    }

    /// Appends `event` with the time of day.
    ///
    /// # Errors
    /// A full or read-only disk.
    pub fn write(&mut self, event: &Event) -> io::Result<()> {
        let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        let mut line = serde_json::to_vec(&LoggedEvent { milliseconds, event })?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// The events of the run in this folder, in the order of its log; none if it has no log.
///
/// Lines that are no event are left out: the last one may be half written, and a newer program may know other events.
pub fn read_events(run: &Path) -> Vec<LoggedEvent> {
    let log = fs::read(event_log_path(run)).unwrap_or_default();
    lines(&log).filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Where the event log of a run lies.
pub(crate) fn event_log_path(run: &Path) -> PathBuf {
    run.join("events.jsonl")
}

/// The lines of a log. (Not as text: a line that is cut inside a character must not make the whole log unreadable.)
pub(super) fn lines(log: &[u8]) -> impl Iterator<Item = &[u8]> {
    log.split(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Digest, Key};

    #[test]
    fn events_are_read_as_written_and_half_a_line_is_left_out() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(read_events(run.path()), []);
        let key = Key(Digest::of(b"a"));
        let written = [
            Event::StageStarted { stage: "größe".into(), key, threads: 2, device: None },
            Event::StageFinished { stage: "größe".into(), key, seconds: 0.5 },
        ];
        let mut log = EventLog::create(run.path()).unwrap();
        written.iter().for_each(|event| log.write(event).unwrap());
        let read = || read_events(run.path()).into_iter().map(|line| line.event).collect::<Vec<_>>();
        assert_eq!(read(), written);
        let bytes = fs::read(event_log_path(run.path())).unwrap();
        // Cut after the first byte of the last `ß`.
        let end = bytes.iter().rposition(|byte| *byte == 0xc3).unwrap();
        assert_eq!(bytes[end + 1], "ß".as_bytes()[1]);
        fs::write(event_log_path(run.path()), &bytes[..=end]).unwrap();
        assert_eq!(read(), written[..1]);
    }

    /// Scripts read these lines: the words and their order stay.
    #[test]
    fn a_line_of_the_log_keeps_its_bytes() {
        let event = Event::StageStarted { stage: "e".into(), key: Key(Digest::of(b"a")), threads: 2, device: None };
        let line = serde_json::to_string(&LoggedEvent { milliseconds: 7, event }).unwrap();
        let key = Digest::of(b"a");
        assert_eq!(line, format!(r#"{{"at":7,"event":"stage_started","stage":"e","key":"{key}","threads":2}}"#));
    }
}
