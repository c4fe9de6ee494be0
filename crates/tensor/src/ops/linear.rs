//! Linear layers: `y = x Wᵀ + b`.

use super::gpu::{Gpu, column_sums as column_sums_gpu, launch, on_device};
use super::host::{Element, elements, filled, tensor};
use super::panels::{Matrix, Packed};
use super::transpose::transpose;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

/// Multiplications and additions that a task does, about.
const WORK: usize = 1 << 21;
/// The fewest rows of a product that a task computes: fewer would waste the kernel's blocks.
const ROWS: usize = 8;
/// Columns that a task of the transposition or of a sum handles.
const COLUMNS: usize = 64;

/// `a · b`, row-major `[rows, columns]`, from `a` `[rows, inner]` and `b` `[inner, columns]`. Tasks share out the longer
/// side of the result; every sum over `inner` lies in one task.
fn product<T: Element>([rows, columns, inner]: [usize; 3], a: Matrix<'_, T>, b: Matrix<'_, T>) -> Vec<T> {
    if rows < columns {
        let transposed = product([columns, rows, inner], b.transposed(), a.transposed());
        return turned(&transposed, [columns, rows]);
    }
    let piece = (WORK / (columns * inner)).max(ROWS);
    let b = Packed::new(b, inner, columns);
    filled(rows * columns, |result| {
        result.par_chunks_mut(piece * columns).enumerate().for_each(|(index, result)| {
            let a = Matrix { elements: &a.elements[index * piece * a.row_stride..], ..a };
            b.multiply(result, result.len() / columns, false, a);
        });
    })
}

/// Row-major `[columns, rows]` from row-major `[rows, columns]`.
fn turned<T: Element>(matrix: &[T], [rows, columns]: [usize; 2]) -> Vec<T> {
    filled(matrix.len(), |result| {
        result.par_chunks_mut(COLUMNS * rows).enumerate().for_each(|(index, result)| {
            transpose(&matrix[index * COLUMNS..], columns, [rows, result.len() / rows], result, rows);
        });
    })
}

/// The sizes `[batch, in, out]` of a layer.
fn sizes(x: &Tensor, weight: &Tensor) -> Result<[usize; 3]> {
    match (x.dims(), weight.dims()) {
        (&[batch, inputs], &[outputs, w]) if w == inputs && batch * inputs * outputs > 0 => {
            Ok([batch, inputs, outputs])
        }
        (x, weight) => bail!("linear: an input of {x:?} for a weight of {weight:?}, which is [out, in]"),
    }
}

/// `[batch, out]` from `x` `[batch, in]`, `weight` `[out, in]` and, if there is one, `bias` `[out]`.
///
/// # Errors
/// If the shapes do not fit or are empty, or the device or type is not supported.
pub(crate) fn forward(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let [_, _, outputs] = sizes(&x, &weight)?;
    if let Some(bias) = bias.filter(|bias| bias.dims() != [outputs]) {
        bail!("linear: a bias of {:?} for {outputs} outputs", bias.dims());
    }
    let bias = bias.map(Tensor::contiguous).transpose()?;
    let bias = bias.as_ref();
    on_device!("linear", &x, forward_gpu(&x, &weight, bias), forward_host(&x, &weight, bias))
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
    let [batch, inputs, outputs] = sizes(x, weight)?;
    let (x, weight) = (elements::<T>(x)?, elements::<T>(weight)?);
    let (a, b) = (Matrix::row_major(&x, inputs), Matrix::row_major(&weight, inputs).transposed());
    let mut y = product([batch, outputs, inputs], a, b);
    if let Some(bias) = bias {
        let bias = elements::<T>(bias)?;
        for row in y.chunks_exact_mut(outputs) {
            for (y, bias) in row.iter_mut().zip(&*bias) {
                *y += *bias;
            }
        }
    }
    tensor(y, &[batch, outputs])
}

/// Gradients of [`forward`]; none where none was asked for.
pub(crate) struct LinearGradients {
    /// With respect to the input, `[batch, in]`.
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
    let [batch, _, outputs] = sizes(&x, &weight)?;
    if gradient.dims() != [batch, outputs] {
        bail!("linear: a gradient of {:?} for an output of {:?}", gradient.dims(), [batch, outputs]);
    }
    on_device!(
        "linear",
        &x,
        backward_gpu(&x, &weight, &gradient, wanted),
        backward_host(&x, &weight, &gradient, wanted)
    )
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
    wanted: [bool; 3],
) -> Result<LinearGradients> {
    let [batch, inputs, outputs] = sizes(x, weight)?;
    let (x, weight, gradient) = (elements::<T>(x)?, elements::<T>(weight)?, elements::<T>(gradient)?);
    let [wants_x, wants_weight, wants_bias] = wanted;
    let dx = || {
        let (a, b) = (Matrix::row_major(&gradient, outputs), Matrix::row_major(&weight, inputs));
        tensor(product([batch, inputs, outputs], a, b), &[batch, inputs])
    };
    let dw = || {
        let (a, b) = (Matrix::row_major(&gradient, outputs).transposed(), Matrix::row_major(&x, inputs));
        tensor(product([outputs, inputs, batch], a, b), &[outputs, inputs])
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
        for row in matrix.chunks_exact(columns) {
            for (wide, value) in wide.iter_mut().zip(&row[index * COLUMNS..]) {
                *wide += value.widen();
            }
        }
        for (sum, wide) in sums.iter_mut().zip(wide) {
            *sum = T::narrow(wide);
        }
    });
    sums
}

impl Tape<'_> {
    /// The linear layer with the parameters `weight` `[out, in]` and, if given, `bias` `[out]` on `x` `[batch, in]`:
    /// `[batch, out]`, as PyTorch's `nn.Linear`.
    ///
    /// # Errors
    /// If a parameter is missing, the shapes do not fit or are empty, or the device or type is not supported.
    pub fn linear(&self, x: &Value, weight: &str, bias: Option<&str>) -> Result<Value> {
        let weight = self.parameter(weight)?;
        let bias = bias.map(|name| self.parameter(name)).transpose()?;
        let [batch, _, outputs] = sizes(x.tensor(), weight.tensor())?;
        let compute = || forward(x.tensor(), weight.tensor(), bias.as_ref().map(Value::tensor));
        let output = self.output(&[batch, outputs], || Err("linear"), compute)?;
        let (saved_x, saved_weight) = (self.save(x), weight.tensor().clone());
        let inputs: Vec<&Value> = [x, &weight].into_iter().chain(bias.as_ref()).collect();
        Ok(self.record(output, &inputs, move |gradient, wanted| {
            let wanted = [0, 1, 2].map(|input| wanted.get(input).copied().unwrap_or(false));
            let LinearGradients { x, weight, bias } = backward(&saved_x.tensor()?, &saved_weight, gradient, wanted)?;
            Ok(vec![x, weight, bias])
        }))
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
