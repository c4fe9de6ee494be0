//! Sum of two values, as where a block's output joins its input.

use super::sum;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};

impl Tape<'_> {
    /// `a + b`, of one shape. Saves nothing, unless the sum is to be recomputed.
    ///
    /// # Errors
    /// If shapes or types differ.
    pub fn add(&self, a: &Value, b: &Value) -> Result<Value> {
        if a.tensor().dims() != b.tensor().dims() {
            bail!("add: {:?} and {:?}", a.tensor().shape(), b.tensor().shape());
        }
        let compute = || sum::forward(a.tensor(), b.tensor());
        let output = self.output(a.tensor().dims(), || Err("add"), compute)?;
        let backward = |gradient: &Tensor, wanted: &[bool]| {
            Ok(wanted.iter().map(|wanted| wanted.then(|| gradient.clone())).collect())
        };
        if !self.recomputes() {
            return Ok(self.record(output, &[a, b], backward));
        }
        let saved = (self.save(a), self.save(b));
        let again = move || sum::forward(&saved.0.tensor()?, &saved.1.tensor()?);
        Ok(self.record_recomputable(output, &[a, b], again, backward))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Inputs, check_gradients, same_bits_for_any_threads};

    fn inputs(shape: &[usize]) -> Inputs {
        let mut inputs = Inputs::new(1);
        inputs.normal("a", shape);
        inputs.normal("b", shape);
        inputs
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        check_gradients(&inputs(&[2, 3, 5]), |tape| {
            let (a, b) = (tape.parameter("a")?, tape.parameter("b")?);
            // One input twice: its two gradients add.
            tape.add(&tape.add(&a, &b)?, &a)
        });
    }

    #[test]
    fn bits_do_not_depend_on_threads() {
        same_bits_for_any_threads(&inputs(&[2, 33, 35, 16]), |tape| {
            tape.add(&tape.parameter("a")?, &tape.parameter("b")?)
        });
    }
}
