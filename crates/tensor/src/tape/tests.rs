use super::*;
use crate::ops::Conv2d;
use crate::{Role, init};
use candle_core::{DType, Device};

fn weights() -> Result<Parameters> {
    let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
    let weight = Tensor::new(&[[[[2f64, 0.0], [0.0, 3.0]]]], &Device::Cpu)?;
    parameters.insert("w", weight, Role::ConvWeight)?;
    init::batch_norm(&mut parameters, "bn", 2)?;
    Ok(parameters)
}

fn input() -> Result<Tensor> {
    Tensor::new(&[[[[1f64, 10.0]], [[100.0, 1000.0]]]], &Device::Cpu)
}

/// Its statistics stay, nothing of it is recorded or counted, and what follows is trained.
#[test]
fn a_frozen_part_runs_as_in_a_prediction() -> Result<()> {
    let mut parameters = Parameters::new(DType::F64, &Device::Cpu).with_frozen("encoder");
    let stream = matssl_base::random::Stream::new(0, "frozen", 0, 0);
    for (prefix, channels) in [("encoder", [2, 4]), ("head", [4, 3])] {
        let shape = [3, channels[0], channels[1]];
        init::conv_weight(&mut parameters, &format!("{prefix}.w"), shape, init::ConvInit::XavierUniform, &stream)?;
        init::batch_norm(&mut parameters, &format!("{prefix}.bn"), channels[1])?;
    }
    let forward = |tape: &Tape<'_>, x: &Value| {
        let part = tape.of_part("encoder");
        let options = Conv2d::new(1, 1);
        let features =
            part.as_ref().unwrap_or(tape).conv_norm(&[(x, false)], ("encoder.w", "encoder.bn"), options, None, true)?;
        tape.conv_norm(&[(&features, false)], ("head.w", "head.bn"), options, None, true)
    };
    let names: Vec<&str> = parameters.trainable().map(|(name, _)| name).collect();
    assert_eq!(names, ["head.w", "head.bn.weight", "head.bn.bias"]);
    let x = Tensor::randn(0f64, 1.0, (2, 4, 4, 2), &Device::Cpu)?;
    let tape = Tape::new(&parameters, Mode::Train);
    let y = forward(&tape, &tape.constant(x.clone()))?;
    let seed = y.tensor().ones_like()?;
    let gradients = tape.backward(vec![(y, seed)])?;
    assert_eq!(gradients.iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
    let batches = |part: &str| parameters.tensor(&format!("{part}.bn.num_batches_tracked"))?.to_scalar::<i64>();
    assert_eq!((batches("encoder")?, batches("head")?), (0, 1));
    // The convolution's input and output are saved: 4 and 3 channels in float64.
    let counted = crate::footprint(&parameters, [2, 4, 4, 2], forward)?;
    assert_eq!(counted.saved_bytes, 32 * 8 * (4 + 3));
    assert!(crate::prediction_footprint(&parameters, [2, 4, 4, 2], forward)?.saved_bytes > counted.saved_bytes);
    Ok(())
}

#[test]
fn gradients_add_where_a_parameter_or_value_has_several_consumers() -> Result<()> {
    let parameters = weights()?;
    let tape = Tape::new(&parameters, Mode::Train);
    let x = tape.variable("x", input()?);
    // y = W x, z = W y: d(Σ y + Σ z)/dW = x + y + Wᵀ 1 · x, and so on.
    let y = tape.conv2d(&x, "w", None, Conv2d::new(1, 0))?;
    let z = tape.conv2d(&y, "w", None, Conv2d::new(1, 0))?;
    let ones = y.tensor().ones_like()?;
    let gradients = tape.backward(vec![(y, ones.clone()), (z, ones)])?;
    let flat = |name: &str| gradients.get(name).map(|g| g.flatten_all()?.to_vec1::<f64>()).transpose();
    assert_eq!(flat("x")?, Some(vec![6.0, 12.0, 6.0, 12.0]));
    // Row i, column o: Σ xᵢ (1 + wₒ) + Σ yᵢ.
    assert_eq!(flat("w")?, Some(vec![303.0 + 202.0, 404.0 + 202.0, 3030.0 + 3030.0, 4040.0 + 3030.0]));
    assert_eq!(gradients.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["x", "w"]);
    Ok(())
}

#[test]
fn evaluation_records_nothing_and_leaves_running_statistics_alone() -> Result<()> {
    let parameters = weights()?;
    let tape = Tape::new(&parameters, Mode::Eval);
    let y = tape.conv2d(&tape.constant(input()?), "w", None, Conv2d::new(1, 0))?;
    let y = tape.batch_norm(&y, "bn", None, true)?;
    assert!(!y.needs_gradient());
    assert_eq!(parameters.tensor("bn.num_batches_tracked")?.to_scalar::<i64>()?, 0);
    let seed = y.tensor().ones_like()?;
    assert!(tape.backward(vec![(y, seed)]).unwrap_err().to_string().contains("Mode::Eval"));
    Ok(())
}

#[test]
fn seeds_of_other_tapes_shapes_or_constants_are_refused() -> Result<()> {
    let parameters = weights()?;
    let message = |value: Option<Value>, seed: Tensor| -> Result<String> {
        let tape = Tape::new(&parameters, Mode::Train);
        let own = tape.parameter("bn.bias")?;
        Ok(tape.backward(vec![(value.unwrap_or(own), seed)]).unwrap_err().to_string())
    };
    let other = Tape::new(&parameters, Mode::Train);
    let two = Tensor::ones(2, DType::F64, &Device::Cpu)?;
    assert!(message(Some(other.parameter("bn.bias")?), two.clone())?.contains("another tape"));
    assert!(message(Some(other.parameter("bn.running_mean")?), two)?.contains("depends on no parameter"));
    assert!(message(None, Tensor::ones(3, DType::F64, &Device::Cpu)?)?.contains("a seed of [3]"));
    Ok(())
}

#[test]
fn integer_inputs_are_refused_by_name() -> Result<()> {
    let parameters = weights()?;
    let tape = Tape::new(&parameters, Mode::Eval);
    let x = tape.constant(input()?.to_dtype(DType::U8)?);
    let error = tape.conv2d(&x, "w", None, Conv2d::new(1, 0)).unwrap_err().to_string();
    assert!(error.contains("conv2d works in float32 and float64, not in U8"), "{error}");
    Ok(())
}
