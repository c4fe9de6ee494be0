//! How opening one of CUDA's libraries ended.

/// One of CUDA's libraries after an attempt to open it.
#[derive(Clone, Debug)]
pub struct Opened {
    /// As the dynamic linker was asked for it.
    pub file: &'static str,
    /// The file that was found, or what the dynamic linker said.
    pub found: std::result::Result<String, String>,
    /// Functions that this program was linked with and the library does not have.
    pub lacking: Vec<&'static str>,
}
