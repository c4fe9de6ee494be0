//! The operations, one a file: values and all gradients.

mod attention;
mod batch_norm;
mod convolution;
mod linear;
mod losses;
mod plain;
mod pooling;
mod resampling;

use crate::bound::Sums;
use crate::fixture::{self, Case};
use crate::hashed::{self, DRAWS, PLAIN, with_draw};
use crate::measure::{Measured, Pair, Pairs, compare};
use crate::part::{Done, Part};
use crate::section::{Held, Section};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{Parameters, Role, Tape, Value};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Tensors by their names in the fixture.
type Found = BTreeMap<String, (Tensor, Role)>;

/// One case of an operation.
trait Operation: Debug + DeserializeOwned {
    /// Its line in the table.
    fn line(&self) -> String;

    /// Output (or loss) and all gradients, in float32 or float64.
    fn run(&self, dtype: DType) -> Result<Found>;

    /// How many products are summed in float32 on a GPU for an element of `tensor`; 1 if none are.
    fn products(&self, _tensor: &str) -> usize {
        1
    }

    /// Whether a network has such a case. On a GPU others are left out: each costs a choice of cuDNN's, which may refuse it.
    fn is_in_a_network(&self) -> bool {
        true
    }
}

/// In the table's order.
pub(crate) static PARTS: [&Part; 8] = [
    &convolution::PART,
    &batch_norm::PART,
    &pooling::PART,
    &resampling::PART,
    &linear::PART,
    &plain::PART,
    &attention::PART,
    &losses::PART,
];

/// As [`sections_in`], of `ops.json`.
fn sections<O: Operation>(section: &str, done: Done<'_>) {
    sections_in::<O>(include_str!("../ops.json"), section, done);
}

/// The cases of `section` in a fixture's text, a section for each different [`Operation::line`], in order.
fn sections_in<O: Operation>(text: &str, section: &str, done: Done<'_>) {
    let cases = fixture::section::<Case<O>>(text, section);
    let mut lines: Vec<(String, Vec<Case<O>>)> = Vec::new();
    for case in cases {
        let line = case.operation.line();
        match lines.iter_mut().find(|(other, _)| *other == line) {
            Some((_, cases)) => cases.push(case),
            None => lines.push((line, vec![case])),
        }
    }
    for (line, cases) in lines {
        let mut section = Section::new(line, Held::Each);
        for case in &cases {
            if hashed::is_on_gpu() && !case.operation.is_in_a_network() {
                section.left_out += 1;
            } else {
                section.add(&format!("{:?}", case.operation), || measured(case));
            }
        }
        done(section);
    }
}

fn measured<O: Operation>(Case { operation, tensors }: &Case<O>) -> Result<Vec<Measured>> {
    let sums = |tensor: &str| Sums::Of(operation.products(tensor));
    Ok(compare(&format!("{operation:?}"), &draws(operation)?, tensors, sums))
}

/// Both precisions, in every draw.
fn draws(operation: &impl Operation) -> Result<Pairs> {
    let mut pairs = Pairs::new();
    for draw in 0..DRAWS {
        let (exact, single) = with_draw(draw, || (operation.run(DType::F64), operation.run(DType::F32)));
        let (exact, single) = (exact?, single?);
        assert_eq!(exact.keys().collect::<Vec<_>>(), single.keys().collect::<Vec<_>>());
        for (name, (exact, role)) in exact {
            let pair = Pair::new(&exact, &single[&name].0, role)?;
            match pairs.get_mut(&name) {
                Some(first) => first.also(pair),
                None => drop(pairs.insert(name, pair)),
            }
        }
    }
    Ok(pairs)
}

/// A hashed input whose gradient is asked for.
fn variable(tape: &Tape<'_>, name: &str, shape: &[usize], dtype: DType) -> Result<Value> {
    Ok(tape.variable(name, hashed::tensor(name, shape, PLAIN, dtype)?))
}

/// `y` and the gradients for the hashed seed.
fn output_and_gradients(tape: Tape<'_>, y: Value) -> Result<Found> {
    let parameters = tape.parameters();
    let output = y.tensor().clone();
    let seed = hashed::tensor("seed", output.dims(), PLAIN, output.dtype())?;
    let gradients = tape.backward(vec![(y, seed)])?;
    let role = |name: &str| parameters.get(name).map_or(Role::Buffer, |parameter| parameter.role);
    let mut found: Found =
        gradients.iter().map(|(name, gradient)| (name.to_owned(), (gradient.clone(), role(name)))).collect();
    found.insert("y".to_owned(), (output, Role::Buffer));
    Ok(found)
}

/// No parameters yet.
fn store(dtype: DType) -> Parameters {
    Parameters::new(dtype, hashed::device())
}
