//! Linear layers: `y = x Wᵀ + b`.

use super::gpu::{Gpu, column_sums as column_sums_gpu, launch, on_device};
use super::host::{Element, elements, filled, tensor};
use super::matrix::multiply;
use super::panels::{Matrix, Packed};
use super::transpose::transpose;
use super::vector::vectorized;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Multiplications and additions that a task does, about.
const WORK: usize = 1 << 21;
/// The fewest rows of a product that a task computes: fewer would waste the kernel's blocks.
const ROWS: usize = 8;
/// Columns that a task of the transposition or of a sum handles.
const COLUMNS: usize = 64;
/// Rows of a layer's input from which on its weight's gradient is computed in tiles of [`TILE`] rows. (Vectors, `[batch, in]`, keep
/// one sum: their bits are part of results that exist.)
const MANY_ROWS: usize = 1024;
/// Rows of a layer's input that one product of its weight's gradient takes.
const TILE: usize = 256;
/// Most elements of partial sums, about.
const BESIDE_ELEMENTS: usize = 1 << 22;
/// Elements of a task that adds partial sums.
const CHUNK: usize = 1 << 15;

/// `a · b`, row-major `[rows, columns]`, from `a` `[rows, inner]` and `b` `[inner, columns]`, plus `bias` `[columns]` in every
/// row. Tasks share out the longer side of the result; every sum over `inner` lies in one task.
fn product<T: Element>(
    [rows, columns, inner]: [usize; 3],
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    bias: Option<&[T]>,
) -> Vec<T> {
    let add_bias = |result: &mut [T]| {
        let Some(bias) = bias else { return };
        for row in result.chunks_exact_mut(columns) {
            row.iter_mut().zip(bias).for_each(|(y, bias)| *y += *bias);
        }
    };
    if rows < columns {
        let transposed = product([columns, rows, inner], b.transposed(), a.transposed(), None);
        let mut result = turned(&transposed, [columns, rows]);
        result.par_chunks_mut(ROWS * columns).for_each(add_bias);
        return result;
    }
    let piece = (WORK / (columns * inner)).max(ROWS);
    let b = Packed::new(b, inner, columns);
    filled(rows * columns, |result| {
        result.par_chunks_mut(piece * columns).enumerate().for_each(|(index, result)| {
            let a = Matrix { elements: &a.elements[index * piece * a.row_stride..], ..a };
            b.multiply(result, result.len() / columns, false, a);
            add_bias(result);
        });
    })
}

/// `aᵀ · b`, row-major `[rows, columns]`, from row-major `a` `[inner, rows]` and `b` `[inner, columns]`, where `inner` is long: tiles
/// of it that stay in the second-level cache, added up in partial sums; the sizes decide how many.
fn long_product<T: Element>([rows, columns, inner]: [usize; 3], a: &[T], b: &[T]) -> Vec<T> {
    let tiles = inner.div_ceil(TILE);
    let parts = (BESIDE_ELEMENTS / (rows * columns)).clamp(2, 16).min(tiles);
    let partial = |part: usize| {
        let mut sum = vec![T::zero(); rows * columns];
        for tile in part * tiles / parts..(part + 1) * tiles / parts {
            let range = tile * TILE..((tile + 1) * TILE).min(inner);
            let a = Matrix::row_major(&a[range.start * rows..range.end * rows], rows).transposed();
            let b = Matrix::row_major(&b[range.start * columns..range.end * columns], columns);
            multiply(&mut sum, [rows, columns, range.len()], true, a, b);
        }
        sum
    };
    let mut partials: Vec<Vec<T>> = (0..parts).into_par_iter().map(partial).collect();
    let rest = partials.split_off(1);
    let mut total = partials.pop().unwrap_or_default();
    total.par_chunks_mut(CHUNK).enumerate().for_each(|(index, total)| {
        for part in &rest {
            total.iter_mut().zip(&part[index * CHUNK..]).for_each(|(total, value)| *total += *value);
        }
    });
    total
}

/// Row-major `[columns, rows]` from row-major `[rows, columns]`.
fn turned<T: Element>(matrix: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    filled(matrix.len(), |result| {
        result.par_chunks_mut(COLUMNS * rows).enumerate().for_each(|(index, result)| {
            transpose(&matrix[index * COLUMNS..], columns, [rows, result.len() / rows], result, rows);
        });
    })
}

/// The sizes `[rows, in, out]` of a layer; rows are all axes of `x` but the last together.
fn sizes(x: &Tensor, weight: &Tensor) -> Result<[usize; 3]> {
    match (x.dims().split_last(), weight.dims()) {
        (Some((&inputs, leading)), &[outputs, w])
            if w == inputs && !leading.is_empty() && outputs * x.elem_count() > 0 =>
        {
            Ok([leading.iter().product(), inputs, outputs])
        }
        _ => {
            let (x, weight) = (x.dims(), weight.dims());
            bail!("linear: an input of {x:?} for a weight of {weight:?}, which is [out, in]")
        }
    }
}

/// The output's shape: the input's, with `outputs` in the last place.
fn output_shape(x: &Tensor, outputs: usize) -> Vec<usize> {
    let mut shape = x.dims().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = outputs;
    }
    shape
}

/// `[.., out]` from `x` `[.., in]`, `weight` `[out, in]` and, if there is one, `bias` `[out]`.
///
/// # Errors
/// If the shapes do not fit or are empty, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let [rows, inputs, outputs] = sizes(&x, &weight)?;
    if let Some(bias) = bias.filter(|bias| bias.dims() != [outputs]) {
        bail!("linear: a bias of {:?} for {outputs} outputs", bias.dims());
    }
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let (bias, flat) = (bias.as_ref(), x.reshape((rows, inputs))?);
    on_device!("linear", &flat, forward_gpu(&flat, &weight, bias), forward_host(&flat, &weight, bias))?
        .reshape(output_shape(&x, outputs))
}

/// By cuBLAS, through candle.
fn forward_gpu(gpu: &dyn Gpu, x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.matmul(&weight.t()?)?.contiguous()?;
    if let Some(bias) = bias {
        let (dtype, elements) = (y.dtype(), y.elem_count());
        launch!(gpu, "epilogue", dtype, elements, [&y, bias, None, elements, bias.elem_count(), false])?;
    }
    Ok(y)
}

fn forward_host<T: Element>(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let [rows, inputs, outputs] = sizes(x, weight)?;
    let (x, weight) = (elements::<T>(x)?, elements::<T>(weight)?);
    let (a, b) = (Matrix::row_major(&x, inputs), Matrix::row_major(&weight, inputs).transposed());
    let bias = bias.map(elements::<T>).transpose()?;
    tensor(product([rows, outputs, inputs], a, b, bias.as_deref()), &[rows, outputs])
}

/// Gradients of [`forward`]; none where none was asked for.
pub(crate) struct LinearGradients {
    /// With respect to the input, `[.., in]`.
    pub(crate) x: Option<Tensor>,
    /// With respect to the weight, `[out, in]`.
    pub(crate) weight: Option<Tensor>,
    /// With respect to the bias, `[out]`, summed in double precision.
    pub(crate) bias: Option<Tensor>,
}

/// Gradients of [`forward`], given the output's `gradient`: those of input, weight and bias that are `wanted`.
///
/// # Errors
/// As [`forward`]; if `gradient` has not the output's shape.
pub(crate) fn backward(x: &Tensor, weight: &Tensor, gradient: &Tensor, wanted: [bool; 3]) -> Result<LinearGradients> {
    let (x, weight, gradient) = (x.contiguous()?, weight.contiguous()?, gradient.contiguous()?);
    let [rows, inputs, outputs] = sizes(&x, &weight)?;
    if gradient.dims() != output_shape(&x, outputs) {
        bail!("linear: a gradient of {:?} for an output of {:?}", gradient.dims(), output_shape(&x, outputs));
    }
    let is_long = x.rank() > 2 && rows >= MANY_ROWS;
    let (flat, gradient) = (x.reshape((rows, inputs))?, gradient.reshape((rows, outputs))?);
    let found = on_device!(
        "linear",
        &flat,
        backward_gpu(&flat, &weight, &gradient, wanted),
        backward_host(&flat, &weight, &gradient, wanted, is_long)
    )?;
    Ok(LinearGradients { x: found.x.map(|dx| dx.reshape(x.shape())).transpose()?, ..found })
}

fn backward_gpu(
    gpu: &dyn Gpu,
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    [wants_x, wants_weight, wants_bias]: [bool; 3],
) -> Result<LinearGradients> {
    Ok(LinearGradients {
        x: wants_x.then(|| gradient.matmul(weight)).transpose()?,
        weight: wants_weight.then(|| gradient.t()?.matmul(x)).transpose()?,
        bias: wants_bias.then(|| column_sums_gpu(gpu, gradient, weight.dims2()?.0)).transpose()?,
    })
}

fn backward_host<T: Element>(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    [wants_x, wants_weight, wants_bias]: [bool; 3],
    is_long: bool,
) -> Result<LinearGradients> {
    let [rows, inputs, outputs] = sizes(x, weight)?;
    let (x, weight, gradient) = (elements::<T>(x)?, elements::<T>(weight)?, elements::<T>(gradient)?);
    let dx = || {
        let (a, b) = (Matrix::row_major(&gradient, outputs), Matrix::row_major(&weight, inputs));
        tensor(product([rows, inputs, outputs], a, b, None), &[rows, inputs])
    };
    let dw = || {
        let (a, b) = (Matrix::row_major(&gradient, outputs).transposed(), Matrix::row_major(&x, inputs));
        let dw = match is_long {
            true => long_product([outputs, inputs, rows], &gradient, &x),
            false => product([outputs, inputs, rows], a, b, None),
        };
        tensor(dw, &[outputs, inputs])
    };
    let db = || tensor(column_sums::<T>(&gradient, outputs), &[outputs]);
    Ok(LinearGradients {
        x: wants_x.then(dx).transpose()?,
        weight: wants_weight.then(dw).transpose()?,
        bias: wants_bias.then(db).transpose()?,
    })
}

fn column_sums<T: Element>(matrix: &[T], columns: usize) -> Vec<T> {
    let mut sums = vec![T::zero(); columns];
    sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(index, sums)| {
        let mut wide = [0.0; COLUMNS];
        vectorized(
            #[inline(always)]
            || {
                for row in matrix.chunks_exact(columns) {
                    for (wide, value) in wide.iter_mut().zip(&row[index * COLUMNS..]) {
                        *wide += value.widen();
                    }
                }
            },
        );
        for (sum, wide) in sums.iter_mut().zip(wide) {
            *sum = T::narrow(wide);
        }
    });
    sums
}

impl Tape<'_> {
    /// The linear layer with the parameters `weight` `[out, in]` and, if given, `bias` `[out]` on `x` `[batch, .., in]`:
    /// `[batch, .., out]`, as PyTorch's `nn.Linear`.
    ///
    /// # Errors
    /// If a parameter is missing, the shapes do not fit or are empty, or the device or type is not supported.
    pub fn linear(&self, x: &Value, weight: &str, bias: Option<&str>) -> Result<Value> {
        let weight = self.parameter(weight)?;
        let bias = bias.map(|name| self.parameter(name)).transpose()?;
        let [_, _, outputs] = sizes(x.tensor(), weight.tensor())?;
        let shape = output_shape(x.tensor(), outputs);
        let compute = || forward(x.tensor(), weight.tensor(), bias.as_ref().map(Value::tensor));
        let output = self.output(&shape, || Err("linear"), compute)?;
        let (saved_x, saved_weight) = (self.save(x), weight.tensor().clone());
        let inputs: Vec<&Value> = [x, &weight].into_iter().chain(bias.as_ref()).collect();
        let again = {
            let (x, weight, bias) = (saved_x.clone(), saved_weight.clone(), bias.as_ref().map(|b| b.tensor().clone()));
            move || forward(&x.tensor()?, &weight, bias.as_ref())
        };
        let backward = move |gradient: &Tensor, wanted: &[bool]| {
            let wanted = [0, 1, 2].map(|input| wanted.get(input).copied().unwrap_or(false));
            let LinearGradients { x, weight, bias } = backward(&saved_x.tensor()?, &saved_weight, gradient, wanted)?;
            Ok(vec![x, weight, bias])
        };
        Ok(match self.recomputes() && shape.len() > 2 {
            true => self.record_recomputable(output, &inputs, again, backward),
            false => self.record(output, &inputs, backward),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};
    use candle_core::{DType, Device};
    use proptest::prelude::*;

    fn inputs([batch, inputs, outputs]: [usize; 3], seed: u64) -> Inputs {
        let mut tensors = Inputs::new(seed);
        tensors.normal("x", &[batch, inputs]);
        tensors.normal("weight", &[outputs, inputs]);
        tensors.normal("bias", &[outputs]);
        tensors
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn gradients_are_those_of_finite_differences(
            (batch, width, outputs, seed) in (1usize..6, 1usize..6, 1usize..6, any::<u64>()),
            with_bias in any::<bool>(),
        ) {
            check_gradients(&inputs([batch, width, outputs], seed), |tape| {
                tape.linear(&tape.parameter("x")?, "weight", with_bias.then_some("bias"))
            });
        }

        /// Sizes at which the work is cut into several pieces, the last of them short, on either side.
        #[test]
        fn products_in_pieces_are_the_product(
            (batch, width, outputs) in (1usize..200, 1usize..700, 1usize..200),
            seed in any::<u64>(),
        ) {
            let parameters = inputs([batch, width, outputs], seed).parameters(DType::F64).unwrap();
            let [x, weight, bias] = ["x", "weight", "bias"].map(|name| parameters.tensor(name).unwrap().detach());
            let y = forward(&x, &weight, Some(&bias)).unwrap();
            let expected = x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
            let gradients = backward(&x, &weight, &y, [true; 3]).unwrap();
            let pairs = [
                (Some(y.clone()), expected),
                (gradients.x, y.matmul(&weight).unwrap()),
                (gradients.weight, y.t().unwrap().matmul(&x).unwrap()),
                (gradients.bias, y.sum(0).unwrap()),
            ];
            for (found, expected) in pairs {
                let found = found.unwrap();
                prop_assert_eq!(found.dims(), expected.dims());
                let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
                prop_assert!(norm(&(found - &expected).unwrap()) <= 1e-13 * norm(&expected));
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        for sizes in [[33, 770, 130], [700, 130, 65]] {
            same_bits_for_any_threads(&inputs(sizes, 3), |tape| {
                tape.linear(&tape.parameter("x")?, "weight", Some("bias"))
            });
        }
    }

    #[test]
    fn leading_axes_are_rows() -> Result<()> {
        let mut inputs = Inputs::new(4);
        inputs.normal("x", &[2, 2, 3, 4]);
        inputs.normal("weight", &[5, 4]);
        inputs.normal("bias", &[5]);
        check_gradients(&inputs, |tape| {
            let y = tape.linear(&tape.parameter("x")?, "weight", Some("bias"))?;
            assert_eq!(y.tensor().dims(), [2, 2, 3, 5]);
            Ok(y)
        });
        Ok(())
    }

    /// More rows than a weight's gradient takes at a time.
    #[test]
    fn many_rows_give_the_gradient_of_the_definition() -> Result<()> {
        for sizes in [[2 * MANY_ROWS + 7, 5, 9], [MANY_ROWS, 33, 4]] {
            let [rows, width, outputs] = sizes;
            let parameters = inputs(sizes, 5).parameters(DType::F64)?;
            let [x, weight] = ["x", "weight"].map(|name| parameters.tensor(name).unwrap().detach());
            let y = forward(&x, &weight, None)?;
            let found = backward(&x.unsqueeze(0)?, &weight, &y.unsqueeze(0)?, [true; 3])?;
            assert_eq!(found.x.map(|dx| dx.dims().to_vec()), Some(vec![1, rows, width]));
            let expected = y.t()?.matmul(&x)?;
            let norm = |t: &Tensor| t.sqr()?.sum_all()?.to_scalar::<f64>();
            let Some(weight) = found.weight else { panic!("no gradient of {outputs} outputs") };
            assert!(norm(&(weight - &expected)?)? <= 1e-26 * norm(&expected)?);
        }
        let mut inputs = Inputs::new(6);
        inputs.normal("x", &[3, MANY_ROWS + 9, 40]);
        inputs.normal("weight", &[70, 40]);
        same_bits_for_any_threads(&inputs, |tape| tape.linear(&tape.parameter("x")?, "weight", None));
        Ok(())
    }

    #[test]
    fn a_layer_worked_by_hand() -> Result<()> {
        let device = Device::Cpu;
        let x = Tensor::new(&[[1f32, 2.0]], &device)?;
        let weight = Tensor::new(&[[1f32, 0.0], [0.0, 1.0], [3.0, -1.0]], &device)?;
        let y = forward(&x, &weight, Some(&Tensor::new(&[0f32, 10.0, 100.0], &device)?))?;
        assert_eq!(y.to_vec2::<f32>()?, [[1.0, 12.0, 101.0]]);
        let gradients = backward(&x, &weight, &Tensor::new(&[[1f32, 10.0, 100.0]], &device)?, [true, true, false])?;
        assert_eq!(gradients.x.map(|dx| dx.to_vec2::<f32>()).transpose()?, Some(vec![vec![301.0, -90.0]]));
        let expected = [[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]].map(Vec::from).to_vec();
        assert_eq!(gradients.weight.map(|dw| dw.to_vec2::<f32>()).transpose()?, Some(expected));
        assert!(gradients.bias.is_none());
        let error = forward(&x.t()?, &weight, None).unwrap_err().to_string();
        assert!(error.contains("an input of [2, 1] for a weight of [3, 2]"), "{error}");
        assert!(forward(&x, &weight, Some(&Tensor::new(&[0f32], &device)?)).is_err());
        Ok(())
    }
}
