//! TensorBoard event files: a training's history, epoch by epoch, where `tensorboard --logdir` shows it.
//!
//! This module writes the format itself, because no crate for it is both maintained and small. A file is a sequence of
//! records (TFRecord): `u64` length of the data, `u32` checksum of these eight bytes, the data, `u32` checksum of the
//! data, all little-endian. The data is a protobuf message `Event`, of which these fields are used (TensorBoard's
//! event.proto, summary.proto):
//!
//! | message | field | type |
//! | --- | --- | --- |
//! | `Event` | 1 `wall_time` | double, seconds since 1970 |
//! | | 2 `step` | int64, here the epoch |
//! | | 3 `file_version` | string, in the first event |
//! | | 5 `summary` | `Summary` |
//! | | 7 `session_log` | `SessionLog` |
//! | `SessionLog` | 1 `status` | enum, START = 1 |
//! | `Summary` | 1 `value` | repeated `Summary.Value` |
//! | `Summary.Value` | 1 `tag` | string, here the column |
//! | | 2 `simple_value` | float |

use super::history::History;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// TensorBoard reads files with `tfevents` in their names, in the order of the names.
const PREFIX: &str = "events.out.tfevents.";
/// Distinguishes this program's files from others.
const SUFFIX: &str = ".matssl-run";

/// The event file of one attempt at a training: a scalar for each epoch and column. Values are rounded to float32;
/// history.csv has all digits.
#[derive(Debug)]
pub struct EventFile {
    folder: PathBuf,
    file: Option<File>,
    epochs: usize,
}

impl EventFile {
    /// An event file in `folder`, which does not change before [`EventFile::follow`].
    pub fn new(folder: PathBuf) -> Self {
        EventFile { folder, file: None, epochs: 0 }
    }

    /// Writes the epochs of `history` that are not in the file yet, without values that were not measured. The first
    /// call creates the folder, empties the event files of earlier attempts in it, and starts the file: so no curve
    /// appears twice, and an attempt that resumes from a checkpoint also has the earlier epochs (with the time of that
    /// call).
    ///
    /// # Errors
    /// If the file cannot be written. It then ends there; do not write to it again.
    pub fn follow(&mut self, history: &History) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(begin(&self.folder).with_context(|| format!("in {}", self.folder.display()))?),
        };
        for row in history.rows().skip(self.epochs) {
            self.epochs += 1;
            let values = history.columns().iter().zip(row);
            let measured = values.filter_map(|(tag, value)| value.map(|value| (tag, value)));
            let summary = measured.fold(Message::default(), |summary, (tag, value)| {
                summary.message(1, Message::default().bytes(1, tag.as_bytes()).float(2, value as f32))
            });
            let event = event(since_1970()).integer(2, self.epochs as u64).message(5, summary);
            write_record(file, &event).with_context(|| format!("in {}", self.folder.display()))?;
        }
        Ok(())
    }
}

/// A new file in `folder`; all other files of this program there are emptied.
fn begin(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            // A TensorBoard without its fast reader stops at a file that was removed while it watched: the last
            // attempt's file stays, empty, until the next attempt.
            match entry.metadata()?.len() {
                0 => fs::remove_file(entry.path())?,
                _ => File::options().write(true).open(entry.path())?.set_len(0)?,
            }
        }
    }
    let now = since_1970();
    let name = format!("{PREFIX}{:010}.{:09}{SUFFIX}", now.as_secs(), now.subsec_nanos());
    // Append, so that no hole is left if another attempt empties the file.
    let mut file = File::options().append(true).create_new(true).open(folder.join(name))?;
    write_record(&mut file, &event(now).bytes(3, b"brain.Event:2"))?;
    // This makes a TensorBoard that watches discard the earlier attempt.
    write_record(&mut file, &event(now).message(7, Message::default().integer(1, 1)))?;
    Ok(file)
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// An empty `Event`.
fn event(at: Duration) -> Message {
    Message::default().double(1, at.as_secs_f64())
}

/// Writes a record in one call, so that a concurrent reader sees complete records.
fn write_record(file: &mut File, Message(data): &Message) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    let record = [&length[..], &masked_crc32c(&length).to_le_bytes(), data, &masked_crc32c(data).to_le_bytes()];
    file.write_all(&record.concat())
}

/// The masked checksum of TFRecord: a plain checksum is weak for data that contain checksums.
fn masked_crc32c(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
fn crc32c(data: &[u8]) -> u32 {
    const REVERSED_POLYNOMIAL: u32 = 0x82f6_3b78;
    !data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (REVERSED_POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

/// A protobuf message, field by field (protobuf.dev/programming-guides/encoding): a key, which is the field's number and
/// its wire type, and a value.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn double(self, field: u8, value: f64) -> Self {
        self.key(field, 1).raw(&value.to_le_bytes())
    }

    fn float(self, field: u8, value: f32) -> Self {
        self.key(field, 5).raw(&value.to_le_bytes())
    }

    fn integer(self, field: u8, value: u64) -> Self {
        self.key(field, 0).varint(value)
    }

    fn bytes(self, field: u8, value: &[u8]) -> Self {
        self.key(field, 2).varint(value.len() as u64).raw(value)
    }

    fn message(self, field: u8, Message(value): Message) -> Self {
        self.bytes(field, &value)
    }

    fn key(self, field: u8, wire_type: u8) -> Self {
        self.varint(u64::from(field << 3 | wire_type))
    }

    /// A varint: seven bits per byte, lowest first; the eighth bit says that more follow.
    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

#[cfg(test)]
mod tests;
