//! Free space of disks.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_known_for_a_folder_that_exists_only() {
        assert!(free_space(Path::new("/")).is_some_and(|bytes| bytes > 0));
        assert_eq!(free_space(Path::new("/not/there")), None);
    }
}
