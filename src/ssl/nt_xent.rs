//! NT-Xent: the normalised, temperature-scaled cross-entropy loss of SimCLR (Chen et al. 2020, Eq. 1).

use candle_core::{D, DType, Result, Tensor};

/// What the contrast of a batch says.
pub struct NtXent {
    /// A scalar.
    pub loss: Tensor,
    /// The share of views whose nearest other view in the batch, by cosine, is their partner. 1/(2·batch − 1) is chance,
    /// and what any collapse comes to.
    pub retrieval: f64,
}

/// Each row divided by its Euclidean length; a row of zeros stays zero.
///
/// `embedding` is `[batch, dimensions]`. The 1e-12 is that of `torch.nn.functional.normalize`, added under the root so
/// that the gradient is finite everywhere.
pub(crate) fn normalize(embedding: &Tensor) -> Result<Tensor> {
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
pub fn nt_xent(first: &Tensor, second: &Tensor, temperature: f64) -> Result<NtXent> {
    let pairs = first.dim(0)?;
    let (first, second) = (normalize(first)?, normalize(second)?);
    let positive = ((&first * &second)?.sum(D::Minus1)? / temperature)?;
    let positive = Tensor::cat(&[&positive, &positive], 0)?;

    let all = Tensor::cat(&[&first, &second], 0)?;
    let similarity = (all.matmul(&all.t()?)? / temperature)?;
    // An embedding is no candidate for itself: exp(-1e30) is 0, and so is its derivative.
    let own = (Tensor::eye(2 * pairs, similarity.dtype(), similarity.device())? * -1e30)?;
    let similarity = (similarity + own)?;
    let retrieval = retrieval(&similarity)?;
    // The shift cancels in the result, so it takes no part in the gradient (candle's max gives ties too much).
    let shift = similarity.max_keepdim(D::Minus1)?.detach();
    let log_sum = similarity.broadcast_sub(&shift)?.exp()?.sum(D::Minus1)?.log()?;
    let loss = ((log_sum + shift.squeeze(D::Minus1)?)? - positive)?.mean_all()?;
    Ok(NtXent { loss, retrieval })
}

/// The share of rows of `similarity` (`[2·batch, 2·batch]`, the diagonal below all else) whose largest entry is their
/// partner's, half the rows further on. Of k equal largest ones the partner counts 1/k.
fn retrieval(similarity: &Tensor) -> Result<f64> {
    let rows: Vec<Vec<f64>> = similarity.detach().to_dtype(DType::F64)?.to_vec2()?;
    let count = rows.len();
    let found = rows.iter().enumerate().map(|(i, row)| {
        let partner = row[(i + count / 2) % count];
        if row.iter().any(|&other| other > partner) {
            0.0
        } else {
            1.0 / row.iter().filter(|&&other| other == partner).count().max(1) as f64
        }
    });
    Ok(found.sum::<f64>() / count as f64)
}

/// How far embeddings are spread: the standard deviation of each coordinate of the normalised embeddings over the
/// batch, averaged over the coordinates. 0 means collapse to a point; 1/√dimensions is the spread of a uniform sphere
/// (Chen & He 2021, *SimSiam*, section 4.1).
///
/// It is blind to a collapse onto a line: behind a head that ends in batch norm such embeddings are ±v and as spread as
/// those of a sphere. [`NtXent::retrieval`] sees it.
///
/// `embedding` is `[batch, dimensions]`.
pub(crate) fn embedding_std(embedding: &Tensor) -> Result<f64> {
    let rows = normalize(&embedding.detach())?.to_dtype(DType::F64)?;
    let deviation = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
    deviation.sqr()?.mean(0)?.sqrt()?.mean_all()?.to_scalar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;
    use candle_core::{Device, Var};

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
        let loss: f64 = nt_xent(&first, &second, 0.5).unwrap().loss.to_scalar().unwrap();
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
        let loss: f64 = nt_xent(&first, &second, temperature).unwrap().loss.to_scalar().unwrap();
        assert!((loss - by_loops).abs() < 1e-10, "{loss} {by_loops}");
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let (first, second) =
            (Var::from_tensor(&random(3, 4, 2)).unwrap(), Var::from_tensor(&random(3, 4, 3)).unwrap());
        let gradients = nt_xent(&first, &second, 0.2).unwrap().loss.backward().unwrap();
        for (var, other, swapped) in [(&first, &second, false), (&second, &first, true)] {
            let gradient: Vec<f64> = gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let value: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
            for (i, analytic) in gradient.iter().enumerate() {
                let at = |step: f64| -> f64 {
                    let mut moved = value.clone();
                    moved[i] += step;
                    let moved = Tensor::from_vec(moved, (3, 4), &Device::Cpu).unwrap();
                    let (a, b) = if swapped { (other.as_tensor(), &moved) } else { (&moved, other.as_tensor()) };
                    nt_xent(a, b, 0.2).unwrap().loss.to_scalar().unwrap()
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((analytic - numeric).abs() < 1e-8, "{i}: {analytic} {numeric}");
            }
        }
    }

    #[test]
    fn no_overflow_in_float32_at_a_small_temperature() {
        let first = random(4, 8, 4).to_dtype(DType::F32).unwrap();
        let loss: f32 = nt_xent(&first, &first.neg().unwrap(), 0.005).unwrap().loss.to_scalar().unwrap();
        assert!(loss.is_finite() && loss > 200.0, "{loss}");
        let zeros = Var::zeros((4, 8), DType::F32, &Device::Cpu).unwrap();
        let loss = nt_xent(&zeros, &zeros, 0.07).unwrap().loss;
        assert!((loss.to_scalar::<f32>().unwrap() - 7f32.ln()).abs() < 1e-6);
        let gradients = loss.backward().unwrap();
        let gradient: Vec<f32> = gradients.get(&zeros).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
    }

    #[test]
    fn spread_is_zero_after_collapse_and_near_one_over_root_d_on_a_sphere() {
        let row = random(1, 16, 5);
        let collapsed = row.broadcast_as((64, 16)).unwrap().contiguous().unwrap();
        assert!(embedding_std(&collapsed).unwrap() < 1e-12);
        let spread = embedding_std(&random(4096, 16, 6)).unwrap();
        assert!((spread - 0.25).abs() < 5e-3, "{spread}");
    }

    #[test]
    fn retrieval_is_one_for_pairs_alike_and_about_chance_after_a_collapse_that_the_spread_cannot_see() {
        let retrieval = |first: &Tensor, second: &Tensor| nt_xent(first, second, 0.1).unwrap().retrieval;
        let views = random(32, 16, 7);
        assert_eq!(retrieval(&views, &(&views * 3.0).unwrap()), 1.0);
        assert!(retrieval(&views, &random(32, 16, 8)) < 0.15);
        let point = Tensor::ones((32, 16), DType::F64, &Device::Cpu).unwrap();
        assert!((retrieval(&point, &point) - 1.0 / 63.0).abs() < 1e-12);
        // Rank one: each row is ±v, half of them each.
        let signs: Vec<f64> = (0..32).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let line = point.broadcast_mul(&Tensor::from_vec(signs, (32, 1), &Device::Cpu).unwrap()).unwrap();
        assert!(embedding_std(&line).unwrap() > 0.24);
        assert!(retrieval(&line, &line) < 0.05);
    }
}
