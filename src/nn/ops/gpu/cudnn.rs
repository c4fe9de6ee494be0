//! cuDNN's convolutions in NHWC, with descriptors and the choice of algorithm kept for each shape.

use super::driver::explained;
use super::{Convolution, Direction, Sizes, arithmetic};
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::cudarc::cudnn::{CudnnError, result, sys};
use candle_core::cuda_backend::cudarc::driver::DevicePtr;
use candle_core::{DType, Error, Result, bail};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};

/// Memory that an algorithm may take beside its tensors, in bytes, if there is one that takes no more.
const WORKSPACE: usize = 1 << 30;
/// Algorithms that are looked at: cuDNN has fewer in each direction.
const CANDIDATES: usize = 10;

/// A handle, and what was prepared for the shapes seen so far. Lives as long as its thread; the system takes back what
/// it holds.
pub(super) struct Convolver {
    device: CudaDevice,
    handle: sys::cudnnHandle_t,
    plans: HashMap<Key, Plan>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    sizes: Sizes,
    dtype: DType,
    tf32: bool,
    deterministic: bool,
}

#[derive(Clone, Copy)]
struct Plan {
    x: sys::cudnnTensorDescriptor_t,
    w: sys::cudnnFilterDescriptor_t,
    y: sys::cudnnTensorDescriptor_t,
    convolution: sys::cudnnConvolutionDescriptor_t,
    algorithm: Algorithm,
    workspace: usize,
}

#[derive(Clone, Copy, Debug)]
enum Algorithm {
    Forward(sys::cudnnConvolutionFwdAlgo_t),
    Data(sys::cudnnConvolutionBwdDataAlgo_t),
    Filter(sys::cudnnConvolutionBwdFilterAlgo_t),
}

/// What cuDNN says of an algorithm, whatever its direction.
struct Candidate {
    algorithm: Algorithm,
    status: sys::cudnnStatus_t,
    determinism: sys::cudnnDeterminism_t,
    math: sys::cudnnMathType_t,
}

fn wrap(error: CudnnError) -> Error {
    Error::wrap(error)
}

fn dims(sizes: [usize; 4]) -> Result<[c_int; 4]> {
    // cuDNN counts batch, channels, height, width in every layout.
    let [n, h, w, c] = sizes;
    let [Ok(n), Ok(c), Ok(h), Ok(w)] = [n, c, h, w].map(c_int::try_from) else {
        bail!("conv2d: {sizes:?} is too large for cuDNN");
    };
    Ok([n, c, h, w])
}

fn size(value: usize) -> Result<c_int> {
    c_int::try_from(value).map_err(|_| Error::Msg(format!("conv2d: {value} is too large for cuDNN")))
}

impl Convolver {
    pub(super) fn new(device: &CudaDevice) -> Result<Self> {
        let handle = result::create_handle().map_err(wrap)?;
        // SAFETY: the handle was just made, and the device keeps its stream.
        unsafe { result::set_stream(handle, device.cuda_stream().cu_stream() as sys::cudaStream_t) }.map_err(wrap)?;
        Ok(Convolver { device: device.clone(), handle, plans: HashMap::new() })
    }

    /// Computes `convolution` on the `addresses` of input, filter and output.
    pub(super) fn run(&mut self, convolution: &Convolution<'_>, addresses: [u64; 3]) -> Result<()> {
        let (tf32, deterministic) = arithmetic();
        let Convolution { direction, sizes, .. } = *convolution;
        let key = Key { direction, sizes, dtype: convolution.input.dtype(), tf32, deterministic };
        let plan = match self.plans.get(&key) {
            Some(plan) => *plan,
            None => {
                let plan = self.plan(&key)?;
                self.plans.insert(key, plan);
                plan
            }
        };
        self.carry_out(&plan, addresses.map(|address| address as *mut c_void))
    }

    fn plan(&self, key: &Key) -> Result<Plan> {
        let Key { sizes, dtype, tf32, deterministic, .. } = *key;
        let data_type = match dtype {
            DType::F32 => sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            DType::BF16 => sys::cudnnDataType_t::CUDNN_DATA_BFLOAT16,
            other => bail!("conv2d: cuDNN is not asked for {other:?}"),
        };
        let nhwc = sys::cudnnTensorFormat_t::CUDNN_TENSOR_NHWC;
        // SAFETY: descriptors are set as soon as they are made, from sizes that fit.
        let (x, w, y, convolution) = unsafe {
            let x = result::create_tensor_descriptor().map_err(wrap)?;
            result::set_tensor4d_descriptor(x, nhwc, data_type, dims(sizes.input)?).map_err(wrap)?;
            let w = result::create_filter_descriptor().map_err(wrap)?;
            result::set_filter4d_descriptor(w, data_type, nhwc, dims(sizes.filter)?).map_err(wrap)?;
            let y = result::create_tensor_descriptor().map_err(wrap)?;
            result::set_tensor4d_descriptor(y, nhwc, data_type, dims(sizes.output)?).map_err(wrap)?;
            let convolution = result::create_convolution_descriptor().map_err(wrap)?;
            let [pad_h, pad_w] = [size(sizes.padding[0])?, size(sizes.padding[1])?];
            let (stride, dilation) = (size(sizes.stride)?, size(sizes.dilation)?);
            let mode = sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION;
            let sums = sys::cudnnDataType_t::CUDNN_DATA_FLOAT;
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
            )
            .map_err(wrap)?;
            (x, w, y, convolution)
        };
        let exact = dtype == DType::F32 && !tf32;
        let math = |math| {
            // SAFETY: the descriptor was just made.
            unsafe { result::set_convolution_math_type(convolution, math) }.map_err(wrap)
        };
        math(match (exact, dtype) {
            (true, _) => sys::cudnnMathType_t::CUDNN_FMA_MATH,
            (false, DType::F32) => sys::cudnnMathType_t::CUDNN_DEFAULT_MATH,
            (false, _) => sys::cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
        })?;
        let all = self.candidates(key.direction, x, w, y, convolution)?;
        let tried = all.len();
        let usable = |candidate: &Candidate| {
            candidate.status == sys::cudnnStatus_t::CUDNN_STATUS_SUCCESS
                && (!deterministic || candidate.determinism == sys::cudnnDeterminism_t::CUDNN_DETERMINISTIC)
        };
        // The first that keeps within the workspace, else the most modest. cuDNN may refuse one that it has listed.
        let mut chosen: Option<(Plan, sys::cudnnMathType_t)> = None;
        for candidate in all.into_iter().filter(usable) {
            if !exact {
                math(candidate.math)?;
            }
            let mut plan = Plan { x, w, y, convolution, algorithm: candidate.algorithm, workspace: 0 };
            let Ok(workspace) = self.workspace(&plan) else { continue };
            plan.workspace = workspace;
            if chosen.as_ref().is_none_or(|(other, _)| workspace < other.workspace) {
                chosen = Some((plan, candidate.math));
            }
            if workspace <= WORKSPACE {
                chosen = Some((plan, candidate.math));
                break;
            }
        }
        let Some((plan, found)) = chosen else {
            bail!(
                "conv2d: none of cuDNN's {tried} algorithms does {:?} of {sizes:?} in {dtype:?}{}",
                key.direction,
                if deterministic { " with the same bits each time; try `deterministic = false`" } else { "" }
            );
        };
        if !exact {
            math(found)?;
        }
        Ok(plan)
    }

    /// cuDNN's algorithms for this shape, the one that it thinks fastest first. It does not try them out: then the
    /// choice, and with it the bits, could change from run to run.
    fn candidates(
        &self,
        direction: Direction,
        x: sys::cudnnTensorDescriptor_t,
        w: sys::cudnnFilterDescriptor_t,
        y: sys::cudnnTensorDescriptor_t,
        convolution: sys::cudnnConvolutionDescriptor_t,
    ) -> Result<Vec<Candidate>> {
        /// Calls one of the three queries and makes [`Candidate`]s of its answers.
        macro_rules! ask {
            ($query:path, $answer:ty, $kind:path, ($($descriptor:expr),*)) => {{
                let mut found: c_int = 0;
                // SAFETY: plain numbers, of which all zeros is a value; cuDNN writes at most so many.
                let mut answers = unsafe { std::mem::zeroed::<[$answer; CANDIDATES]>() };
                // SAFETY: handle and descriptors live.
                unsafe {
                    let (count, place) = (CANDIDATES as c_int, answers.as_mut_ptr());
                    $query(self.handle, $($descriptor,)* count, &raw mut found, place).map_err(wrap)?;
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

    fn workspace(&self, plan: &Plan) -> Result<usize> {
        let Plan { x, w, y, convolution, algorithm, .. } = *plan;
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
        .map_err(wrap)
    }

    fn carry_out(&self, plan: &Plan, [x_at, w_at, y_at]: [*mut c_void; 3]) -> Result<()> {
        let Plan { x, w, y, convolution, algorithm, workspace, .. } = *plan;
        // From the pool, in the stream's order: it costs next to nothing, and only the largest one counts.
        // SAFETY: cuDNN writes it before it reads it.
        let space = unsafe { self.device.alloc::<u8>(workspace.max(1)) };
        let space = space.map_err(|error| explained(&self.device, error, workspace))?;
        let stream = self.device.cuda_stream();
        let place = space.device_ptr(&stream).0 as *mut c_void;
        let (one, zero) = (1f32, 0f32);
        let (one, zero) = ((&raw const one).cast::<c_void>(), (&raw const zero).cast::<c_void>());
        // SAFETY: handle and descriptors live; the addresses are those of contiguous tensors of the described sizes.
        unsafe {
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
                    place,
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
                    place,
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
                    place,
                    workspace,
                    zero,
                    w,
                    w_at,
                ),
            }
        }
        .map_err(wrap)
    }
}
