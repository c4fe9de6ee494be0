//! The bytes of an ONNX file.

use crate::error::OnnxError;
use crate::model::{INPUT, IR_VERSION, OPSET, OUTPUT, OnnxModel};
use crate::nodes::Nodes;
use crate::proto::tensor_proto::DataType;
use crate::proto::tensor_shape_proto::{Dimension, dimension};
use crate::proto::{
    GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto, TypeProto, ValueInfoProto,
    type_proto,
};
use prost::Message;

/// The most bytes that a protocol buffer may have.
const MOST_BYTES: usize = i32::MAX as usize;

impl OnnxModel<'_> {
    /// The file: [`INPUT`] to [`OUTPUT`], with batch, height and width open. The normalisation is part of the network. The
    /// same model gives the same bytes.
    ///
    /// # Errors
    /// If a parameter is missing, the normalisation has other channels than the network, or the file would be too large.
    pub fn encode(&self) -> Result<Vec<u8>, OnnxError> {
        let model = self.message()?;
        let bytes = model.encoded_len();
        if bytes > MOST_BYTES {
            return Err(OnnxError::TooLarge { bytes });
        }
        Ok(model.encode_to_vec())
    }

    fn message(&self) -> Result<ModelProto, OnnxError> {
        let channels = self.graph.channels;
        let (scale, shift) = (self.scale.len(), self.shift.len());
        if scale != channels || shift != channels {
            return Err(OnnxError::Normalisation { scale, shift, channels });
        }
        let mut nodes = Nodes::new(self.parameters, INPUT);
        nodes.add(self.graph, INPUT, [self.scale, self.shift])?;
        let graph = GraphProto {
            name: Some(self.name.to_owned()),
            node: nodes.nodes,
            initializer: nodes.constants,
            input: vec![images(INPUT, channels, "pixels from 0 to 255; height and width are multiples of 32")],
            output: vec![images(OUTPUT, self.graph.output_channels(), "one logit for each class")],
            ..GraphProto::default()
        };
        let entry = |(key, value): &(String, String)| StringStringEntryProto {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        Ok(ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("matssl-run".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            doc_string: Some(self.description.to_owned()),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            metadata_props: self.metadata.iter().map(entry).collect(),
            graph: Some(graph),
            ..ModelProto::default()
        })
    }
}

/// A float32 tensor `[batch, channels, height, width]` of any batch, height and width.
fn images(name: &str, channels: usize, description: &str) -> ValueInfoProto {
    let any = |name: &str| dimension::Value::DimParam(name.to_owned());
    let dim = [any("batch"), dimension::Value::DimValue(channels as i64), any("height"), any("width")]
        .map(|value| Dimension { value: Some(value), ..Dimension::default() });
    let tensor = type_proto::Tensor {
        elem_type: Some(DataType::Float as i32),
        shape: Some(TensorShapeProto { dim: dim.into() }),
    };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() }),
        doc_string: Some(description.to_owned()),
        ..ValueInfoProto::default()
    }
}
