//! Whether a disk has room, and a folder can be made.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Number of bytes that can still be written to the disk of `folder`; `None` if the system does not say.
#[allow(clippy::useless_conversion, reason = "these integers are smaller on some systems")]
pub fn free_space(folder: &Path) -> Option<u64> {
    let name = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: a zeroed statvfs is a valid value of this plain struct, and only the call writes to it; `name` ends with a NUL.
    let (done, disk) = unsafe {
        let mut disk: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(name.as_ptr(), &mut disk), disk)
    };
    (done == 0).then(|| u64::from(disk.f_bavail).saturating_mul(disk.f_frsize.into()))
}

/// Whether a write failed because the disk or the user's share of it is full.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Checks that nothing but a folder is at `folder` and above it.
///
/// # Errors
/// A sentence without the name of the folder: `is a file, not a folder`.
pub fn check_folder(folder: &Path) -> Result<(), String> {
    let there = what_is_there(folder);
    if there.is_dir() {
        return Ok(());
    }
    let what = match std::fs::read_link(&there) {
        Ok(target) if !there.exists() => format!("is a link to {}, which does not exist", target.display()),
        _ => "is a file, not a folder".into(),
    };
    Err(if there == folder { what } else { format!("cannot be made, because {} {what}", there.display()) })
}

/// As [`check_folder`], and that this process may write there.
///
/// # Errors
/// As there.
pub fn check_writable(folder: &Path) -> Result<(), String> {
    check_folder(folder)?;
    let there = what_is_there(folder);
    // Rights do not tell of everything: a folder is made and goes again.
    let made = tempfile::tempdir_in(&there);
    made.map(drop).map_err(|error| format!("cannot be written ({}: {})", there.display(), error.kind()))
}

/// The nearest of `folder` and the folders above it that exists. (A link to nothing is there, and is no folder.)
fn what_is_there(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|path| path.symlink_metadata().is_ok());
    there.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_known_for_a_folder_that_exists_only() {
        assert!(free_space(Path::new("/")).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(Path::new("/not/there")), None);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(check_folder(dir.path()), Ok(()));
        assert_eq!(check_writable(&dir.path().join("a/b")), Ok(()));
        assert_eq!(check_writable(Path::new("not-there")), Ok(()));
        assert_eq!(check_folder(&file).unwrap_err(), "is a file, not a folder");
        let below = check_folder(&file.join("a")).unwrap_err();
        assert_eq!(below, format!("cannot be made, because {} is a file, not a folder", file.display()));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/not/there", &link).unwrap();
        assert_eq!(check_folder(&link).unwrap_err(), "is a link to /not/there, which does not exist");
        let below = check_folder(&link.join("a")).unwrap_err();
        let expected = "is a link to /not/there, which does not exist";
        assert_eq!(below, format!("cannot be made, because {} {expected}", link.display()));
    }
}
