//! NT-Xent: the normalised, temperature-scaled cross-entropy loss of SimCLR (Chen et al. 2020, Eq. 1).

use candle_core::{D, Result, Tensor};

/// Each row divided by its Euclidean length; a row of zeros stays zero.
///
/// `embedding` is `[…, dimensions]`. The 1e-12 is that of `torch.nn.functional.normalize`, added under the root so
/// that the gradient is finite everywhere.
pub fn normalize(embedding: &Tensor) -> Result<Tensor> {
    let length = (embedding.sqr()?.sum_keepdim(D::Minus1)? + 1e-24)?.sqrt()?;
    embedding.broadcast_div(&length)
}

/// The loss of a batch of pairs: mean over all 2·batch embeddings of
/// −log( exp(sim(z, z⁺)/τ) / Σ_{k≠z} exp(sim(z, z_k)/τ) ), with the cosine as similarity.
///
/// `first` and `second` are `[batch, dimensions]`, row i of each a view of the same image; they need not be
/// normalised. As in `lightly.loss.NTXentLoss` without a memory bank.
///
/// # Errors
/// If the shapes differ or are not of two dimensions.
pub fn nt_xent(first: &Tensor, second: &Tensor, temperature: f64) -> Result<Tensor> {
    let pairs = first.dim(0)?;
    let (first, second) = (normalize(first)?, normalize(second)?);
    let positive = ((&first * &second)?.sum(D::Minus1)? / temperature)?;
    let positive = Tensor::cat(&[&positive, &positive], 0)?;

    let all = Tensor::cat(&[&first, &second], 0)?;
    let similarity = (all.matmul(&all.t()?)? / temperature)?;
    // An embedding is no candidate for itself: exp(-1e30) is 0, and so is its derivative.
    let own = (Tensor::eye(2 * pairs, similarity.dtype(), similarity.device())? * -1e30)?;
    let similarity = (similarity + own)?;
    // The shift cancels in the result, so it takes no part in the gradient (candle's max gives ties too much).
    let shift = similarity.max_keepdim(D::Minus1)?.detach();
    let log_sum = similarity.broadcast_sub(&shift)?.exp()?.sum(D::Minus1)?.log()?;
    ((log_sum + shift.squeeze(D::Minus1)?)? - positive)?.mean_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};
    use matssl_base::random::Stream;

    fn random(rows: usize, columns: usize, index: u64) -> Tensor {
        let mut stream = Stream::new(5, "nt_xent test", 0, index);
        let values: Vec<f64> = (0..rows * columns).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    #[test]
    fn a_case_worked_by_hand() {
        // Two pairs, identical within, orthogonal across, lengths that must not matter, τ = 0.5: every row sees
        // similarities 1/τ = 2 (its partner), 0, 0, so the loss is ln(e² + 2) − 2.
        let first = Tensor::new(&[[3f64, 0.], [0., 0.5]], &Device::Cpu).unwrap();
        let second = Tensor::new(&[[1f64, 0.], [0., 7.]], &Device::Cpu).unwrap();
        let loss: f64 = nt_xent(&first, &second, 0.5).unwrap().to_scalar().unwrap();
        let by_hand = (2f64.exp() + 2.0).ln() - 2.0;
        assert!((loss - by_hand).abs() < 1e-12, "{loss} {by_hand}");
    }

    #[test]
    fn agrees_with_the_definition_written_as_loops() {
        let (first, second, temperature) = (random(5, 7, 0), random(5, 7, 1), 0.07);
        let all: Vec<Vec<f64>> = normalize(&Tensor::cat(&[&first, &second], 0).unwrap()).unwrap().to_vec2().unwrap();
        let dot = |a: usize, b: usize| all[a].iter().zip(&all[b]).map(|(x, y)| x * y).sum::<f64>() / temperature;
        let mut by_loops = 0.0;
        for i in 0..10 {
            let others: f64 = (0..10).filter(|&k| k != i).map(|k| dot(i, k).exp()).sum();
            by_loops += (others.ln() - dot(i, (i + 5) % 10)) / 10.0;
        }
        let loss: f64 = nt_xent(&first, &second, temperature).unwrap().to_scalar().unwrap();
        assert!((loss - by_loops).abs() < 1e-10, "{loss} {by_loops}");
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let (first, second) =
            (Var::from_tensor(&random(3, 4, 2)).unwrap(), Var::from_tensor(&random(3, 4, 3)).unwrap());
        let gradients = nt_xent(&first, &second, 0.2).unwrap().backward().unwrap();
        for (var, other, swapped) in [(&first, &second, false), (&second, &first, true)] {
            let gradient: Vec<f64> = gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let value: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
            for (i, analytic) in gradient.iter().enumerate() {
                let at = |step: f64| -> f64 {
                    let mut moved = value.clone();
                    moved[i] += step;
                    let moved = Tensor::from_vec(moved, (3, 4), &Device::Cpu).unwrap();
                    let (a, b) = if swapped { (other.as_tensor(), &moved) } else { (&moved, other.as_tensor()) };
                    nt_xent(a, b, 0.2).unwrap().to_scalar().unwrap()
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((analytic - numeric).abs() < 1e-8, "{i}: {analytic} {numeric}");
            }
        }
    }

    #[test]
    fn no_overflow_in_float32_at_a_small_temperature() {
        let first = random(4, 8, 4).to_dtype(DType::F32).unwrap();
        let loss: f32 = nt_xent(&first, &first.neg().unwrap(), 0.005).unwrap().to_scalar().unwrap();
        assert!(loss.is_finite() && loss > 200.0, "{loss}");
        let zeros = Var::zeros((4, 8), DType::F32, &Device::Cpu).unwrap();
        let loss = nt_xent(&zeros, &zeros, 0.07).unwrap();
        assert!((loss.to_scalar::<f32>().unwrap() - 7f32.ln()).abs() < 1e-6);
        let gradients = loss.backward().unwrap();
        let gradient: Vec<f32> = gradients.get(&zeros).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}
