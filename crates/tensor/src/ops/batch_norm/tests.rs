use super::moments::moments;
use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
use crate::{Mode, Parameters, Role, Tape};
use candle_core::{DType, Device, Result, Tensor};
use proptest::prelude::*;

fn inputs(shape: &[usize], seed: u64) -> Inputs {
    let channels = &shape[3..];
    let mut inputs = Inputs::new(seed);
    inputs.normal("x", shape);
    inputs.normal("r", shape);
    inputs.normal("bn.weight", channels);
    inputs.normal("bn.bias", channels);
    inputs.buffer("bn.running_mean", channels, 0.0);
    inputs.buffer("bn.running_var", channels, 1.0);
    inputs.count("bn.num_batches_tracked");
    inputs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn gradients_are_those_of_finite_differences(
        (batch, height, width, channels) in (1usize..3, 2usize..5, 2usize..5, 1usize..4),
        (add, relu, seed) in (any::<bool>(), any::<bool>(), any::<u64>()),
    ) {
        let inputs = inputs(&[batch, height, width, channels], seed);
        let run = |tape: &Tape<'_>, relu: bool| {
            let residual = add.then(|| tape.parameter("r")).transpose()?;
            tape.batch_norm(&tape.parameter("x")?, "bn", residual.as_ref(), relu)
        };
        let parameters = inputs.parameters(DType::F64).unwrap();
        let linear = run(&Tape::new(&parameters, Mode::Train), false).unwrap().tensor().flatten_all().unwrap();
        // A step must not cross the ReLU's corner.
        prop_assume!(linear.to_vec1::<f64>().unwrap().iter().all(|value| value.abs() > 1e-3));
        check_gradients(&inputs, |tape| run(tape, relu));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    same_bits_for_any_threads(&inputs(&[4, 30, 31, 24], 5), |tape| {
        tape.batch_norm(&tape.parameter("x")?, "bn", Some(&tape.parameter("r")?), true)
    });
}

/// Worked by hand: x = 1, 2, 3, 6 has mean 3, variance 3.5 and unbiased variance 14/3.
#[test]
fn running_statistics_move_as_in_pytorch_and_evaluation_uses_them() -> Result<()> {
    let device = Device::Cpu;
    let mut parameters = Parameters::new(DType::F64, &device);
    crate::init::batch_norm(&mut parameters, "bn", 1)?;
    let x = Tensor::new(&[1.0f64, 2.0, 3.0, 6.0], &device)?.reshape((1, 2, 2, 1))?;
    let tape = Tape::new(&parameters, Mode::Train);
    tape.batch_norm(&tape.constant(x.clone()), "bn", None, false)?;
    let scalar = |name: &str| parameters.tensor(name)?.flatten_all()?.to_vec1::<f64>().map(|values| values[0]);
    assert!((scalar("bn.running_mean")? - 0.3).abs() < 1e-15);
    assert!((scalar("bn.running_var")? - (0.9 + 0.1 * 14.0 / 3.0)).abs() < 1e-15);
    assert_eq!(parameters.tensor("bn.num_batches_tracked")?.to_scalar::<i64>()?, 1);
    let tape = Tape::new(&parameters, Mode::Eval);
    let y = tape.batch_norm(&tape.constant(x), "bn", None, true)?.tensor().flatten_all()?.to_vec1::<f64>()?;
    let expected = (6.0 - 0.3) / (0.9 + 0.1 * 14.0 / 3.0 + 1e-5f64).sqrt();
    assert!((y[3] - expected).abs() < 1e-12, "{y:?}");
    Ok(())
}

#[test]
fn relu_has_derivative_zero_at_zero_and_lets_nan_through() -> Result<()> {
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    crate::init::batch_norm(&mut parameters, "bn", 1)?;
    let x = Tensor::zeros((1, 2, 2, 1), DType::F32, &Device::Cpu)?;
    let tape = Tape::new(&parameters, Mode::Train);
    let y = tape.batch_norm(&tape.constant(x.clone()), "bn", None, true)?;
    let seed = y.tensor().ones_like()?;
    let gradients = tape.backward(vec![(y, seed)])?;
    assert_eq!(gradients.get("bn.bias").map(|g| g.to_vec1::<f32>()).transpose()?, Some(vec![0.0]));
    parameters.insert("nan", (x * f64::NAN)?, Role::Bias)?;
    let tape = Tape::new(&parameters, Mode::Eval);
    let y = tape.batch_norm(&tape.parameter("nan")?, "bn", None, true)?;
    assert!(y.tensor().flatten_all()?.to_vec1::<f32>()?.iter().all(|value| value.is_nan()));
    Ok(())
}

#[test]
fn a_single_value_has_no_variance() -> Result<()> {
    let error = moments(&Tensor::zeros((1, 1, 1, 4), DType::F32, &Device::Cpu)?).unwrap_err().to_string();
    assert!(error.contains("fewer than two values"), "{error}");
    Ok(())
}
