//! Quality measures of embeddings, the same for every method: their distribution on the sphere.

use super::nt_xent::normalize;
use candle_core::{DType, Device, Result, Tensor};

/// Below this part of the spread of a uniform sphere embeddings have collapsed to a point: float32 itself spreads a point
/// by some 1e-7 of it.
const COLLAPSE: f64 = 1e-3;

/// How the embeddings of a batch of two views lie, all divided by their lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// The standard deviation of each coordinate of the first view over the batch, averaged over the coordinates. 0 means
    /// collapse to a point; 1/√dimensions is the spread of a uniform sphere (Chen & He 2021, *SimSiam*, section 4.1).
    ///
    /// It is blind to a collapse onto a line: behind a head that ends in batch norm such embeddings are ±v and as spread as
    /// those of a sphere; and to features that differ by next to nothing, which batch norms blow up again. `retrieval` and
    /// `uniformity` see either.
    pub embedding_std: f64,
    /// The share of views whose nearest other view in the batch is their partner: 1/(2·batch − 1) is chance, and collapse.
    pub retrieval: f64,
    /// Mean squared distance of the two views of an image (Wang & Isola 2020, Eq. 3 with α = 2): 0 is best, 2 is chance.
    pub alignment: f64,
    /// Logarithm of the mean of exp(−2 · squared distance) over the pairs of a view, averaged over the two views (Eq. 5 with
    /// t = 2): the lower the better spread; 0 is collapse to a point.
    pub uniformity: f64,
    /// Of the embeddings.
    dimensions: usize,
}

impl Watch {
    /// Columns of the history.
    pub const COLUMNS: [&'static str; 4] = ["embedding_std", "retrieval", "alignment", "uniformity"];

    /// Of two views' embeddings, `[batch, dimensions]` each.
    ///
    /// # Errors
    /// If the shapes differ or are not of two dimensions.
    pub fn new([first, second]: &[Tensor; 2]) -> Result<Self> {
        let rows = |view: &Tensor| normalize(&view.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?);
        let (first, second) = (rows(first)?, rows(second)?);
        let (batch, dimensions) = first.dims2()?;
        let all = Tensor::cat(&[&first, &second], 0)?;
        let cosines: Vec<Vec<f64>> = all.matmul(&all.t()?)?.to_vec2()?;
        let deviation = first.broadcast_sub(&first.mean_keepdim(0)?)?;
        let distance = |i: usize, j: usize| 2.0 - 2.0 * cosines[i][j];
        let uniformity = |from: usize| {
            let pairs = (from..from + batch).flat_map(|i| (from..i).map(move |j| (i, j)));
            let (sum, count) =
                pairs.fold((0.0, 0u32), |(sum, count), (i, j)| (sum + (-2.0 * distance(i, j)).exp(), count + 1));
            (sum / f64::from(count)).ln()
        };
        Ok(Watch {
            embedding_std: deviation.sqr()?.mean(0)?.sqrt()?.mean_all()?.to_scalar()?,
            retrieval: retrieval(&cosines),
            alignment: (0..batch).map(|i| distance(i, i + batch)).sum::<f64>() / batch as f64,
            uniformity: (uniformity(0) + uniformity(batch)) / 2.0,
            dimensions,
        })
    }

    /// In the order of [`Watch::COLUMNS`].
    pub fn values(&self) -> [f64; 4] {
        [self.embedding_std, self.retrieval, self.alignment, self.uniformity]
    }

    /// What to say if all images have come to one point: nothing more can be learnt then.
    pub fn collapsed(&self) -> Option<String> {
        let sphere = 1.0 / (self.dimensions as f64).sqrt();
        (self.embedding_std < COLLAPSE * sphere).then(|| {
            format!(
                "all images have the same embedding (its standard deviation over the batch is {:.1e}; {sphere:.2} is that of \
                 a uniform sphere): the representation has collapsed; try a lower learning rate, a larger batch or stronger \
                 `views`, and look whether the patches differ at all",
                self.embedding_std
            )
        })
    }
}

/// The share of rows whose largest entry off the diagonal is their partner's, half the rows further on. Of k equal largest
/// ones the partner counts 1/k.
fn retrieval(cosines: &[Vec<f64>]) -> f64 {
    let count = cosines.len();
    let found = cosines.iter().enumerate().map(|(i, row)| {
        let partner = row[(i + count / 2) % count];
        let others = || row.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, &cosine)| cosine);
        if others().any(|other| other > partner) {
            0.0
        } else {
            1.0 / others().filter(|&other| other == partner).count().max(1) as f64
        }
    });
    found.sum::<f64>() / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_base::random::Stream;

    fn random(rows: usize, columns: usize, index: u64) -> Tensor {
        let mut stream = Stream::new(5, "watch test", 0, index);
        let values: Vec<f64> = (0..rows * columns).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
    }

    fn watch(first: &Tensor, second: &Tensor) -> Watch {
        Watch::new(&[first.clone(), second.clone()]).unwrap()
    }

    #[test]
    fn a_case_worked_by_hand() {
        // Two images at right angles; the second view of the first lies where it should, that of the other opposite.
        let first = Tensor::new(&[[3f64, 0.], [0., 0.5]], &Device::Cpu).unwrap();
        let second = Tensor::new(&[[1f64, 0.], [0., -7.]], &Device::Cpu).unwrap();
        let found = watch(&first, &second);
        assert!((found.alignment - 2.0).abs() < 1e-12, "(0 + 4) / 2: {found:?}");
        assert!((found.uniformity + 4.0).abs() < 1e-12, "one pair, squared distance 2: {found:?}");
        assert!((found.embedding_std - 0.5).abs() < 1e-12, "{found:?}");
        // The rows 1 and 3 find their partner; 2 and 4 have both others before it.
        assert_eq!(found.retrieval, 0.5);
    }

    #[test]
    fn a_point_has_no_spread_and_a_sphere_one_over_root_d() {
        let point = random(1, 16, 5).broadcast_as((64, 16)).unwrap().contiguous().unwrap();
        let collapsed = watch(&point, &point);
        assert!(collapsed.embedding_std < 1e-12 && collapsed.uniformity.abs() < 1e-12);
        assert!((collapsed.retrieval - 1.0 / 127.0).abs() < 1e-12);
        assert!(collapsed.collapsed().unwrap().contains("0.25 is that of a uniform sphere"));
        let sphere = watch(&random(512, 16, 6), &random(512, 16, 7));
        assert!((sphere.embedding_std - 0.25).abs() < 5e-3 && sphere.collapsed().is_none(), "{sphere:?}");
        assert!((sphere.alignment - 2.0).abs() < 0.1 && sphere.retrieval < 0.02, "{sphere:?}");
    }

    #[test]
    fn a_collapse_onto_a_line_shows_in_retrieval_and_uniformity_alone() {
        let signs: Vec<f64> = (0..32).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let point = Tensor::ones((32, 16), DType::F64, &Device::Cpu).unwrap();
        let line = point.broadcast_mul(&Tensor::from_vec(signs, (32, 1), &Device::Cpu).unwrap()).unwrap();
        let found = watch(&line, &line);
        assert!(found.embedding_std > 0.24 && found.retrieval < 0.05 && found.uniformity > -0.8, "{found:?}");
        let views = random(32, 16, 8);
        let right = watch(&views, &(&views * 3.0).unwrap());
        assert!(right.retrieval == 1.0 && right.alignment < 1e-12 && right.uniformity < -3.0, "{right:?}");
    }
}
