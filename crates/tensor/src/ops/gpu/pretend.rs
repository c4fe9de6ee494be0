//! A GPU for tests: the kernels, compiled by a C++ compiler, run thread after thread on tensors in the CPU's memory.
//! What a real one does otherwise: many threads at once, its own libraries for convolutions, and its own memory.

use super::argument::Argument;
use super::convolution::{Convolution, Direction, Sizes};
use super::device::Gpu;
use super::feeder::{Buffer, Copier, Feeder, Mark};
use super::find::with_stand_in;
use super::refusals::note_refusal;
use super::words::{BLOCK, kernel_name, words};
use crate::ops::conv2d::{self, After, Conv2d, Joined, Wanted};
use candle_core::{CpuStorage, DType, Device, Result, Storage, Tensor, bail};
use half::bf16;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};

thread_local!(static MISSING: RefCell<Option<String>> = const { RefCell::new(None) });
thread_local!(static REFUSES: Cell<bool> = const { Cell::new(false) });
thread_local!(static FEEDER: Arc<Feeder> = Arc::new(Feeder::new(Box::new(Late))));

/// Runs `work` with the operations of this thread on the pretended GPU. None, with a line that says so, if there is no
/// C++ compiler.
pub fn on<R>(work: impl FnOnce() -> R) -> Option<R> {
    if library().is_none() {
        // CI installs one, so there nothing may be skipped.
        assert!(std::env::var_os("CI").is_none(), "no C++ compiler (`c++`) to compile the kernels with");
        eprintln!("skipped: no C++ compiler (`c++`) to compile the kernels with");
        return None;
    }
    Some(with_stand_in(Some(|| Box::new(Pretend)), work))
}

/// Runs `work` with launches of `kernel` doing nothing.
pub fn without<R>(kernel: &str, work: impl FnOnce() -> R) -> R {
    let before = MISSING.replace(Some(kernel.to_owned()));
    let result = work();
    MISSING.replace(before);
    result
}

/// Runs `work` on a pretended GPU whose library refuses all convolutions.
pub fn refusing<R>(work: impl FnOnce() -> R) -> Option<R> {
    let before = REFUSES.replace(true);
    let result = on(work);
    REFUSES.set(before);
    result
}

/// The kernels as a shared library, for the life of the process.
struct Library(*mut c_void);

// SAFETY: a handle of dlopen may be used from any thread.
unsafe impl Send for Library {}
// SAFETY: likewise.
unsafe impl Sync for Library {}

fn library() -> Option<&'static Library> {
    static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();
    LIBRARY.get_or_init(compile).as_ref()
}

fn compile() -> Option<Library> {
    if Command::new("c++").arg("--version").output().is_err() {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("kernels.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops/gpu/kernels.cu");
    // Undefined behaviour in a kernel ends the test.
    let options = ["-std=c++17", "-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-fsanitize=undefined"];
    let trap = ["-fsanitize-undefined-trap-on-error", "-x", "c++"];
    let output = Command::new("c++").args(options).args(trap).arg(&source).arg("-o").arg(&library).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: a library of our own, without constructors.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!handle.is_null(), "cannot load {}", library.display());
    Some(Library(handle))
}

pub(super) struct Pretend;

impl Gpu for Pretend {
    fn empty(&self, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let count = shape.iter().product();
        // What is not written shows.
        match dtype {
            DType::F32 => Tensor::from_vec(vec![f32::NAN; count], shape, &Device::Cpu),
            DType::F64 => Tensor::from_vec(vec![f64::NAN; count], shape, &Device::Cpu),
            DType::BF16 => Tensor::from_vec(vec![bf16::NAN; count], shape, &Device::Cpu),
            DType::U8 => Tensor::from_vec(vec![0xabu8; count], shape, &Device::Cpu),
            other => bail!("no kernel writes {other:?}"),
        }
    }

    fn feeder(&self) -> Result<Arc<Feeder>> {
        Ok(FEEDER.with(Arc::clone))
    }

    fn upload(&self, values: &Tensor) -> Result<Tensor> {
        values.copy()
    }

    fn address(&self, tensor: &Tensor) -> Result<u64> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some((start, _)) = layout.contiguous_offsets() else {
            bail!("a kernel takes contiguous tensors, not {layout:?}");
        };
        let Storage::Cpu(storage) = &*storage else { bail!("a tensor of another device") };
        Ok(match storage {
            CpuStorage::F32(values) => values[start..].as_ptr() as u64,
            CpuStorage::F64(values) => values[start..].as_ptr() as u64,
            CpuStorage::BF16(values) => values[start..].as_ptr() as u64,
            CpuStorage::U8(values) => values[start..].as_ptr() as u64,
            CpuStorage::I64(values) => values[start..].as_ptr() as u64,
            _ => bail!("no kernel takes {:?}", tensor.dtype()),
        })
    }

    fn launch(&self, kernel: &str, dtype: DType, threads: usize, arguments: &[Argument<'_>]) -> Result<()> {
        let mut words = words(self, kernel, threads, arguments)?;
        let mut pointers: Vec<*mut c_void> = words.iter_mut().map(|word| (&raw mut *word).cast()).collect();
        let Some(library) = library() else { bail!("no kernels") };
        let name = CString::new(format!("host_{}", kernel_name(kernel, dtype)?)).expect("a name");
        // SAFETY: a library that stays loaded.
        let symbol = unsafe { libc::dlsym(library.0, name.as_ptr()) };
        if symbol.is_null() {
            bail!("there is no kernel {name:?}");
        }
        if MISSING.with_borrow(|missing| missing.as_deref() == Some(kernel)) {
            return Ok(());
        }
        // SAFETY: host.h defines every `host_…` so.
        let run: extern "C" fn(*mut *mut c_void, i64) = unsafe { std::mem::transmute(symbol) };
        // A real launch is of whole blocks: more threads than asked for.
        run(pointers.as_mut_ptr(), threads.next_multiple_of(BLOCK) as i64);
        Ok(())
    }

    /// By the CPU's own convolution, from the sizes that cuDNN would be given.
    fn convolve(&self, convolution: Convolution<'_>) -> Result<bool> {
        if REFUSES.get() {
            note_refusal("a pretended library refuses all convolutions");
            return Ok(false);
        }
        let Convolution { direction, sizes, input, filter, output } = convolution;
        let Sizes { padding, stride, dilation, .. } = sizes;
        let as_said = [(input, sizes.input), (filter, sizes.filter), (output, sizes.output)];
        for (tensor, shape) in as_said {
            assert_eq!((tensor.elem_count(), tensor.dtype()), (shape.iter().product(), input.dtype()));
        }
        assert_eq!(padding[0], padding[1]);
        let options = Conv2d { stride, padding: padding[0], dilation, groups: 1 };
        let wide = |tensor: &Tensor, shape: [usize; 4]| tensor.reshape(&shape)?.to_dtype(DType::F32);
        let weight = || wide(filter, sizes.filter)?.permute((1, 2, 3, 0))?.contiguous();
        let joined = || Ok::<_, candle_core::Error>([Joined { tensor: wide(input, sizes.input)?, doubled: false }]);
        let (target, result) = with_stand_in(None, || match direction {
            Direction::Forward => {
                let result = conv2d::forward(&joined()?, &weight()?, After::default(), options)?;
                Ok::<_, candle_core::Error>((output, result))
            }
            Direction::Data => {
                let wanted = Wanted { inputs: vec![true], weight: false, bias: false };
                // Only the shape of the input counts.
                let like = [Joined { tensor: Tensor::zeros(&sizes.input, DType::F32, &Device::Cpu)?, doubled: false }];
                let found = conv2d::backward(&like, &weight()?, &wide(output, sizes.output)?, options, &wanted)?;
                Ok((input, found.inputs.into_iter().flatten().next().expect("it was asked for")))
            }
            Direction::Filter => {
                let wanted = Wanted { inputs: vec![false], weight: true, bias: false };
                let [out, height, width, channels] = sizes.filter;
                let like = Tensor::zeros((height, width, channels, out), DType::F32, &Device::Cpu)?;
                let found = conv2d::backward(&joined()?, &like, &wide(output, sizes.output)?, options, &wanted)?;
                Ok((filter, found.weight.expect("it was asked for").permute((3, 0, 1, 2))?.contiguous()?))
            }
        })?;
        assert_eq!(result.elem_count(), target.elem_count());
        let result = result.flatten_all()?.to_dtype(target.dtype())?;
        let bytes = target.elem_count() * target.dtype().size_in_bytes();
        // SAFETY: both are contiguous, of this length, and not the same.
        unsafe {
            let (from, to) = (self.address(&result)? as *const u8, self.address(target)? as *mut u8);
            std::ptr::copy_nonoverlapping(from, to, bytes);
        }
        Ok(true)
    }
}

/// Copies as late as allowed: when a caller waits for them.
struct Late;

impl Copier for Late {
    fn buffer(&self, length: usize) -> Result<Box<dyn Buffer>> {
        let device = Pretend.empty(&[length], DType::F32)?;
        Ok(Box::new(LateBuffer { host: vec![f32::NAN; length], device, asked: None }))
    }
}

struct LateBuffer {
    host: Vec<f32>,
    device: Tensor,
    /// Elements to copy.
    asked: Option<usize>,
}

impl Buffer for LateBuffer {
    fn host(&mut self) -> Result<&mut [f32]> {
        assert_eq!(self.asked, None, "a batch is written over before it is copied");
        Ok(&mut self.host)
    }

    fn device(&self) -> &Tensor {
        &self.device
    }

    fn copy(&mut self, length: usize) -> Result<()> {
        assert_eq!(self.asked.replace(length), None, "two copies at once");
        Ok(())
    }

    fn set(&mut self, _: Mark) -> Result<()> {
        Ok(())
    }

    fn hold(&mut self, mark: Mark) -> Result<()> {
        self.wait(mark)
    }

    /// A kernel is done when its launch returns: nothing is left to wait for.
    fn wait(&mut self, mark: Mark) -> Result<()> {
        if let Some(length) = self.asked.take_if(|_| mark == Mark::Copied) {
            let to = Pretend.address(&self.device)? as *mut f32;
            // SAFETY: the device's side has as many elements as the host's, in memory of its own, which no kernel reads now.
            unsafe { std::ptr::copy_nonoverlapping(self.host[..length].as_ptr(), to, length) };
        }
        Ok(())
    }
}
