use super::{backward_input, backward_weight, forward};
use crate::ops::conv2d::epilogue::Epilogue;
use crate::ops::conv2d::geometry::Geometry;
use crate::ops::conv2d::source::{self, Joined, with_sources};
use crate::ops::conv2d::{Conv2d, unfolded};
use crate::ops::host::{elements, tensor};
use crate::testing::farthest;
use candle_core::{DType, Device, Tensor};
use matssl_base::random::Stream;
use proptest::prelude::*;

fn normal(stream: &mut Stream, count: usize) -> Vec<f64> {
    (0..count).map(|_| stream.normal()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Every gradient of the definition is held to finite differences elsewhere; this one to the definition.
    #[test]
    fn values_and_gradients_are_those_of_the_unfolded_convolution(
        (batch, height, width) in (1usize..4, 1usize..20, 1usize..20),
        channels in prop::collection::vec((16usize..40, any::<bool>()), 1..4),
        (wide, out, relu, seed) in (any::<bool>(), 16usize..40, any::<bool>(), any::<u64>()),
        more in prop::sample::select(vec![0usize, 0, 120]),
    ) {
        // Sometimes more than one block, of both inputs and outputs.
        let out = out + more;
        let doubles = channels.iter().any(|(_, doubled)| *doubled);
        let (height, width) = if doubles { (height.next_multiple_of(2), width.next_multiple_of(2)) } else { (height, width) };
        let mut stream = Stream::new(seed, "winograd", 0, 0);
        let mut inputs = Vec::new();
        for (index, (channels, doubled)) in channels.into_iter().enumerate() {
            let scale = if doubled { 2 } else { 1 };
            let shape = [batch, height / scale, width / scale, if wide && index == 0 { channels + 120 } else { channels }];
            let values = normal(&mut stream, shape.iter().product());
            inputs.push(Joined { tensor: tensor(values, &shape).unwrap(), doubled });
        }
        let shape = source::shape(&inputs).unwrap();
        let weight = normal(&mut stream, 9 * shape[3] * out);
        let pixels = batch * height * width;
        let (bias, residual) = (normal(&mut stream, out), normal(&mut stream, pixels * out));
        let epilogue = Epilogue { bias: Some(&bias), residual: Some(&residual), relu };
        let geometry = Geometry::new(&shape, &[3, 3, shape[3], out], &Conv2d::new(1, 1)).unwrap();
        let whole = source::join(&inputs).unwrap();
        let size = [batch, height, width];
        let found = with_sources(&inputs, |inputs| forward(size, inputs, &weight, out, &epilogue)).unwrap();
        let expected = unfolded::forward(&geometry, &elements(&whole).unwrap(), &weight, &epilogue);
        prop_assert!(farthest(&found, &expected) < 1e-10, "forward {}", farthest(&found, &expected));

        let gradient = normal(&mut stream, pixels * out);
        let found = with_sources(&inputs, |inputs| backward_weight(size, inputs, out, &gradient)).unwrap();
        let expected = unfolded::backward_weight(&geometry, &elements(&whole).unwrap(), &gradient);
        prop_assert!(farthest(&found, &expected) < 1e-10, "weight {}", farthest(&found, &expected));

        let wanted = vec![true; inputs.len()];
        let found =
            with_sources(&inputs, |inputs| backward_input(size, inputs, &wanted, &weight, out, &gradient)).unwrap();
        let expected = tensor(unfolded::backward_input(&geometry, &weight, &gradient), &shape).unwrap();
        let expected = source::part(&inputs, &wanted, &expected).unwrap();
        for (found, expected) in found.into_iter().zip(expected) {
            let expected = expected.unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let apart = farthest(&found.unwrap(), &expected);
            prop_assert!(apart < 1e-10, "input {apart}");
        }
    }
}

#[test]
fn float32_is_as_good_as_the_definition() {
    let size = [2, 16, 16];
    let mut stream = Stream::new(3, "winograd", 0, 0);
    let x = Tensor::from_vec(normal(&mut stream, 2 * 256 * 256), (2, 16, 16, 256), &Device::Cpu).unwrap();
    let weight = normal(&mut stream, 9 * 256 * 256);
    let truth = with_sources(&[Joined { tensor: x.clone(), doubled: false }], |inputs| {
        forward(size, inputs, &weight, 256, &Epilogue::NONE)
    })
    .unwrap();
    let single: Vec<f32> = weight.iter().map(|value| *value as f32).collect();
    let x = Joined { tensor: x.to_dtype(DType::F32).unwrap(), doubled: false };
    let found = with_sources(&[x], |inputs| forward(size, inputs, &single, 256, &Epilogue::NONE)).unwrap();
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let error = norm(&mut found.iter().zip(&truth).map(|(a, b)| f64::from(*a) - b)) / norm(&mut truth.iter().copied());
    // Rounding the inputs alone gives 4e-8 · √2; F(4×4) would give 2e-6.
    assert!(error < 4e-7, "{error}");
}
