//! The operations, one a file: values and all gradients.

mod batch_norm;
mod convolution;
mod linear;
mod losses;
mod pooling;
mod resampling;

use crate::fixture::{self, Case};
use crate::hashed::{self, DRAWS, PLAIN, with_draw};
use crate::measure::{Held, Pair, Pairs, Section, compare};
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
}

/// All lines of the table.
pub(crate) fn all() -> Vec<Section> {
    [
        convolution::sections(),
        batch_norm::sections(),
        pooling::sections(),
        resampling::sections(),
        linear::sections(),
        losses::sections(),
    ]
    .concat()
}

/// The cases of `section` in the fixture, a line for each different [`Operation::line`], in order.
fn sections<O: Operation>(section: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for Case { operation, tensors } in fixture::section::<Case<O>>(include_str!("../ops.json"), section) {
        let case = format!("{operation:?}");
        let pairs = draws(&operation).unwrap_or_else(|error| panic!("{case}: {error}"));
        let measured = compare(&case, &pairs, &tensors);
        match sections.iter_mut().find(|section| section.name == operation.line()) {
            Some(section) => section.tensors.extend(measured),
            None => sections.push(Section { name: operation.line(), held: Held::Each, tensors: measured }),
        }
    }
    sections
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
