//! A number of files and their size.

/// A number of files and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Number of files.
    pub count: usize,
    /// Size in bytes.
    pub bytes: u64,
}

impl std::ops::AddAssign<u64> for Amount {
    /// Adds one file of this many bytes.
    fn add_assign(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}
