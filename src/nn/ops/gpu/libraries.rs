//! CUDA's libraries, opened when the first GPU is asked for: so a program with CUDA starts where they are missing, and
//! says which. build.rs writes the list of their functions and the jumps that stand in for them.

use std::ffi::{CString, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// One of CUDA's libraries.
struct Library {
    /// As the dynamic linker finds it.
    file: &'static str,
    /// Its functions' first place in the table.
    first: usize,
    symbols: &'static [&'static str],
}

/// Where a stand-in jumps to.
#[repr(transparent)]
struct Entry(AtomicPtr<c_void>);

impl Entry {
    const fn new(function: extern "C" fn() -> c_int) -> Self {
        Entry(AtomicPtr::new(function as *mut c_void))
    }
}

/// Of a library that is not open.
extern "C" fn unknown() -> c_int {
    999
}

/// Of what registers kernels before `main`.
extern "C" fn zero() -> c_int {
    0
}

include!(concat!(env!("OUT_DIR"), "/stand_ins.rs"));

/// Opens all libraries, once.
///
/// # Errors
/// Which of them are missing, in a sentence.
pub(super) fn open() -> Result<(), String> {
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED.get_or_init(open_all).clone()
}

fn open_all() -> Result<(), String> {
    let mut missing = Vec::new();
    for library in LIBRARIES {
        let Ok(file) = CString::new(library.file) else { continue };
        // SAFETY: CUDA's own libraries; what they do when they are loaded is what any program with CUDA lets them do.
        let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            missing.push(library.file);
            continue;
        }
        for (entry, symbol) in TABLE[library.first..].iter().zip(library.symbols) {
            let Ok(symbol) = CString::new(*symbol) else { continue };
            // SAFETY: the handle stays open.
            let function = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
            // An older library may lack some, which then go on returning an error.
            if !function.is_null() {
                entry.0.store(function, Ordering::Relaxed);
            }
        }
    }
    match missing[..] {
        [] => Ok(()),
        ["libcuda.so.1", ..] => Err("there is no NVIDIA driver here (libcuda.so.1 cannot be loaded)".to_owned()),
        _ => Err(format!(
            "{} cannot be loaded: install CUDA 13 and cuDNN 9, or name their folders in LD_LIBRARY_PATH",
            missing.join(", ")
        )),
    }
}
