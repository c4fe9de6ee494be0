//! Contrast with a queue of earlier keys (He et al. 2020, *MoCo*, section 3.2).

use super::method::Moment;
use super::nt_xent::normalize;
use candle_core::{D, DType, Result, Tensor, bail};
use matssl_base::random::Stream;
use matssl_tensor::{Parameters, Role};
use std::num::NonZeroUsize;

/// Similarities in memory at once: 16 MiB in float32, and some copies.
const AT_ONCE: usize = 1 << 22;
/// Memory of [`info_nce`], in bytes: similarities, their shifted copies and exponentials.
pub(crate) const WORKING_BYTES: u64 = 4 * 4 * AT_ONCE as u64;

/// Keys of earlier batches, `[size, dimensions]`, each of length 1; a buffer, so that it is in every checkpoint.
#[derive(Debug)]
pub(crate) struct Queue {
    name: &'static str,
    size: usize,
}

impl Queue {
    /// Inserts the buffer `name`, filled with random directions as MoCo does.
    ///
    /// # Errors
    /// If the name is taken.
    pub(crate) fn init(
        name: &'static str,
        [size, dimensions]: [NonZeroUsize; 2],
        parameters: &mut Parameters,
        stream: &Stream,
    ) -> Result<Self> {
        let (size, dimensions) = (size.get(), dimensions.get());
        let mut stream = stream.clone();
        let values: Vec<f64> = (0..size * dimensions).map(|_| stream.normal()).collect();
        let rows = Tensor::from_vec(values, (size, dimensions), parameters.device())?;
        parameters.insert(name, normalize(&rows)?.to_dtype(parameters.dtype())?, Role::Buffer)?;
        Ok(Queue { name, size })
    }

    /// All keys, `[size, dimensions]`; [`Queue::push`] changes them in place.
    ///
    /// # Errors
    /// If the buffer is missing.
    pub(crate) fn keys(&self, parameters: &Parameters) -> Result<Tensor> {
        Ok(parameters.get(self.name)?.var.as_detached_tensor())
    }

    /// Replaces the oldest keys by `keys` (`[rows, dimensions]`, of length 1, as many in every step). If there are more than the
    /// queue holds, the last are taken. The position follows from the number of the step, so no pointer is stored.
    ///
    /// # Errors
    /// If the buffer is missing or of other dimensions.
    pub(crate) fn push(&self, parameters: &Parameters, keys: &Tensor, moment: Moment) -> Result<()> {
        let (queue, rows) = (self.keys(parameters)?, keys.dim(0)?);
        let taken = rows.min(self.size);
        let keys = keys.detach().narrow(0, rows - taken, taken)?.contiguous()?;
        let first = (moment.step as u128 * taken as u128 % self.size as u128) as usize;
        let until_the_end = taken.min(self.size - first);
        queue.slice_set(&keys.narrow(0, 0, until_the_end)?.contiguous()?, 0, first)?;
        if until_the_end < taken {
            queue.slice_set(&keys.narrow(0, until_the_end, taken - until_the_end)?.contiguous()?, 0, 0)?;
        }
        Ok(())
    }
}

/// InfoNCE (van den Oord et al. 2018; MoCo, Eq. 1): mean over the rows of
/// −log( exp(q·k/τ) / (exp(q·k/τ) + Σ exp(q·n/τ)) ), n over all `negatives`.
///
/// `queries` `[rows, dimensions]` need not be normalised, and carry the gradient; `keys` `[rows, dimensions]` and
/// `negatives` `[size, dimensions]` have length 1 and carry none. The similarities with the queue are not stored: value and
/// gradient are computed together, a few rows at a time. As `lightly.loss.NTXentLoss` with a memory bank.
///
/// # Errors
/// If the shapes do not fit.
pub(crate) fn info_nce(queries: &Tensor, keys: &Tensor, negatives: &Tensor, temperature: f64) -> Result<Tensor> {
    let normalized = normalize(queries)?;
    let (rows, size) = (queries.dim(0)?, negatives.dim(0)?);
    if keys.dims() != queries.dims() {
        bail!("info_nce: keys of {:?} for queries of {:?}", keys.dims(), queries.dims());
    }
    let (exact, negatives, keys) = (normalized.detach(), negatives.detach(), keys.detach());
    let transposed = negatives.t()?;
    let (mut sums, mut gradients) = (Vec::new(), Vec::new());
    let piece = (AT_ONCE / size).max(1);
    for first in (0..rows).step_by(piece) {
        let piece = piece.min(rows - first);
        let (queries, keys) = (exact.narrow(0, first, piece)?, keys.narrow(0, first, piece)?);
        let positive = ((&queries * &keys)?.sum_keepdim(D::Minus1)? / temperature)?;
        let others = (queries.contiguous()?.matmul(&transposed)? / temperature)?;
        let shift = others.max_keepdim(D::Minus1)?.maximum(&positive)?;
        let own = (&positive - &shift)?.exp()?;
        let others = others.broadcast_sub(&shift)?.exp()?;
        let total = (others.sum_keepdim(D::Minus1)? + &own)?;
        let losses = ((total.log()? + shift)? - positive)?;
        sums.push(losses.to_dtype(DType::F64)?.sum_all()?.reshape(1)?);
        // Σ p·n + (p₊ − 1)·k, over τ.
        let pulled = others.matmul(&negatives)?.broadcast_div(&total)?;
        let pushed = keys.broadcast_mul(&((own / &total)? - 1.0)?)?;
        gradients.push(((pulled + pushed)? / (temperature * rows as f64))?);
    }
    // Not read here: a GPU would be waited for.
    let value = (Tensor::cat(&sums, 0)?.sum_all()? / rows as f64)?;
    with_gradient(&normalized, &Tensor::cat(&gradients, 0)?, &value)
}

/// A scalar of this value (float64) whose gradient with respect to `at` is `gradient`.
fn with_gradient(at: &Tensor, gradient: &Tensor, value: &Tensor) -> Result<Tensor> {
    let linear = (at * gradient)?.sum_all()?;
    let rest = (value - linear.detach().to_dtype(DType::F64)?)?.to_dtype(linear.dtype())?;
    linear + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    const DIMENSIONS: usize = 5;

    fn rows(count: usize, index: u64) -> Tensor {
        let mut stream = Stream::new(5, "queue test", 0, index);
        let values: Vec<f64> = (0..count * DIMENSIONS).map(|_| stream.normal()).collect();
        normalize(&Tensor::from_vec(values, (count, DIMENSIONS), &Device::Cpu).unwrap()).unwrap()
    }

    fn queue(size: usize) -> (Queue, Parameters) {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let sizes = [size, DIMENSIONS].map(|size| NonZeroUsize::new(size).unwrap());
        let queue = Queue::init("queue", sizes, &mut parameters, &Stream::new(1, "queue", 0, 0)).unwrap();
        (queue, parameters)
    }

    #[test]
    fn new_keys_replace_the_oldest() -> Result<()> {
        let (queue, parameters) = queue(7);
        for step in 0..9 {
            queue.push(&parameters, &rows(3, step), Moment { step, steps: 9, seed: 0 })?;
        }
        // 27 keys were pushed; the places 0 to 5 were written by the 22nd to 27th, the last by the 21st.
        let pushed: Vec<Vec<f64>> = (0..9).flat_map(|step| rows(3, step).to_vec2::<f64>().unwrap()).collect();
        let expected: Vec<_> = [21, 22, 23, 24, 25, 26, 20].map(|key: usize| pushed[key].clone()).into();
        assert_eq!(queue.keys(&parameters)?.to_vec2::<f64>()?, expected);
        // More than it holds: the last.
        let many = rows(9, 99);
        queue.push(&parameters, &many, Moment { step: 1, steps: 2, seed: 0 })?;
        assert_eq!(queue.keys(&parameters)?.to_vec2::<f64>()?, many.to_vec2::<f64>()?[2..]);
        Ok(())
    }

    #[test]
    fn a_queue_begins_with_directions_of_length_one() -> Result<()> {
        let (queue, parameters) = queue(40);
        let lengths = queue.keys(&parameters)?.sqr()?.sum(1)?.to_vec1::<f64>()?;
        assert!(lengths.iter().all(|length| (length - 1.0).abs() < 1e-12));
        Ok(())
    }

    /// The definition, written as loops.
    #[test]
    fn the_loss_is_its_definition() -> Result<()> {
        let (queries, keys, negatives, temperature) = ((rows(6, 1) * 3.0)?, rows(6, 2), rows(11, 3), 0.2);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() / temperature;
        let (q, k, n) = (normalize(&queries)?.to_vec2()?, keys.to_vec2()?, negatives.to_vec2()?);
        let one = |i: usize| {
            let own = dot(&q[i], &k[i]);
            (own.exp() + n.iter().map(|n| dot(&q[i], n).exp()).sum::<f64>()).ln() - own
        };
        let by_loops = (0..6).map(one).sum::<f64>() / 6.0;
        let found: f64 = info_nce(&queries, &keys, &negatives, temperature)?.to_scalar()?;
        assert!((found - by_loops).abs() < 1e-13, "{found} {by_loops}");
        Ok(())
    }

    #[test]
    fn its_gradient_agrees_with_finite_differences_over_several_pieces() -> Result<()> {
        let (keys, negatives) = (rows(5, 2), rows(AT_ONCE / 2, 3));
        let queries = Var::from_tensor(&(rows(5, 1) * 2.0)?)?;
        let loss = |queries: &Tensor| info_nce(queries, &keys, &negatives, 0.3);
        let gradient = loss(&queries)?.backward()?.get(&queries).unwrap().flatten_all()?.to_vec1::<f64>()?;
        let value = queries.flatten_all()?.to_vec1::<f64>()?;
        for i in [0, 7, 24] {
            let at = |step: f64| -> Result<f64> {
                let mut moved = value.clone();
                moved[i] += step;
                loss(&Tensor::from_vec(moved, (5, DIMENSIONS), &Device::Cpu)?)?.to_scalar()
            };
            let numeric = (at(1e-5)? - at(-1e-5)?) / 2e-5;
            assert!((gradient[i] - numeric).abs() < 1e-8, "{i}: {} {numeric}", gradient[i]);
        }
        Ok(())
    }

    #[test]
    fn no_overflow_in_float32_at_a_small_temperature() -> Result<()> {
        let single = |tensor: Tensor| tensor.to_dtype(DType::F32);
        let (queries, negatives) = (single(rows(4, 1))?, single(rows(8, 2))?);
        let loss = info_nce(&queries, &queries.neg()?, &negatives, 0.005)?.to_scalar::<f32>()?;
        assert!(loss.is_finite() && loss > 200.0, "{loss}");
        Ok(())
    }
}
