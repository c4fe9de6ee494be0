//! Parameters as the constants of an ONNX file.

use crate::proto::{TensorProto, tensor_proto::DataType};
use candle_core::{DType, Device, Result, Tensor};
use matssl_tensor::{Parameter, Role};

/// The constant `name`: float32 of `shape`, row by row.
pub(crate) fn constant(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: shape.iter().map(|&size| size as i64).collect(),
        data_type: Some(DataType::Float as i32),
        // The format is little-endian on every machine.
        raw_data: Some(values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        ..TensorProto::default()
    }
}

/// The parameter as a constant in PyTorch's layout, which is ONNX's.
pub(crate) fn parameter(name: &str, parameter: &Parameter) -> Result<TensorProto> {
    let tensor = parameter.var.as_detached_tensor();
    let tensor = if parameter.role == Role::ConvWeight { tensor.permute((3, 2, 0, 1))? } else { tensor };
    let shape = tensor.dims().to_vec();
    let values: Vec<f32> = Tensor::to_dtype(&tensor, DType::F32)?.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
    Ok(constant(name, &shape, &values))
}
