use super::windows::{WindowAttention, Windows};
use crate::testing::{Inputs, check_gradients_on_cpu, farthest, same_bits_for_any_threads};
use crate::{Mode, Parameters, Tape};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use proptest::prelude::*;

/// softmax(q kᵀ / √width + added) v by candle, for q, k and v `[…, tokens, width]`.
fn definition([q, k, v]: [&Tensor; 3], added: Option<&Tensor>) -> Result<Tensor> {
    let scale = 1.0 / (q.dim(D::Minus1)? as f64).sqrt();
    let mut scores = (q.matmul(&k.t()?)? * scale)?;
    if let Some(added) = added {
        scores = scores.broadcast_add(added)?;
    }
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?.matmul(v)
}

/// q, k and v `[…, heads, tokens, width]` of `[…, tokens, 3 · channels]`.
fn heads_of(qkv: &Tensor, heads: usize) -> Result<[Tensor; 3]> {
    let (batch, tokens, three) = qkv.dims3()?;
    let parts = qkv.reshape((batch, tokens, 3, heads, three / 3 / heads))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
    Ok([parts.get(0)?, parts.get(1)?, parts.get(2)?])
}

/// Back to `[…, tokens, channels]`.
fn joined(heads: &Tensor) -> Result<Tensor> {
    let (batch, _, tokens, _) = heads.dims4()?;
    heads.transpose(1, 2)?.contiguous()?.reshape((batch, tokens, ()))
}

fn index(numbers: impl Iterator<Item = usize>) -> Result<Tensor> {
    let numbers: Vec<u32> = numbers.map(|number| number as u32).collect();
    Tensor::new(numbers, &Device::Cpu)
}

/// Attention inside of windows, token by token as the paper and Microsoft's code define it: the place of a token after the roll
/// says in which window it is, and where.
fn windows_by_definition(qkv: &Tensor, table: &Tensor, options: &WindowAttention) -> Result<Tensor> {
    let (batch, height, width, three) = qkv.dims4()?;
    let (side, shift) = match height.min(width) {
        shorter if shorter <= options.window => (shorter, 0),
        _ => (options.window, options.shift),
    };
    let table_side = table.dim(0)?.isqrt().div_ceil(2);
    let tokens: Vec<[usize; 2]> = (0..side * side).map(|token| [token / side, token % side]).collect();
    let relative = |[y, x]: [usize; 2], [v, u]: [usize; 2]| {
        (y + table_side - 1 - v) * (2 * table_side - 1) + x + table_side - 1 - u
    };
    let positions = index(tokens.iter().flat_map(|&query| tokens.iter().map(move |&key| relative(query, key))))?;
    let bias = table.index_select(&positions, 0)?.reshape((side * side, side * side, options.heads))?;
    let bias = bias.permute((2, 0, 1))?.contiguous()?;
    let band = |at: usize, length: usize| match at {
        at if at < length - side => 0,
        at if at < length - shift => 1,
        _ => 2,
    };
    let flat = qkv.reshape((batch, height * width, three))?;
    let (mut order, mut outputs) = (Vec::new(), Vec::new());
    for (row, column) in (0..height / side).flat_map(|row| (0..width / side).map(move |column| (row, column))) {
        let rolled: Vec<[usize; 2]> = tokens.iter().map(|[y, x]| [row * side + y, column * side + x]).collect();
        let places: Vec<usize> =
            rolled.iter().map(|[y, x]| (y + shift) % height * width + (x + shift) % width).collect();
        let regions: Vec<usize> = rolled.iter().map(|[y, x]| 3 * band(*y, height) + band(*x, width)).collect();
        let mask: Vec<f64> = regions
            .iter()
            .flat_map(|a| regions.iter().map(move |b| if a == b || shift == 0 { 0.0 } else { -100.0 }))
            .collect();
        let mask = Tensor::from_vec(mask, (side * side, side * side), &Device::Cpu)?;
        let [q, k, v] = heads_of(&flat.index_select(&index(places.iter().copied())?, 1)?, options.heads)?;
        outputs.push(joined(&definition([&q, &k, &v], Some(&bias.broadcast_add(&mask)?))?)?);
        order.extend(places);
    }
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, &place)| back[place] = at);
    let all = Tensor::cat(&outputs, 1)?.index_select(&index(back.into_iter())?, 1)?;
    all.reshape((batch, height, width, three / 3))
}

fn attention_by_definition(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let [q, k, v] = heads_of(qkv, heads)?;
    joined(&definition([&q, &k, &v], None)?)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Output, gradient of `qkv` and, if there is one, of the table: the tape's beside candle's for `expected`.
fn assert_is(
    inputs: &Inputs,
    found: impl Fn(&Tape<'_>) -> Result<crate::Value>,
    expected: impl Fn(&Tensor, Option<&Tensor>) -> Result<Tensor>,
) {
    let parameters = inputs.parameters(DType::F64).unwrap();
    let tape = Tape::new(&parameters, Mode::Train);
    let y = found(&tape).unwrap();
    let seed = y.tensor().affine(3.0, 0.7).unwrap().sin().unwrap().detach();
    let output = y.tensor().clone();
    let gradients = tape.backward(vec![(y, seed.clone())]).unwrap();
    let var = |name: &str| parameters.tensor(name).ok().map(|t| Var::from_tensor(&t.detach()).unwrap());
    let (qkv, table) = (var("qkv").unwrap(), var("table"));
    let y = expected(&qkv, table.as_deref()).unwrap();
    assert!(farthest(&numbers(&output), &numbers(&y)) < 1e-12);
    let theirs = (y * seed).unwrap().sum_all().unwrap().backward().unwrap();
    for (name, var) in [("qkv", Some(&qkv)), ("table", table.as_ref())] {
        let Some(var) = var else { continue };
        let (ours, theirs) = (gradients.get(name).unwrap(), theirs.get(var).unwrap());
        assert_eq!(ours.dims(), theirs.dims());
        let apart = farthest(&numbers(ours), &numbers(theirs));
        assert!(apart < 1e-11, "gradient of {name}: {apart}");
    }
}

fn window_inputs([batch, height, width, channels]: [usize; 4], table: [usize; 2], seed: u64) -> Inputs {
    let mut inputs = Inputs::new(seed);
    inputs.normal("qkv", &[batch, height, width, 3 * channels]);
    inputs.normal("table", &table);
    inputs
}

fn assert_windows(shape: [usize; 4], options: WindowAttention, table_side: usize) {
    let table = [(2 * table_side - 1).pow(2), options.heads];
    assert_is(
        &window_inputs(shape, table, 5),
        |tape| tape.window_attention(&tape.parameter("qkv")?, &options, "table"),
        |qkv, table| windows_by_definition(qkv, table.unwrap(), &options),
    );
}

#[test]
fn window_attention_is_that_of_the_definition() {
    let options = |heads, window, shift| WindowAttention { heads, window, shift };
    // Not square, shifted and not, heads of whole vectors and of parts of one.
    assert_windows([2, 8, 12, 6], options(2, 4, 0), 4);
    assert_windows([2, 8, 12, 6], options(2, 4, 2), 4);
    assert_windows([1, 9, 6, 32], options(1, 3, 1), 3);
    assert_windows([1, 14, 7, 10], options(5, 7, 3), 7);
    assert_windows([1, 16, 16, 64], options(2, 8, 4), 8);
    assert_windows([9, 8, 8, 4], options(1, 2, 1), 2);
    // One window, and smaller ones than asked for, with a table of their size and of the larger size.
    assert_windows([3, 4, 4, 6], options(2, 4, 2), 4);
    assert_windows([1, 6, 3, 4], options(2, 7, 3), 3);
    assert_windows([1, 6, 3, 4], options(2, 7, 3), 7);
}

#[test]
fn attention_is_that_of_the_definition() {
    // Whole blocks, parts of one, few heads (keys in several pieces) and many (in one).
    for (batch, tokens, heads, width) in
        [(1, 1, 1, 1), (2, 63, 3, 5), (1, 64, 2, 8), (1, 65, 1, 32), (2, 270, 1, 3), (1, 150, 17, 1), (1, 130, 2, 64)]
    {
        let mut inputs = Inputs::new(tokens as u64);
        inputs.normal("qkv", &[batch, tokens, 3 * heads * width]);
        assert_is(
            &inputs,
            |tape| tape.attention(&tape.parameter("qkv")?, heads),
            |qkv, _| attention_by_definition(qkv, heads),
        );
    }
}

/// The softmax moves from block to block with the largest score so far.
#[test]
fn scores_of_hundreds_neither_overflow_nor_lose_the_largest() -> Result<()> {
    let mut inputs = Inputs::new(1);
    inputs.normal("qkv", &[1, 300, 12]);
    let parameters = inputs.parameters(DType::F64)?;
    let qkv = (parameters.tensor("qkv")?.detach() * 10.0)?;
    let expected = attention_by_definition(&qkv, 1)?;
    let tape = Tape::new(&parameters, Mode::Eval);
    let found = tape.attention(&tape.constant(qkv.to_dtype(DType::F32)?), 1)?;
    let found = found.tensor().to_dtype(DType::F64)?;
    let largest = numbers(&expected).into_iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    // Scores of hundreds are off by 1e-4 in float32.
    assert!(farthest(&numbers(&found), &numbers(&expected)) < 1e-3 * largest);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn gradients_of_windows_are_those_of_finite_differences(
        (heads, width, side, shift) in (1usize..3, 1usize..4, 1usize..4, 0usize..3),
        ([rows, columns], seed) in ([1usize..3, 1usize..3], any::<u64>()),
    ) {
        let options = WindowAttention { heads, window: side, shift: shift % side };
        let table = [(2 * side - 1).pow(2), heads];
        let inputs = window_inputs([1, rows * side, columns * side, heads * width], table, seed);
        check_gradients_on_cpu(&inputs, |tape| tape.window_attention(&tape.parameter("qkv")?, &options, "table"));
    }

    #[test]
    fn gradients_are_those_of_finite_differences(
        (batch, tokens, heads, width, seed) in (1usize..3, 1usize..9, 1usize..3, 1usize..4, any::<u64>()),
    ) {
        let mut inputs = Inputs::new(seed);
        inputs.normal("qkv", &[batch, tokens, 3 * heads * width]);
        check_gradients_on_cpu(&inputs, |tape| tape.attention(&tape.parameter("qkv")?, heads));
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let options = WindowAttention { heads: 2, window: 7, shift: 3 };
    same_bits_for_any_threads(&window_inputs([3, 28, 21, 64], [169, 2], 1), |tape| {
        tape.window_attention(&tape.parameter("qkv")?, &options, "table")
    });
    let mut inputs = Inputs::new(2);
    inputs.normal("qkv", &[2, 333, 3 * 48]);
    same_bits_for_any_threads(&inputs, |tape| tape.attention(&tape.parameter("qkv")?, 3));
}

/// The windows of the upper left corner have no part in the lower right edge, which the roll brings to them.
#[test]
fn the_mask_keeps_opposite_edges_apart() -> Result<()> {
    let options = WindowAttention { heads: 1, window: 4, shift: 2 };
    let inputs = window_inputs([1, 8, 8, 2], [49, 1], 3);
    let parameters = inputs.parameters(DType::F64)?;
    let qkv = parameters.tensor("qkv")?.detach();
    let run = |qkv: &Tensor| -> Result<Tensor> {
        let tape = Tape::new(&parameters, Mode::Eval);
        let y = tape.window_attention(&tape.constant(qkv.clone()), &options, "table")?;
        y.tensor().narrow(1, 0, 2)?.narrow(2, 0, 2)?.contiguous()
    };
    let before = run(&qkv)?;
    let ones = Tensor::ones((1, 8, 2, 6), DType::F64, &Device::Cpu)?;
    let after = run(&qkv.slice_assign(&[0..1, 0..8, 6..8, 0..6], &ones)?)?;
    assert!(farthest(&numbers(&before), &numbers(&after)) < 1e-40);
    Ok(())
}

#[test]
fn rolling_the_grid_by_whole_windows_rolls_the_output() -> Result<()> {
    let options = WindowAttention { heads: 2, window: 3, shift: 0 };
    let inputs = window_inputs([1, 6, 9, 4], [25, 2], 4);
    let parameters = inputs.parameters(DType::F32)?;
    let qkv = parameters.tensor("qkv")?.detach();
    let run = |qkv: &Tensor| -> Result<Tensor> {
        let tape = Tape::new(&parameters, Mode::Eval);
        Ok(tape.window_attention(&tape.constant(qkv.clone()), &options, "table")?.tensor().clone())
    };
    let roll = |t: &Tensor| t.roll(3, 1)?.roll(-6, 2)?.contiguous();
    let (rolled, expected) = (run(&roll(&qkv)?)?, roll(&run(&qkv)?)?);
    assert_eq!(rolled.flatten_all()?.to_vec1::<f32>()?, expected.flatten_all()?.to_vec1::<f32>()?);
    Ok(())
}

#[test]
fn every_token_is_dealt_once_to_its_window() -> Result<()> {
    for (size, window, shift) in [([8, 12], 4, 2), ([9, 6], 3, 1), ([6, 4], 2, 0), ([5, 5], 7, 3)] {
        let windows = Windows::new(size, &WindowAttention { heads: 1, window, shift })?;
        let area = size[0] * size[1];
        let mut grids: Vec<usize> = (0..2 * area).collect();
        for (index, runs) in windows.deal(&mut grids, 1).into_iter().enumerate() {
            let (image, window) = (index / windows.count(), index % windows.count());
            let expected: Vec<usize> = windows.places(window).iter().map(|place| image * area + place).collect();
            let mut found = vec![usize::MAX; windows.tokens()];
            for (first, run) in runs {
                found[first..first + run.len()].copy_from_slice(run);
            }
            assert_eq!(found, expected, "{size:?}, window {window} of {window:?}, shift {shift}");
        }
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_with_the_cure() {
    let message = |shape: &[usize], table: [usize; 2], options: WindowAttention| {
        let mut inputs = Inputs::new(1);
        inputs.normal("qkv", shape);
        inputs.normal("table", &table);
        let parameters: Parameters = inputs.parameters(DType::F32).unwrap();
        let tape = Tape::new(&parameters, Mode::Train);
        let error = tape.window_attention(&tape.parameter("qkv").unwrap(), &options, "table").unwrap_err();
        error.to_string().lines().next().unwrap_or_default().to_owned()
    };
    let options = WindowAttention { heads: 2, window: 4, shift: 2 };
    let found = message(&[1, 8, 10, 12], [49, 2], options);
    assert!(found.contains("8 × 10 tokens are no whole number of windows of 4 × 4; choose another side"), "{found}");
    let found = message(&[1, 8, 8, 12], [25, 2], options);
    assert!(found.contains("a table of [25, 2] for windows of side 4, which has [49, 2]"), "{found}");
    let found = message(&[1, 8, 8, 15], [49, 2], options);
    assert!(found.contains("queries, keys and values of 2 heads"), "{found}");
    let found = message(&[1, 8, 12], [49, 2], options);
    assert!(found.contains("should be [batch, height, width, 3 · channels]"), "{found}");
    let found = message(&[1, 8, 8, 12], [49, 2], WindowAttention { shift: 4, ..options });
    assert!(found.contains("a shift of 4 for windows of side 4"), "{found}");

    let parameters = Parameters::new(DType::F32, &Device::Cpu);
    let tape = Tape::new(&parameters, Mode::Train);
    for (shape, dtype, expected) in [
        (vec![2, 5, 7], DType::F32, "queries, keys and values of 2 heads"),
        (vec![2, 6], DType::F32, "should be [batch, tokens, 3 · channels]"),
        (vec![2, 5, 6], DType::BF16, "attention works in float32 and float64, not in BF16"),
    ] {
        let qkv = Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
        let found = tape.attention(&tape.constant(qkv), 2).unwrap_err().to_string();
        assert!(found.contains(expected), "{found}");
    }
}

/// On a dry tape nothing is computed. Counted are the input, and where a gradient needs them the output and the logarithms.
#[test]
fn a_dry_tape_counts_what_is_saved() -> Result<()> {
    let inputs = window_inputs([2, 8, 8, 4], [49, 2], 1);
    let parameters = inputs.parameters(DType::F32)?;
    let options = WindowAttention { heads: 2, window: 4, shift: 0 };
    let tape = Tape::dry(&parameters);
    let qkv = tape.parameter("qkv")?;
    assert_eq!(tape.window_attention(&qkv, &options, "table")?.tensor().dims(), [2, 8, 8, 4]);
    let windows = tape.counted();
    assert_eq!((windows.saved_bytes, windows.largest_bytes), (4 * 2 * 64 * 12, 4 * 2 * 64 * 4));
    let tokens = tape.constant(qkv.tensor().reshape((2, 64, 12))?);
    let y = tape.attention(&tokens, 2)?;
    assert_eq!(y.tensor().dims(), [2, 64, 4]);
    assert_eq!(tape.counted().saved_bytes - windows.saved_bytes, 4 * (2 * 64 * 12 + 2 * 64 * 4 + 2 * 2 * 64));
    Ok(())
}
