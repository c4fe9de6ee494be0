//! cuDNN's convolutions in NHWC, with descriptors and the choice of algorithm kept for each shape.

use super::arithmetic::arithmetic;
use super::choice::{Choice, Trouble};
use super::convolution::{Convolution, Direction, Sizes};
use super::driver::{SYNC, explained, first_line};
use super::libraries;
use super::refusals::note_refusal;
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::cuda_backend::cudarc::driver::DevicePtr;
use candle_core::cuda_backend::{CudaDevice, WrapErr};
use candle_core::{DType, Error, Result};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::fmt;

/// Bytes of workspace up to which algorithms are preferred.
const WORKSPACE: usize = 1 << 30;
/// Algorithms that are looked at: cuDNN has fewer in each direction.
const CANDIDATES: usize = 10;

/// A handle, and what was prepared for the shapes seen so far. Lives as long as the process; the system takes back what it
/// holds.
pub(super) struct Convolver {
    device: CudaDevice,
    handle: sys::cudnnHandle_t,
    plans: HashMap<Key, Plan>,
}

// SAFETY: a cuDNN handle and its descriptors may be used from any thread, by one at a time; the mutex around the only one
// (`CONVOLVER`) sees to that.
unsafe impl Send for Convolver {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    sizes: Sizes,
    dtype: DType,
    tf32: bool,
    deterministic: bool,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { direction, sizes, dtype, tf32, deterministic } = self;
        let Sizes { input, filter, output, padding, stride, dilation } = sizes;
        let precision = if *tf32 { " with TF32" } else { "" };
        let bits = if *deterministic { ", deterministic" } else { "" };
        write!(
            f,
            "{direction:?} of input {input:?}, filter {filter:?}, output {output:?}, padding {padding:?}, stride {stride}, \
             dilation {dilation}, in {dtype:?}{precision}{bits}"
        )
    }
}

/// What describes a convolution to cuDNN.
#[derive(Clone, Copy)]
struct Descriptors {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
}

/// A convolution's descriptors and the algorithms that may compute it.
struct Plan {
    descriptors: Descriptors,
    choice: Choice<Chosen>,
}

/// An algorithm, ready to run.
#[derive(Clone, Copy)]
struct Chosen {
    algorithm: Algorithm,
    /// None where the arithmetic is not the algorithm's to choose.
    math: Option<sys::cudnnMathType_t>,
    /// Bytes.
    workspace: usize,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chosen { algorithm, math, workspace } = self;
        write!(f, "{algorithm}")?;
        if let Some(math) = math {
            write!(f, ", {math:?}")?;
        }
        write!(f, ", workspace of {} KiB", workspace.div_ceil(1 << 10))
    }
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Algorithm::Forward(algorithm) => write!(f, "{algorithm:?}"),
            Algorithm::Data(algorithm) => write!(f, "{algorithm:?}"),
            Algorithm::Filter(algorithm) => write!(f, "{algorithm:?}"),
        }
    }
}

/// cuDNN's description of an algorithm, for any direction.
struct Candidate {
    algorithm: Algorithm,
    status: sys::cudnnStatus_t,
    determinism: sys::cudnnDeterminism_t,
    math: sys::cudnnMathType_t,
}

/// Whether cuDNN says that this work cannot be done in this way, rather than that something is wrong with memory (…_ALLOC…),
/// with the library itself (statuses from 1001 to 1999), or with what it needs: driver, runtime, a part of cuDNN.
fn is_refusal(CudnnError(status): CudnnError) -> bool {
    use sys::cudnnStatus_t::{
        CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER, CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART,
        CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE,
    };
    let needs = [
        CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDA_DRIVER,
        CUDNN_STATUS_NOT_SUPPORTED_INCOMPATIBLE_CUDART,
        CUDNN_STATUS_NOT_SUPPORTED_SUBLIBRARY_UNAVAILABLE,
    ];
    !(1000..2000).contains(&(status as u32)) && !needs.contains(&status) && !format!("{status:?}").contains("ALLOC")
}

impl Convolver {
    pub(super) fn new(device: &CudaDevice) -> Result<Self> {
        let failed = |error: CudnnError| Error::Msg(format!("cuDNN cannot be used: {error}"));
        let handle = result::create_handle().map_err(failed)?;
        // SAFETY: the handle was just made, and the device keeps its stream.
        unsafe { result::set_stream(handle, device.cuda_stream().cu_stream() as sys::cudaStream_t) }.map_err(failed)?;
        Ok(Convolver { device: device.clone(), handle, plans: HashMap::new() })
    }

    /// Computes `convolution` on the `addresses` of input, filter and output; false if no algorithm does.
    pub(super) fn run(&mut self, convolution: &Convolution<'_>, addresses: [u64; 3]) -> Result<bool> {
        let key = Key::of(convolution.direction, convolution.sizes, convolution.input.dtype());
        let mut plan = match self.plans.remove(&key) {
            Some(plan) => plan,
            None => self.plan(&key)?,
        };
        let addresses = addresses.map(|address| address as *mut c_void);
        let Plan { descriptors, choice } = &mut plan;
        let attempt = |chosen: &Chosen| self.carry_out(&key, *descriptors, *chosen, addresses);
        let result = choice.run(attempt, note_refusal);
        self.plans.insert(key, plan);
        result
    }

    /// What [`Convolver::run`] would try, in its order, without running it.
    pub(super) fn candidates_of(&self, direction: Direction, sizes: Sizes, dtype: DType) -> Result<Vec<String>> {
        let plan = self.plan(&Key::of(direction, sizes, dtype))?;
        Ok(plan.choice.left().map(Chosen::to_string).collect())
    }

    fn plan(&self, key: &Key) -> Result<Plan> {
        let exact = key.dtype == DType::F32 && !key.tf32;
        let failed = |error: CudnnError| Error::Msg(format!("cuDNN, preparing {key}: {error}"));
        let descriptors = describe(key, exact).map_err(failed)?;
        let all = self.algorithms(key.direction, descriptors).map_err(failed)?;
        let usable = |candidate: &Candidate| {
            candidate.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                && (!key.deterministic || candidate.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC)
        };
        let mut candidates = Vec::new();
        for Candidate { algorithm, math, .. } in all.into_iter().filter(usable) {
            let math = (!exact).then_some(math);
            // cuDNN may refuse what it has listed.
            match set_math(descriptors, math).and_then(|()| self.workspace(descriptors, algorithm)) {
                Ok(workspace) => candidates.push((Chosen { algorithm, math, workspace }, workspace)),
                Err(error) if is_refusal(error) => note_refusal(&format!("{algorithm} for {key}: workspace: {error}")),
                Err(error) => return Err(failed(error)),
            }
        }
        if candidates.is_empty() && key.deterministic {
            note_refusal(&format!(
                "cuDNN has no deterministic algorithm for {key}; `deterministic = false` allows others"
            ));
        }
        Ok(Plan { descriptors, choice: Choice::new(candidates, WORKSPACE) })
    }

    /// cuDNN's algorithms for this shape, the one that it thinks fastest first. It does not try them out: then the
    /// choice, and with it the bits, could change from run to run.
    fn algorithms(
        &self,
        direction: Direction,
        Descriptors { x, w, y, convolution }: Descriptors,
    ) -> std::result::Result<Vec<Candidate>, CudnnError> {
        /// Calls one of the three queries and makes [`Candidate`]s of its answers.
        macro_rules! ask {
            ($query:path, $answer:ty, $kind:path, ($($descriptor:expr),*)) => {{
                let mut found: c_int = 0;
                // SAFETY: plain numbers, of which all zeros is a value; cuDNN writes at most so many.
                let mut answers = unsafe { std::mem::zeroed::<[$answer; CANDIDATES]>() };
                // SAFETY: handle and descriptors live.
                unsafe {
                    let (count, first) = (CANDIDATES as c_int, answers.as_mut_ptr());
                    $query(self.handle, $($descriptor,)* count, &raw mut found, first)?;
                }
                let found = usize::try_from(found).unwrap_or(0).min(CANDIDATES);
                let candidate = |answer: &$answer| Candidate {
                    algorithm: $kind(answer.algo),
                    status: answer.status,
                    determinism: answer.determinism,
                    math: answer.mathType,
                };
                answers[..found].iter().map(candidate).collect()
            }};
        }
        Ok(match direction {
            Direction::Forward => ask!(
                result::get_convolution_forward_algorithm,
                sys::cudnnConvolutionFwdAlgoPerf_t,
                Algorithm::Forward,
                (x, w, convolution, y)
            ),
            Direction::Data => ask!(
                result::get_convolution_backward_data_algorithm,
                sys::cudnnConvolutionBwdDataAlgoPerf_t,
                Algorithm::Data,
                (w, y, convolution, x)
            ),
            Direction::Filter => ask!(
                result::get_convolution_backward_filter_algorithm,
                sys::cudnnConvolutionBwdFilterAlgoPerf_t,
                Algorithm::Filter,
                (x, y, convolution, w)
            ),
        })
    }

    fn workspace(
        &self,
        Descriptors { x, w, y, convolution }: Descriptors,
        algorithm: Algorithm,
    ) -> std::result::Result<usize, CudnnError> {
        // SAFETY: handle and descriptors live.
        unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => {
                    result::get_convolution_forward_workspace_size(self.handle, x, w, convolution, y, algorithm)
                }
                Algorithm::Data(algorithm) => {
                    result::get_convolution_backward_data_workspace_size(self.handle, w, y, convolution, x, algorithm)
                }
                Algorithm::Filter(algorithm) => {
                    result::get_convolution_backward_filter_workspace_size(self.handle, x, y, convolution, w, algorithm)
                }
            }
        }
    }

    fn carry_out(
        &self,
        key: &Key,
        descriptors: Descriptors,
        chosen: Chosen,
        [x_at, w_at, y_at]: [*mut c_void; 3],
    ) -> std::result::Result<(), Trouble> {
        let Descriptors { x, w, y, convolution } = descriptors;
        let Chosen { algorithm, math, workspace } = chosen;
        // From the pool, in the stream's order: it costs next to nothing, and only the largest one counts.
        // SAFETY: cuDNN writes it before it reads it.
        let space = unsafe { self.device.alloc::<u8>(workspace.max(1)) };
        let space = space.map_err(|error| Trouble::Failed(explained(&self.device, error, workspace)))?;
        let stream = self.device.cuda_stream();
        let scratch = space.device_ptr(&stream).0 as *mut c_void;
        let (one, zero) = (1f32, 0f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        // SAFETY: handle and descriptors live; the addresses are those of contiguous tensors of the described sizes.
        let done = set_math(descriptors, math).and_then(|()| unsafe {
            match algorithm {
                Algorithm::Forward(algorithm) => result::convolution_forward(
                    self.handle,
                    one,
                    x,
                    x_at,
                    w,
                    w_at,
                    convolution,
                    algorithm,
                    scratch,
                    workspace,
                    zero,
                    y,
                    y_at,
                ),
                Algorithm::Data(algorithm) => result::convolution_backward_data(
                    self.handle,
                    one,
                    w,
                    w_at,
                    y,
                    y_at,
                    convolution,
                    algorithm,
                    scratch,
                    workspace,
                    zero,
                    x,
                    x_at,
                ),
                Algorithm::Filter(algorithm) => result::convolution_backward_filter(
                    self.handle,
                    one,
                    x,
                    x_at,
                    y,
                    y_at,
                    convolution,
                    algorithm,
                    scratch,
                    workspace,
                    zero,
                    w,
                    w_at,
                ),
            }
        });
        match done {
            Ok(()) if *SYNC => stream.synchronize().w().map_err(|error| {
                Trouble::Failed(Error::Msg(format!("cuDNN: {chosen} for {key}: {}", first_line(&error))))
            }),
            Ok(()) => Ok(()),
            Err(error) => Err(self.trouble(error, format!("{chosen} for {key}: {error}"))),
        }
    }

    /// Whether cuDNN's `error` is a refusal, or a fault that any further call would meet too.
    fn trouble(&self, error: CudnnError, what: String) -> Trouble {
        let failed = |why: &str| Trouble::Failed(Error::Msg(format!("cuDNN: {what}{why}")));
        if let Some(function) = libraries::lacking() {
            return failed(&format!("; {function} was called, which CUDA's libraries here do not have"));
        }
        // An earlier kernel's fault fails all that comes after it.
        if let Err(fault) = self.device.cuda_stream().synchronize().w() {
            return failed(&format!("; the GPU has a fault: {}", first_line(&fault)));
        }
        if is_refusal(error) { Trouble::Refused(what) } else { failed("") }
    }
}

impl Key {
    /// As this process computes ([`super::set_arithmetic`]).
    fn of(direction: Direction, sizes: Sizes, dtype: DType) -> Self {
        let (tf32, deterministic) = arithmetic();
        Key { direction, sizes, dtype, tf32, deterministic }
    }
}

fn set_math(
    Descriptors { convolution, .. }: Descriptors,
    math: Option<sys::cudnnMathType_t>,
) -> std::result::Result<(), CudnnError> {
    match math {
        // SAFETY: the descriptor lives.
        Some(math) => unsafe { result::set_convolution_math_type(convolution, math) },
        None => Ok(()),
    }
}

/// Describes a convolution to cuDNN; if `exact` without TF32.
fn describe(key: &Key, exact: bool) -> std::result::Result<Descriptors, CudnnError> {
    let Key { sizes, dtype, .. } = *key;
    let refused = CudnnError(sys::cudnnStatus_t::CUDNN_STATUS_NOT_SUPPORTED);
    let data_type = match dtype {
        DType::F32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
        DType::BF16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
        _ => return Err(refused),
    };
    let number = |value: usize| c_int::try_from(value).map_err(|_| refused);
    // cuDNN counts batch, channels, height, width in every layout.
    let dims = |[n, h, w, c]: [usize; 4]| Ok([number(n)?, number(c)?, number(h)?, number(w)?]);
    let nhwc = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
    let [pad_h, pad_w] = sizes.padding;
    let ([pad_h, pad_w], stride, dilation) =
        ([number(pad_h)?, number(pad_w)?], number(sizes.stride)?, number(sizes.dilation)?);
    let (mode, sums) = (sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION, sys::cudnnDataType_t::CUDNN_DATA_FLOAT);
    let math = match (exact, dtype) {
        (true, _) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
        (false, DType::F32) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
        (false, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
    };
    // SAFETY: descriptors are set as soon as they are made, from sizes that fit.
    let descriptors = unsafe {
        let x = result::create_tensor_descriptor()?;
        result::set_tensor4d_descriptor(x, nhwc, data_type, dims(sizes.input)?)?;
        let w = result::create_filter_descriptor()?;
        result::set_filter4d_descriptor(w, data_type, nhwc, dims(sizes.filter)?)?;
        let y = result::create_tensor_descriptor()?;
        result::set_tensor4d_descriptor(y, nhwc, data_type, dims(sizes.output)?)?;
        let convolution = result::create_convolution_descriptor()?;
        result::set_convolution2d_descriptor(
            convolution,
            pad_h,
            pad_w,
            stride,
            stride,
            dilation,
            dilation,
            mode,
            sums,
        )?;
        Descriptors { x, w, y, convolution }
    };
    set_math(descriptors, Some(math))?;
    Ok(descriptors)
}
