//! Sections of the table: tensors that are held to PyTorch's together, and what went wrong with them.

use crate::measure::Measured;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Of float64 against PyTorch's float64, relative to the tensor's norm.
const FLOAT64: f64 = 1e-8;

/// Which float32 errors are held to their limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// show in most networks; what it does without the chaos, `Each` holds in inference mode and, on a CPU, for every
    /// gradient with frozen statistics.
    Together(&'static str),
    /// None: float64 alone is compared.
    Float64,
}

/// A line of the table, and what is said of it below.
#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) held: Held,
    pub(crate) tensors: Vec<Measured>,
    /// Cases that ended in an error or a panic, with what they said.
    pub(crate) failed: Vec<String>,
    /// Cases that were not computed: shapes that no network has, on a GPU.
    pub(crate) left_out: usize,
}

impl Section {
    pub(crate) fn new(name: impl Into<String>, held: Held) -> Self {
        Section { name: name.into(), held, tensors: Vec::new(), failed: Vec::new(), left_out: 0 }
    }

    /// The section `name` of all tensors that `compute` compares.
    pub(crate) fn of<E: Display>(
        name: impl Into<String>,
        held: Held,
        compute: impl FnOnce() -> Result<Vec<Measured>, E>,
    ) -> Self {
        let mut section = Section::new(name, held);
        section.add("", compute);
        section
    }

    /// A section that came to nothing.
    pub(crate) fn failed(name: impl Into<String>, why: String) -> Self {
        let name = name.into();
        Section { failed: vec![why], ..Section::new(name, Held::Each) }
    }

    /// Adds what `compute` compares for `case`; an error or a panic is a fault of this section and of no other.
    pub(crate) fn add<E: Display>(&mut self, case: &str, compute: impl FnOnce() -> Result<Vec<Measured>, E>) {
        match attempt(compute) {
            Ok(tensors) => self.tensors.extend(tensors),
            Err(why) if case.is_empty() => self.failed.push(why),
            Err(why) => self.failed.push(format!("{case}: {why}")),
        }
    }

    pub(crate) fn float64(&self) -> f64 {
        self.tensors.iter().map(|tensor| tensor.float64).fold(0.0, larger)
    }

    /// The worst ratio of a float32 error to PyTorch's.
    pub(crate) fn worst(&self) -> f64 {
        self.tensors.iter().map(Measured::ratio).fold(0.0, larger)
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.tensors.iter().map(Measured::ratio).collect())
    }

    /// The part of what is allowed that the errors take up, by what the section is held to; 1 is the most.
    pub(crate) fn share(&self) -> f64 {
        let shares = self.tensors.iter().map(Measured::share);
        match self.held {
            Held::Each => shares.fold(0.0, larger),
            Held::Median | Held::Together(_) | Held::Float64 => median(shares.collect()),
        }
    }

    /// All that is further off than it may be, or failed.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self.failed.iter().map(|why| format!("{}: failed: {why}", self.name)).collect();
        for tensor in &self.tensors {
            let Measured { name, float64, ours, theirs, limit } = tensor;
            // Asked this way round, NaN is a fault too.
            let is_pytorchs = *float64 <= FLOAT64;
            if !is_pytorchs {
                faults.push(format!("{}: {name}: float64 is off by {float64:.1e}", self.name));
            }
            let is_as_good = tensor.share() <= 1.0;
            if self.held == Held::Each && !is_as_good {
                let errors = format!("{ours:.2e}, PyTorch's {theirs:.2e}, of which {limit:.1} times are allowed");
                faults.push(format!("{}: {name}: float32 error {errors}", self.name));
            }
        }
        let is_as_good = self.share() <= 1.0;
        if self.held == Held::Median && !self.tensors.is_empty() && !is_as_good {
            let (median, share) = (self.median(), self.share());
            faults.push(format!(
                "{}: float32 errors ÷ PyTorch's have the median {median:.2}, {share:.2} times what is allowed",
                self.name
            ));
        }
        faults
    }
}

/// Does `work`; of an error or a panic the first line comes back, and all of it goes to standard error.
pub(crate) fn attempt<T, E: Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    let text = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(error)) => {
            let text = format!("{error:#}");
            eprintln!("{text}");
            text
        }
        // The test harness has printed it.
        Err(panic) => message(&*panic),
    };
    // What follows is candle's backtrace.
    Err(text.lines().next().unwrap_or("an error without words").to_owned())
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without words"))
}

/// For each group that is held together, the value in the middle of its sections' values.
pub(crate) fn together(sections: &[Section], value: impl Fn(&Section) -> f64) -> BTreeMap<&'static str, f64> {
    let mut groups: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for section in sections.iter().filter(|section| !section.tensors.is_empty()) {
        if let Held::Together(group) = section.held {
            groups.entry(group).or_default().push(value(section));
        }
    }
    groups.into_iter().map(|(group, values)| (group, median(values))).collect()
}

/// NaN of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Keeps a NaN.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || a >= b { a } else { b }
}

/// Fails with all that `sections` have to be blamed for, one by one.
pub(crate) fn hold(sections: &[Section]) {
    let faults: Vec<String> = sections.iter().flat_map(Section::faults).collect();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bound::{RATIO, ROUNDING};

    fn measured(ours: f64, float64: f64) -> Measured {
        Measured { name: "y".into(), float64, ours: ours * ROUNDING, theirs: ROUNDING, limit: RATIO }
    }

    fn faults_of(held: Held, tensors: Vec<Measured>) -> Vec<String> {
        Section::of::<String>("it", held, || Ok(tensors)).faults()
    }

    #[test]
    fn a_case_that_fails_is_a_fault_and_the_others_stay() {
        let mut section = Section::new("convolution", Held::Each);
        section.add::<String>("first", || Ok(vec![measured(1.0, 0.0)]));
        section.add("second", || Err("refused by cuDNN\nand a backtrace"));
        section.add::<String>("third", || panic!("index {} out of bounds", 7));
        section.add::<String>("fourth", || Ok(vec![measured(1.5, 0.0)]));
        assert_eq!(section.tensors.len(), 2);
        let faults = section.faults();
        assert_eq!(
            faults,
            [
                "convolution: failed: second: refused by cuDNN",
                "convolution: failed: third: panicked: index 7 out of bounds"
            ]
        );
    }

    #[test]
    fn errors_above_the_limit_and_nan_are_faults() {
        assert!(faults_of(Held::Each, vec![measured(2.0, 1e-8)]).is_empty());
        for (ours, float64) in [(2.01, 0.0), (f64::NAN, 0.0), (1.0, 2e-8), (1.0, f64::NAN)] {
            let tensors = vec![measured(ours, float64), measured(1.0, 0.0)];
            let section = Section::of::<String>("it", Held::Each, || Ok(tensors));
            assert_eq!(section.faults().len(), 1);
            // The table shows it, too.
            assert_eq!((section.worst().is_nan(), section.share().is_nan()), (ours.is_nan(), ours.is_nan()));
            assert_eq!(section.float64().is_nan(), float64.is_nan());
        }
        // By the median, one tensor in three may be far off.
        let three = |ours| vec![measured(1.0, 0.0), measured(ours, 0.0), measured(9.0, 0.0)];
        assert!(faults_of(Held::Median, three(1.9)).is_empty());
        assert_eq!(faults_of(Held::Median, three(2.1)).len(), 1);
        assert!(faults_of(Held::Float64, three(9.0)).is_empty());
    }

    #[test]
    fn a_failed_section_is_not_in_the_middle_of_a_group() {
        let of = |ours| Section::of::<String>("it", Held::Together("SGD"), || Ok(vec![measured(ours, 0.0)]));
        let failed = Section::of("it", Held::Together("SGD"), || Err("refused"));
        let sections = [of(1.0), of(3.0), of(40.0), failed.clone(), failed];
        assert_eq!(together(&sections, Section::median), [("SGD", 3.0)].into());
    }
}
