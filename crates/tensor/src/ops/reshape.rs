//! Another shape for the same numbers.

use crate::{Tape, Value};
use candle_core::{Result, bail};

impl Tape<'_> {
    /// The numbers of `x`, in their order, as `shape`: such as maps `[batch, height, width, channels]` as tokens `[batch, height · width,
    /// channels]`.
    ///
    /// # Errors
    /// If `shape` has another number of elements.
    pub fn reshape(&self, x: &Value, shape: &[usize]) -> Result<Value> {
        let (before, after) = (x.tensor().dims().to_vec(), shape.to_vec());
        if before.iter().product::<usize>() != after.iter().product::<usize>() {
            bail!("reshape: {before:?} as {after:?}");
        }
        let output = self.output(shape, || Err("reshape"), || x.tensor().contiguous()?.reshape(shape))?;
        let backward = move |gradient: &candle_core::Tensor, _: &[bool]| Ok(vec![Some(gradient.reshape(before)?)]);
        if !x.is_recomputed() {
            return Ok(self.record(output, &[x], backward));
        }
        // A view would keep what its input frees.
        let saved = self.save(x);
        Ok(self.record_recomputable(output, &[x], move || saved.tensor()?.reshape(after.as_slice()), backward))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Inputs, check_gradients};
    use candle_core::Result;

    #[test]
    fn gradients_have_the_shape_of_the_input() -> Result<()> {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 3, 4]);
        inputs.normal("norm.weight", &[4]);
        inputs.normal("norm.bias", &[4]);
        check_gradients(&inputs, |tape| tape.reshape(&tape.parameter("x")?, &[6, 2, 2]));
        let parameters = inputs.parameters(candle_core::DType::F64)?;
        let tape = crate::Tape::new(&parameters, crate::Mode::Train);
        let error = tape.reshape(&tape.parameter("x")?, &[5, 5]).unwrap_err().to_string();
        assert!(error.contains("[2, 3, 4] as [5, 5]"), "{error}");
        Ok(())
    }
}
