//! What tells that a file was not changed.

use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Size, mtime, ctime and inode of a file; both times as seconds and nanoseconds. Two equal stamps of one path mean that the
/// file was not changed between them: the ctime shows also a change after which the file got its old mtime back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileStamp(pub(super) [i64; 6]);

impl FileStamp {
    pub(super) fn of(file: &Metadata) -> Self {
        let (size, inode) = (file.size() as i64, file.ino() as i64);
        FileStamp([size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec(), inode])
    }
}

/// When a file, its name or its permissions were last changed.
pub(super) fn changed_at(file: &Metadata) -> SystemTime {
    let seconds = file.ctime().max(0).unsigned_abs();
    let nanoseconds = file.ctime_nsec().clamp(0, 999_999_999) as u32;
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}
