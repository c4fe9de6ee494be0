//! PyTorch's names and layouts of a network's parameters.

use candle_core::{Result, Tensor};
use matssl_tensor::init::join;
use matssl_tensor::{Parameter, Parameters, Role};

/// Parameters whose names begin with `prefix` and a dot, and the rest of their names.
pub(super) fn under<'p>(parameters: &'p Parameters, prefix: &str) -> impl Iterator<Item = (&'p str, &'p Parameter)> {
    let prefix = join(prefix, "");
    parameters.iter().filter_map(move |(name, parameter)| Some((name.strip_prefix(&prefix)?, parameter)))
}

/// The value in PyTorch's layout.
pub(super) fn to_pytorch(parameter: &Parameter) -> Result<Tensor> {
    let tensor = parameter.var.as_detached_tensor();
    if parameter.role == Role::ConvWeight { tensor.permute((3, 2, 0, 1)) } else { Ok(tensor) }
}

/// `tensor`, in PyTorch's layout, in the layout, type and device of `parameter`.
pub(super) fn from_pytorch(parameter: &Parameter, tensor: &Tensor) -> Result<Tensor> {
    let var = &parameter.var;
    let tensor = if parameter.role == Role::ConvWeight { tensor.permute((2, 3, 1, 0))? } else { tensor.clone() };
    tensor.to_dtype(var.dtype())?.to_device(var.device())?.contiguous()
}

/// The parameter's shape in PyTorch's layout.
pub(super) fn pytorch_shape(parameter: &Parameter) -> Vec<usize> {
    match (parameter.role, parameter.var.dims()) {
        (Role::ConvWeight, &[height, width, channels_in, channels_out]) => {
            vec![channels_out, channels_in, height, width]
        }
        (_, shape) => shape.to_vec(),
    }
}
