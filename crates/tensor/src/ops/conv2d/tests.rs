use super::{After, Conv2d, Joined, forward};
use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
use candle_core::{DType, Device, Result, Tensor};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn gradients_are_those_of_finite_differences(
        (batch, height, width) in (1usize..3, 5usize..9, 5usize..9),
        (c_in, c_out) in (1usize..4, 1usize..4),
        (kernel_h, kernel_w) in (1usize..4, 1usize..4),
        (stride, padding, dilation) in (1usize..4, 0usize..3, 1usize..3),
        (bias, seed) in (any::<bool>(), any::<u64>()),
    ) {
        let mut inputs = Inputs::new(seed);
        inputs.normal("x", &[batch, height, width, c_in]);
        inputs.normal("w", &[kernel_h, kernel_w, c_in, c_out]);
        inputs.normal("b", &[c_out]);
        let options = Conv2d { stride, padding, dilation, groups: 1 };
        check_gradients(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", bias.then_some("b"), options));
    }
}

#[test]
fn images_of_2x2_pixels_may_be_joined_and_doubled() {
    let mut inputs = Inputs::new(11);
    inputs.normal("a", &[8, 1, 1, 9]);
    inputs.normal("b", &[8, 2, 2, 7]);
    inputs.normal("w", &[3, 3, 16, 16]);
    check_gradients(&inputs, |tape| {
        let (a, b) = (tape.parameter("a")?, tape.parameter("b")?);
        tape.conv2d_joined(&[(&a, true), (&b, false)], "w", None, Conv2d::new(1, 1))
    });
}

#[test]
fn bits_do_not_depend_on_threads() {
    let mut inputs = Inputs::new(7);
    inputs.normal("x", &[17, 2, 2, 80]);
    inputs.normal("w", &[3, 3, 80, 144]);
    same_bits_for_any_threads(&inputs, |tape| tape.conv2d(&tape.parameter("x")?, "w", None, Conv2d::new(1, 1)));
    for (kernel, stride, size) in [(1, 1, 24), (1, 2, 24), (3, 1, 24), (3, 2, 25), (7, 2, 40)] {
        let mut inputs = Inputs::new(7);
        inputs.normal("x", &[3, size, size + 3, 16]);
        inputs.normal("w", &[kernel, kernel, 16, 24]);
        inputs.normal("b", &[24]);
        same_bits_for_any_threads(&inputs, |tape| {
            tape.conv2d(&tape.parameter("x")?, "w", Some("b"), Conv2d::new(stride, kernel / 2))
        });
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() -> Result<()> {
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu);
    let x = zeros(&[1, 2, 2, 3])?;
    for (weight, part) in [(vec![3, 3, 3, 4], "does not fit"), (vec![1, 1, 2, 4], "3 channels"), (vec![3, 4], "4 dim")]
    {
        let inputs = [Joined { tensor: x.clone(), doubled: false }];
        let error = forward(&inputs, &zeros(&weight)?, After::default(), Conv2d::new(1, 0)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    Ok(())
}

/// Parameters for inference give the bits of any others, in every pass, and have no other passes.
#[test]
fn a_batch_norm_that_is_folded_for_good_changes_no_bit() -> Result<()> {
    use crate::{Mode, Parameters, Role, Tape, init};
    let fill = |parameters: &mut Parameters| -> Result<()> {
        let numbers = |count: usize, seed: usize| (0..count).map(move |i| ((i * 37 + seed) % 19) as f32 / 10.0 - 0.6);
        let weight = Tensor::from_vec(numbers(9 * 5 * 7, 3).collect(), (3, 3, 5, 7), &Device::Cpu)?;
        parameters.insert("conv", weight, Role::ConvWeight)?;
        init::batch_norm(parameters, "norm", 7)?;
        for (seed, name) in ["weight", "bias", "running_mean", "running_var"].into_iter().enumerate() {
            let values = numbers(7, seed).map(|value| value.abs() + 0.1).collect();
            parameters.get(&format!("norm.{name}"))?.var.set(&Tensor::from_vec(values, 7, &Device::Cpu)?)?;
        }
        Ok(())
    };
    let x = Tensor::from_vec(
        (0..2 * 8 * 8 * 5).map(|i| (i % 23) as f32 / 7.0 - 1.0).collect(),
        (2, 8, 8, 5),
        &Device::Cpu,
    )?;
    let pass = |parameters: &Parameters, mode| -> Result<Vec<f32>> {
        let tape = Tape::new(parameters, mode);
        let y = tape.conv_norm(&[(&tape.input(&x)?, false)], ("conv", "norm"), Conv2d::new(1, 1), None, false)?;
        y.tensor().flatten_all()?.to_vec1()
    };
    let mut plain = Parameters::new(DType::F32, &Device::Cpu);
    fill(&mut plain)?;
    let mut folding = Parameters::new(DType::F32, &Device::Cpu).for_inference();
    fill(&mut folding)?;
    let expected = pass(&plain, Mode::Eval)?;
    for _ in 0..3 {
        assert_eq!(pass(&folding, Mode::Eval)?, expected);
    }
    let error = pass(&folding, Mode::Frozen).unwrap_err().to_string();
    assert!(error.contains("`norm` is part of `conv` for good"), "{error}");
    Ok(())
}
