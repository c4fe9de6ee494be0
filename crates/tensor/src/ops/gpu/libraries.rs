//! CUDA's libraries, opened when the first GPU is asked for: so a program with CUDA starts where they are missing, and
//! says which. build.rs writes the list of their functions and the jumps that stand in for them.

use super::opened::Opened;
use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

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
    const fn new(function: unsafe extern "C" fn() -> c_int) -> Self {
        Entry(AtomicPtr::new(function as *mut c_void))
    }
}

// Stand in for the functions that no open library has: each notes the function's number in [`LACKING`] and returns the error of
// its name. In assembly, written by build.rs, since the number comes in a register.
unsafe extern "C" {
    fn matssl_lacking_14() -> c_int;
    fn matssl_lacking_999() -> c_int;
    fn matssl_lacking_4000() -> c_int;
}

/// Of what registers kernels before `main`.
extern "C" fn zero() -> c_int {
    0
}

/// The number of the missing function that was called last, from 1 on.
static LACKING: AtomicU32 = AtomicU32::new(0);

include!(concat!(env!("OUT_DIR"), "/stand_ins.rs"));

/// Opens all libraries, once.
///
/// # Errors
/// Which of them are missing, in a sentence.
pub(super) fn open() -> Result<(), String> {
    let missing: Vec<&Opened> = all().iter().filter(|library| library.found.is_err()).collect();
    let said = |library: &&Opened| library.found.clone().err().unwrap_or_default();
    match missing[..] {
        [] => Ok(()),
        [driver, ..] if driver.file == "libcuda.so.1" => {
            Err(format!("there is no NVIDIA driver here ({})", said(&driver)))
        }
        _ => Err(format!(
            "{}: install CUDA 13 and cuDNN 9, or name their folders in LD_LIBRARY_PATH",
            missing.iter().map(said).collect::<Vec<_>>().join("; ")
        )),
    }
}

/// What came of opening each library; the first call opens them.
pub(super) fn all() -> &'static [Opened] {
    static OPENED: OnceLock<Vec<Opened>> = OnceLock::new();
    OPENED.get_or_init(|| LIBRARIES.iter().map(open_one).collect())
}

/// The name of the missing function that was called last, if one was since the last such question.
pub(super) fn lacking() -> Option<&'static str> {
    let number = LACKING.swap(0, Ordering::Relaxed).checked_sub(1)? as usize;
    let library =
        LIBRARIES.iter().find(|library| (library.first..library.first + library.symbols.len()).contains(&number));
    Some(library.map_or("a function of CUDA's runtime", |library| library.symbols[number - library.first]))
}

fn open_one(library: &Library) -> Opened {
    let mut opened = Opened { file: library.file, found: Err("its name holds a null".into()), lacking: Vec::new() };
    let Ok(file) = CString::new(library.file) else { return opened };
    // SAFETY: CUDA's own libraries; what they do when they are loaded is what any program with CUDA lets them do.
    let handle = unsafe { libc::dlopen(file.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if handle.is_null() {
        opened.found = Err(linker_error().unwrap_or_else(|| format!("{} cannot be loaded", library.file)));
        return opened;
    }
    let mut first = std::ptr::null();
    for (entry, name) in TABLE[library.first..].iter().zip(library.symbols) {
        let Ok(symbol) = CString::new(*name) else { continue };
        // SAFETY: the handle stays open.
        let function = unsafe { libc::dlsym(handle, symbol.as_ptr()) };
        if function.is_null() {
            // An older library may lack some: a call says which.
            opened.lacking.push(name);
            continue;
        }
        entry.0.store(function, Ordering::Relaxed);
        first = function;
    }
    opened.found = Ok(path_of(first).unwrap_or_else(|| library.file.to_owned()));
    opened
}

/// What the dynamic linker says of its last failure.
fn linker_error() -> Option<String> {
    // SAFETY: returns null or a C string that lasts until the next call of the linker in this thread.
    let said = unsafe { libc::dlerror() };
    // SAFETY: as above.
    (!said.is_null()).then(|| unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned())
}

/// The file that holds `function`.
fn path_of(function: *const c_void) -> Option<String> {
    // SAFETY: a plain struct, of which all zeros is a value.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: only looks the address up; null is in no file.
    let is_known = unsafe { libc::dladdr(function, &raw mut found) } != 0 && !found.dli_fname.is_null();
    // SAFETY: the name lasts as long as the library, which is never closed.
    is_known.then(|| unsafe { CStr::from_ptr(found.dli_fname) }.to_string_lossy().into_owned())
}
