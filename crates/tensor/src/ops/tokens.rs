//! The tokens of a vision transformer: from patches, a class token, registers and position embeddings, and back to patches.

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use super::resample::{Taps, resample, transposed};
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// How DINOv2 interpolates the position embeddings of a square grid to another one, bicubically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// The network without registers: no antialiasing, kernel of a = -3/4, and a step that is computed for 0.1 patches more than
    /// there are (`interpolate_offset = 0.1`, `interpolate_antialias = False`).
    Offset,
    /// The network with registers: antialiased, kernel of a = -1/2 (`interpolate_offset = 0`, `interpolate_antialias = True`).
    Antialiased,
}

/// Keys' cubic convolution kernel at a distance `x`.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

impl Positions {
    /// For each of `to` positions, which of the `from` positions are blended, as PyTorch's `upsample_bicubic2d` and
    /// `_upsample_bicubic2d_aa`.
    fn taps<T: Element>(self, from: usize, to: usize) -> Vec<Taps<T>> {
        let last = from as i64 - 1;
        match self {
            Positions::Offset => {
                let scale = from as f64 / (to as f64 + 0.1);
                let taps = |place: usize| {
                    let source = scale * (place as f64 + 0.5) - 0.5;
                    let first = (source.floor() as i64).min(last);
                    let part = (source - first as f64).clamp(0.0, 1.0);
                    let tap = |k: i64| ((first + k).clamp(0, last) as usize, T::narrow(cubic(part - k as f64, -0.75)));
                    (-1..3).map(tap).collect()
                };
                (0..to).map(taps).collect()
            }
            Positions::Antialiased => {
                let scale = from as f64 / to as f64;
                let stretch = scale.max(1.0);
                let taps = |place: usize| {
                    let center = scale * (place as f64 + 0.5);
                    let first = ((center - 2.0 * stretch + 0.5) as i64).max(0);
                    let end = ((center + 2.0 * stretch + 0.5) as i64).min(last + 1);
                    let weight = |at: i64| cubic((at as f64 - center + 0.5) / stretch, -0.5);
                    let sum: f64 = (first..end).map(weight).sum();
                    (first..end).map(|at| (at as usize, T::narrow(weight(at) / sum))).collect()
                };
                (0..to).map(taps).collect()
            }
        }
    }
}

/// Sizes of an embedding: `height` × `width` patches of `channels`, `registers`, and position embeddings for a square of `side`.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    grid: [usize; 2],
    channels: usize,
    registers: usize,
    side: usize,
    positions: Positions,
}

impl Sizes {
    fn new(
        patches: &Tensor,
        class: &Tensor,
        registers: Option<&Tensor>,
        table: &Tensor,
        positions: Positions,
    ) -> Result<Self> {
        let (batch, height, width, channels) = patches.dims4()?;
        let (_, rows, _) = table.dims3()?;
        let side = rows.saturating_sub(1).isqrt();
        let registers =
            registers.map_or(Ok([1, 0, channels]), |registers| registers.dims3().map(<[usize; 3]>::from))?;
        let fits = class.dims() == [1, 1, channels]
            && table.dims() == [1, side * side + 1, channels]
            && [registers[0], registers[2]] == [1, channels];
        if !fits || batch * height * width * channels * side == 0 {
            bail!(
                "embed_tokens: patches of {:?}, a class token of {:?}, registers of {registers:?} and positions of {:?}",
                patches.dims(),
                class.dims(),
                table.dims()
            );
        }
        Ok(Sizes { batch, grid: [height, width], channels, registers: registers[1], side, positions })
    }

    fn patches(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Tokens before the patches.
    fn before(&self) -> usize {
        1 + self.registers
    }

    fn tokens(&self) -> usize {
        self.before() + self.patches()
    }

    /// Whether the position embeddings are used as they are.
    fn is_trained_grid(&self) -> bool {
        self.grid == [self.side; 2]
    }

    fn taps<T: Element>(&self) -> [Vec<Taps<T>>; 2] {
        self.grid.map(|to| self.positions.taps(self.side, to))
    }
}

fn forward(sizes: Sizes, [patches, class, registers, table]: [&Tensor; 4]) -> Result<Tensor> {
    let (patches, class, registers) = (patches.contiguous()?, class.contiguous()?, registers.contiguous()?);
    let table = table.contiguous()?;
    on_cpu_only!("embed_tokens", &patches, forward_host(sizes, [&patches, &class, &registers, &table]))
}

fn forward_host<T: Element>(sizes: Sizes, [patches, class, registers, table]: [&Tensor; 4]) -> Result<Tensor> {
    let Sizes { batch, channels, side, .. } = sizes;
    let (x, class, registers) = (elements::<T>(patches)?, elements::<T>(class)?, elements::<T>(registers)?);
    let table = elements::<T>(table)?;
    let (first, of_patches) = table.split_at(channels);
    let interpolated = (!sizes.is_trained_grid()).then(|| {
        let [rows, columns] = sizes.taps();
        resample(of_patches, [side, channels], side, &rows, &columns)
    });
    let of_patches = interpolated.as_deref().unwrap_or(of_patches);
    let tokens = filled(batch * sizes.tokens() * channels, |tokens| {
        let images = x.par_chunks(sizes.patches() * channels);
        tokens.par_chunks_mut(sizes.tokens() * channels).zip(images).for_each(|(tokens, patches)| {
            let (before, after) = tokens.split_at_mut(sizes.before() * channels);
            let sums = |result: &mut [T], a: &[T], b: &[T]| {
                result.iter_mut().zip(a.iter().zip(b)).for_each(|(result, (a, b))| *result = *a + *b);
            };
            sums(&mut before[..channels], &class, first);
            // Registers have no position.
            before[channels..].copy_from_slice(&registers[..sizes.registers * channels]);
            sums(after, patches, of_patches);
        });
    });
    tensor(tokens, &[batch, sizes.tokens(), channels])
}

/// Gradients of the patches, the class token, the registers and the position embeddings.
fn backward(sizes: Sizes, gradient: &Tensor) -> Result<[Tensor; 4]> {
    let gradient = gradient.contiguous()?;
    on_cpu_only!("embed_tokens", &gradient, backward_host(sizes, &gradient))
}

fn backward_host<T: Element>(sizes: Sizes, gradient: &Tensor) -> Result<[Tensor; 4]> {
    let Sizes { batch, grid: [height, width], channels, registers, side, .. } = sizes;
    let before = sizes.before();
    let patches =
        gradient.narrow(1, before, sizes.patches())?.contiguous()?.reshape((batch, height, width, channels))?;
    let gradient = elements::<T>(gradient)?;
    // Over the batch, in its order.
    let mut sums = vec![T::zero(); sizes.tokens() * channels];
    sums.par_chunks_mut(channels).enumerate().for_each(|(token, sums)| {
        for image in gradient.chunks_exact(sizes.tokens() * channels) {
            sums.iter_mut().zip(&image[token * channels..]).for_each(|(sum, value)| *sum += *value);
        }
    });
    let (first, of_patches) = sums.split_at(before * channels);
    let mut table = first[..channels].to_vec();
    if sizes.is_trained_grid() {
        table.extend_from_slice(of_patches);
    } else {
        let [rows, columns] = sizes.taps().map(|taps| transposed::<T>(&taps, side));
        table.extend(resample(of_patches, [width, channels], height, &rows, &columns));
    }
    Ok([
        patches,
        tensor(first[..channels].to_vec(), &[1, 1, channels])?,
        tensor(first[channels..].to_vec(), &[1, registers, channels])?,
        tensor(table, &[1, side * side + 1, channels])?,
    ])
}

impl Tape<'_> {
    /// The tokens of `patches` `[batch, height, width, channels]`: the parameter `class` `[1, 1, channels]` with its position, the
    /// parameter `registers` `[1, count, channels]`, if there is one, without, then the patches, row by row, with theirs:
    /// `[batch, 1 + count + height · width, channels]`. The parameter `table` `[1, 1 + side², channels]` has the position embeddings
    /// of the class token and of a square of patches; `positions` says how they are brought to another grid.
    ///
    /// # Errors
    /// If a parameter is missing, shapes do not fit, or the device or type is not supported.
    pub fn embed_tokens(
        &self,
        patches: &Value,
        (class, registers, table): (&str, Option<&str>, &str),
        positions: Positions,
    ) -> Result<Value> {
        let (class, table) = (self.parameter(class)?, self.parameter(table)?);
        let registers = registers.map(|name| self.parameter(name)).transpose()?;
        let of_registers = registers.as_ref().map(Value::tensor);
        let sizes = Sizes::new(patches.tensor(), class.tensor(), of_registers, table.tensor(), positions)?;
        let shape = [sizes.batch, sizes.tokens(), sizes.channels];
        // Without registers any tensor will do: none of it is read.
        let tensors = [patches.tensor(), class.tensor(), of_registers.unwrap_or(class.tensor()), table.tensor()];
        let output = self.output(&shape, || Err("embed_tokens"), || forward(sizes, tensors))?;
        let inputs: Vec<&Value> = [patches, &class, &table].into_iter().chain(&registers).collect();
        let with_registers = registers.is_some();
        Ok(self.record(output, &inputs, move |gradient, _| {
            let [patches, class, registers, table] = backward(sizes, gradient)?;
            let mut gradients = vec![Some(patches), Some(class), Some(table)];
            gradients.extend(with_registers.then_some(Some(registers)));
            Ok(gradients)
        }))
    }

    /// The last `height · width` tokens of `x` `[batch, tokens, channels]` as a grid, `[batch, height, width, channels]`.
    ///
    /// # Errors
    /// If there are fewer tokens.
    pub fn last_tokens(&self, x: &Value, [height, width]: [usize; 2]) -> Result<Value> {
        let (batch, tokens, channels) = x.tensor().dims3()?;
        let Some(before) = tokens.checked_sub(height * width) else {
            bail!("last_tokens: {height} × {width} of {tokens} tokens");
        };
        let shape = [batch, height, width, channels];
        let compute = || x.tensor().narrow(1, before, height * width)?.contiguous()?.reshape(&shape);
        let output = self.output(&shape, || Err("last_tokens"), compute)?;
        Ok(self.record(output, &[x], move |gradient, _| {
            let gradient = gradient.reshape((batch, height * width, channels))?;
            Ok(vec![Some(gradient.pad_with_zeros(1, before, 0)?.contiguous()?)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use crate::{Mode, Parameters};
    use candle_core::DType;
    use proptest::prelude::*;

    fn inputs([batch, height, width, channels]: [usize; 4], registers: usize, side: usize, seed: u64) -> Inputs {
        let mut inputs = Inputs::new(seed);
        inputs.normal("patches", &[batch, height, width, channels]);
        inputs.normal("class", &[1, 1, channels]);
        inputs.normal("positions", &[1, side * side + 1, channels]);
        if registers > 0 {
            inputs.normal("registers", &[1, registers, channels]);
        }
        inputs
    }

    fn embedded(tape: &Tape<'_>, with_registers: bool, positions: Positions) -> Result<Value> {
        let names = ("class", with_registers.then_some("registers"), "positions");
        tape.embed_tokens(&tape.parameter("patches")?, names, positions)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (height, width, side, registers, seed) in (1usize..6, 1usize..6, 1usize..5, 0usize..3, any::<u64>()),
            antialiased in any::<bool>(),
        ) {
            let positions = if antialiased { Positions::Antialiased } else { Positions::Offset };
            check_gradients_on_cpu(&inputs([2, height, width, 3], registers, side, seed), |tape| {
                embedded(tape, registers > 0, positions)
            });
            check_gradients_on_cpu(&inputs([2, height, width, 3], registers, side, seed), |tape| {
                let tokens = embedded(tape, registers > 0, positions)?;
                tape.last_tokens(&tokens, [height, width])
            });
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for positions in [Positions::Offset, Positions::Antialiased] {
            same_bits_for_any_threads(&inputs([3, 9, 13, 16], 4, 11, 1), |tape| embedded(tape, true, positions));
        }
    }

    #[test]
    fn tokens_lie_in_their_order_and_registers_have_no_position() -> Result<()> {
        let parameters = inputs([2, 2, 2, 3], 2, 2, 5).parameters(DType::F64)?;
        let tape = Tape::new(&parameters, Mode::Eval);
        let tokens = embedded(&tape, true, Positions::Offset)?;
        assert_eq!(tokens.tensor().dims(), [2, 7, 3]);
        let token = |index: usize| tokens.tensor().get(1)?.get(index)?.to_vec1::<f64>();
        let of = |parameters: &Parameters, name: &str, index: usize| -> Result<Vec<f64>> {
            parameters.tensor(name)?.get(0)?.get(index)?.to_vec1()
        };
        let sum = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a + b).collect::<Vec<_>>();
        assert_eq!(token(0)?, sum(of(&parameters, "class", 0)?, of(&parameters, "positions", 0)?));
        assert_eq!(token(2)?, of(&parameters, "registers", 1)?);
        let patch = parameters.tensor("patches")?.get(1)?.get(1)?.get(0)?.to_vec1()?;
        assert_eq!(token(5)?, sum(patch, of(&parameters, "positions", 3)?));
        let grid = tape.last_tokens(&tokens, [2, 2])?;
        assert_eq!(grid.tensor().get(1)?.get(1)?.get(0)?.to_vec1::<f64>()?, token(5)?);
        assert!(tape.last_tokens(&tokens, [2, 4]).is_err());
        Ok(())
    }

    /// Weights of a kernel add up to 1: constant embeddings stay constant.
    #[test]
    fn constant_positions_stay_constant() {
        for positions in [Positions::Offset, Positions::Antialiased] {
            for (from, to) in [(37, 16), (37, 18), (37, 64), (4, 1), (1, 5)] {
                let taps = positions.taps::<f64>(from, to);
                assert_eq!(taps.len(), to);
                for taps in taps {
                    let sum: f64 = taps.iter().map(|(_, weight)| weight).sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{positions:?} {from} {to}: {sum}");
                }
            }
        }
    }
}
