//! How far a tensor is from PyTorch's, and how far it may be.

use crate::fixture::{Kept, Tensors};
use crate::hashed::{Uniform, in_pytorch};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::Role;
use std::collections::BTreeMap;

/// Of float64 against PyTorch's float64, relative to the tensor's norm.
pub(crate) const FLOAT64: f64 = 1e-8;
/// Of our float32's error to PyTorch's.
pub(crate) const RATIO: f64 = 2.0;
/// An error of PyTorch's below half a unit in the last place counts as that: it is luck.
const ROUNDING: f64 = 1.0 / (1u64 << 24) as f64;

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
}

impl Measured {
    pub(crate) fn ratio(&self) -> f64 {
        self.ours / self.theirs.max(ROUNDING)
    }
}

/// Which ratios of float32 errors are held to [`RATIO`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Each tensor's.
    Each,
    /// The median over a network's tensors: what a training pass is held to, for the reason given below.
    Median,
    /// The median over all networks of each one's median over its tensors; for columns of this name.
    ///
    /// In training mode a deep network is chaotic: it divides by batch statistics of a dozen values, and ReLUs flip.
    /// PyTorch's own float32 gradients are off by per cents there, and a single flip in a late stage, which is luck, moves
    /// all gradients by more than all rounding before. PyTorch channels-last against PyTorch NCHW (ResNet-34 at 61×70,
    /// three steps): the median of the ratios is 14 with SGD and 53 with Adam, the worst 2,000. Worse arithmetic would
    /// show in most networks; what it does without the chaos, `Each` holds in inference mode and, for every gradient,
    /// with frozen statistics.
    Together(&'static str),
    /// None: float64 alone is compared.
    Float64,
}

/// A line of the table.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) held: Held,
    pub(crate) tensors: Vec<Measured>,
}

impl Section {
    pub(crate) fn float64(&self) -> f64 {
        self.tensors.iter().map(|tensor| tensor.float64).fold(0.0, f64::max)
    }

    pub(crate) fn worst(&self) -> f64 {
        self.tensors.iter().map(Measured::ratio).fold(0.0, f64::max)
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.tensors.iter().map(Measured::ratio).collect())
    }

    /// All that is further off than it may be.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for tensor in &self.tensors {
            let Measured { name, float64, ours, theirs } = tensor;
            // Asked this way round, NaN is a fault too.
            let is_pytorchs = *float64 <= FLOAT64;
            if !is_pytorchs {
                faults.push(format!("{}: {name}: float64 is off by {float64:.1e}", self.name));
            }
            let is_as_good = tensor.ratio() <= RATIO;
            if self.held == Held::Each && !is_as_good {
                faults.push(format!("{}: {name}: float32 error {ours:.2e}, PyTorch's {theirs:.2e}", self.name));
            }
        }
        let median = self.median();
        let is_as_good = median <= RATIO;
        if self.held == Held::Median && !is_as_good {
            faults.push(format!("{}: float32 errors ÷ PyTorch's have the median {median:.2}", self.name));
        }
        faults
    }
}

/// The ratios in the middle of each group that is held together.
pub(crate) fn together(sections: &[Section]) -> BTreeMap<&'static str, f64> {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for section in sections {
        if let Held::Together(group) = section.held {
            groups.entry(group).or_default().push(section.median());
        }
    }
    groups.into_iter().map(|(group, ratios)| (group, median(ratios))).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Fails with all that `sections` have to be blamed for, one by one.
pub(crate) fn hold(sections: &[Section]) {
    let faults: Vec<String> = sections.iter().flat_map(Section::faults).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

/// Compares every tensor of `expected`, none left out on either side.
pub(crate) fn compare(case: &str, pairs: &Pairs, expected: &Tensors) -> Vec<Measured> {
    assert_eq!(
        pairs.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{case}: which tensors there are"
    );
    pairs.iter().map(|(name, pair)| measured(case, name, pair, &expected[name])).collect()
}

fn measured(case: &str, name: &str, pair: &Pair, kept: &Kept) -> Measured {
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
    Measured { name: format!("{case} {name}"), float64, ours: pair.error(), theirs: *theirs }
}

fn root(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
