//! Disks.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that may still be written on the disk of `folder`; `None` where the system does not say.
#[allow(clippy::useless_conversion, reason = "these are narrower on some systems")]
pub fn free_space(folder: &Path) -> Option<u64> {
    let name = CString::new(folder.as_os_str().as_bytes()).ok()?;
    // SAFETY: a zeroed statvfs is a valid value of this plain struct, which the call alone writes; `name` ends with a NUL.
    let (done, disk) = unsafe {
        let mut disk: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(name.as_ptr(), &mut disk), disk)
    };
    (done == 0).then(|| u64::from(disk.f_bavail).saturating_mul(disk.f_frsize.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_space_and_none_has_none() {
        assert!(free_space(Path::new("/")).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(Path::new("/not/there")), None);
    }
}
