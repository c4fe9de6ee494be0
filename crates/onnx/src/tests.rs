use crate::proto::{ModelProto, tensor_shape_proto::dimension, type_proto};
use crate::{INPUT, IR_VERSION, OPSET, OUTPUT, OnnxError, OnnxModel};
use candle_core::{DType, Device, Result};
use matssl_base::random::Stream;
use matssl_tensor::{Graph, Parameters, trace};
use matssl_train::networks::SegmentationNetwork;
use prost::Message;
use std::collections::HashSet;

fn network(architecture: &str, arch: &str, variant: &str) -> (SegmentationNetwork, Parameters) {
    let text = format!(
        r#"{{"architecture":"{architecture}","encoder":{{"arch":"{arch}","width":4,"variant":"{variant}"}},"decoder_channels":[8,8,4,4,4],"classes":3}}"#
    );
    let network = SegmentationNetwork::new(serde_json::from_str(&text).unwrap());
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(5, "onnx", 0, 0)).unwrap();
    (network, parameters)
}

fn graph(network: &SegmentationNetwork, parameters: &Parameters) -> Result<Graph> {
    trace(parameters, [1, 32, 32, 3], |tape, x| network.forward(tape, x))
}

fn model<'m>(graph: &'m Graph, parameters: &'m Parameters, metadata: &'m [(String, String)]) -> OnnxModel<'m> {
    let (scale, shift) = (&[0.5, 0.25, 0.125], &[1.0, 2.0, 3.0]);
    OnnxModel { name: "segment.a@1", description: "A test.", graph, parameters, scale, shift, metadata }
}

#[test]
fn every_input_of_a_node_is_there_before_it_and_names_are_unique() {
    for (architecture, arch, variant) in [
        ("unet", "resnet18", "v1.5"),
        ("unet++", "resnet18", "v1"),
        ("unet", "resnet50", "v1"),
        ("unet++", "resnet101", "v1.5"),
    ] {
        let (network, parameters) = network(architecture, arch, variant);
        let graph = graph(&network, &parameters).unwrap();
        let bytes = model(&graph, &parameters, &[]).encode().unwrap();
        let found = ModelProto::decode(&*bytes).unwrap().graph.unwrap();
        let mut known = HashSet::from([INPUT.to_owned()]);
        for constant in &found.initializer {
            assert!(known.insert(constant.name().to_owned()), "{constant:?}");
            let elements: i64 = constant.dims.iter().product();
            assert_eq!(constant.raw_data().len() as i64, 4 * elements);
        }
        let mut names = HashSet::new();
        for node in &found.node {
            assert!(names.insert(node.name().to_owned()), "{}", node.name());
            let missing = node.input.iter().find(|input| !input.is_empty() && !known.contains(*input));
            assert_eq!(missing, None, "{}", node.name());
            assert!(node.output.iter().all(|output| known.insert(output.clone())), "{node:?}");
        }
        assert_eq!(found.node.last().unwrap().output, [OUTPUT]);
        // All parameters are there, but for the counters of the batch norms, under their own names and in PyTorch's shapes.
        let mut missing = 0;
        for (name, shape) in network.shapes() {
            match found.initializer.iter().find(|constant| constant.name() == name) {
                Some(constant) => assert!(constant.dims.iter().map(|&size| size as usize).eq(shape), "{name}"),
                None if name.ends_with("num_batches_tracked") => missing += 1,
                None => panic!("{name} is missing"),
            }
        }
        assert_eq!(found.initializer.len() + missing, network.shapes().len() + 3, "and normalisation and upsampling");
        let used: HashSet<&String> = found.node.iter().flat_map(|node| &node.input).collect();
        let unused = found.initializer.iter().find(|constant| !used.contains(&constant.name().to_owned()));
        assert!(unused.is_none(), "{unused:?}");
    }
}

#[test]
fn a_file_says_what_goes_in_and_out_and_what_it_is() {
    let (network, parameters) = network("unet", "resnet18", "v1.5");
    let graph = graph(&network, &parameters).unwrap();
    let metadata = [("tile".to_owned(), "256".to_owned())];
    let model = model(&graph, &parameters, &metadata);
    let bytes = model.encode().unwrap();
    assert!(bytes == model.encode().unwrap());
    let found = ModelProto::decode(&*bytes).unwrap();
    assert_eq!((found.ir_version(), found.opset_import[0].version()), (IR_VERSION, OPSET));
    assert_eq!((found.producer_name(), found.producer_version()), ("matssl-run", env!("CARGO_PKG_VERSION")));
    assert_eq!((found.metadata_props[0].key(), found.metadata_props[0].value()), ("tile", "256"));
    assert_eq!(found.doc_string(), "A test.");
    let found = found.graph.unwrap();
    assert_eq!(found.name(), "segment.a@1");
    let shape = |value: &crate::proto::ValueInfoProto| {
        let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_ref().unwrap().value.as_ref() else {
            panic!()
        };
        let dims = tensor.shape.as_ref().unwrap().dim.iter();
        let dims = dims.map(|dim| match dim.value.as_ref().unwrap() {
            dimension::Value::DimParam(name) => name.clone(),
            dimension::Value::DimValue(size) => size.to_string(),
        });
        (value.name().to_owned(), dims.collect::<Vec<_>>())
    };
    let open = |channels: &str| ["batch", channels, "height", "width"].map(str::to_owned).to_vec();
    assert_eq!(shape(&found.input[0]), (INPUT.to_owned(), open("3")));
    assert_eq!(shape(&found.output[0]), (OUTPUT.to_owned(), open("3")));
    let constant = |name: &str| found.initializer.iter().find(|constant| constant.name() == name).unwrap().raw_data();
    assert_eq!(constant("normalisation.scale"), [0.5f32, 0.25, 0.125].map(f32::to_le_bytes).concat());
    // [out, in, height, width] from [height, width, in, out].
    let weight = parameters.tensor("encoder.conv1.weight").unwrap().permute((3, 2, 0, 1)).unwrap();
    let weight: Vec<f32> = weight.flatten_all().unwrap().to_vec1().unwrap();
    let bytes: Vec<u8> = weight.into_iter().flat_map(f32::to_le_bytes).collect();
    assert!(constant("encoder.conv1.weight") == bytes);
}

#[test]
fn a_normalisation_of_other_channels_and_a_missing_parameter_are_refused() {
    let (network, parameters) = network("unet", "resnet18", "v1.5");
    let graph = graph(&network, &parameters).unwrap();
    let model = model(&graph, &parameters, &[]);
    let error = OnnxModel { scale: &[1.0], ..model }.encode().unwrap_err();
    assert!(matches!(error, OnnxError::Normalisation { scale: 1, shift: 3, channels: 3 }), "{error}");
    let empty = Parameters::new(DType::F32, &Device::Cpu);
    let error = OnnxModel { parameters: &empty, ..model }.encode().unwrap_err().to_string();
    assert!(error.contains("there is no parameter `encoder.conv1.weight`"), "{error}");
}
