//! How far a tensor is from PyTorch's.

use crate::bound::{ROUNDING, Sums, limit_here};
use crate::fixture::{Kept, Tensors};
use crate::hashed::{Uniform, in_pytorch};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::Role;
use std::collections::BTreeMap;

/// A tensor in float64 and float32, of one or several draws of the inputs.
pub(crate) struct Pair {
    /// The first draw's in float64.
    exact: Vec<f64>,
    shape: Vec<usize>,
    /// Decides the layout.
    role: Role,
    /// Relative errors of float32, one a draw.
    errors: Vec<f64>,
}

impl Pair {
    pub(crate) fn new(exact: &Tensor, single: &Tensor, role: Role) -> Result<Self> {
        let shape = exact.dims().to_vec();
        let exact = exact.flatten_all()?.to_vec1::<f64>()?;
        let single = single.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        let norm = root(exact.iter().copied());
        let error = root(exact.iter().zip(&single).map(|(exact, single)| exact - single));
        let errors = vec![if norm > 0.0 { error / norm } else { error }];
        Ok(Pair { exact, shape, role, errors })
    }

    /// Takes up the error of a further draw.
    pub(crate) fn also(&mut self, other: Pair) {
        self.errors.extend(other.errors);
    }

    fn error(&self) -> f64 {
        root(self.errors.iter().copied()) / (self.errors.len() as f64).sqrt()
    }
}

/// By the name in the fixture.
pub(crate) type Pairs = BTreeMap<String, Pair>;

/// One tensor beside PyTorch's.
#[derive(Clone)]
pub(crate) struct Measured {
    /// Case and name.
    pub(crate) name: String,
    /// Of float64: how far norm and projections are off, relative to the norm.
    pub(crate) float64: f64,
    /// ‖float32 − float64‖ ÷ ‖float64‖ here.
    pub(crate) ours: f64,
    /// The same in PyTorch.
    pub(crate) theirs: f64,
    /// The largest ratio that is allowed.
    pub(crate) limit: f64,
}

impl Measured {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.theirs.max(ROUNDING)
    }

    /// Of the ratio to what is allowed.
    pub(crate) fn share(&self) -> f64 {
        self.ratio() / self.limit
    }
}

/// Compares every tensor of `expected`, none left out on either side; `sums` says what is summed for a tensor's elements.
///
/// # Panics
/// If the tensors have other names than those of `expected`.
pub(crate) fn compare(case: &str, pairs: &Pairs, expected: &Tensors, sums: impl Fn(&str) -> Sums) -> Vec<Measured> {
    assert_eq!(
        pairs.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{case}: which tensors there are"
    );
    pairs.iter().map(|(name, pair)| measured(case, name, pair, &expected[name], sums(name))).collect()
}

fn measured(case: &str, name: &str, pair: &Pair, kept: &Kept, sums: Sums) -> Measured {
    let [expected, projections @ .., theirs] = &kept[..] else { panic!("{case} {name}: {kept:?}") };
    let mut differences = vec![root(pair.exact.iter().copied()) - expected];
    for (number, projection) in (1..).zip(projections) {
        let direction = Uniform::new(&format!("{name}#{number}"));
        let found: f64 = match (pair.role, &pair.shape[..]) {
            (Role::ConvWeight, &[height, width, channels_in, channels_out]) => {
                let places = in_pytorch([height, width, channels_in, channels_out]);
                pair.exact.iter().zip(places).map(|(value, place)| value * direction.at(place)).sum()
            }
            _ => pair.exact.iter().enumerate().map(|(place, value)| value * direction.at(place)).sum(),
        };
        differences.push(found - projection);
    }
    let scale = if *expected > 0.0 { *expected } else { 1.0 };
    // A sum of squares keeps a NaN; a maximum would lose it.
    let float64 = root(differences.into_iter()) / scale;
    let limit = limit_here(sums, *theirs);
    Measured { name: format!("{case} {name}"), float64, ours: pair.error(), theirs: *theirs, limit }
}

fn root(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
