//! Batches put together and maps taken apart into rows: no arithmetic, only where numbers lie.

use crate::graph::Operation;
use crate::{Tape, Value};
use candle_core::{Result, Tensor, bail};

impl Tape<'_> {
    /// The images of all `parts`, one part after the other: `[sum of batches, …]`.
    ///
    /// # Errors
    /// If there are none, or they differ in more than the batch.
    pub fn stack(&self, parts: &[&Value]) -> Result<Value> {
        if let [only] = parts {
            return Ok((*only).clone());
        }
        let tensors: Vec<&Tensor> = parts.iter().map(|part| part.tensor()).collect();
        let batches: Vec<usize> = tensors.iter().map(|part| part.dims().first().copied().unwrap_or(0)).collect();
        let Some((_, rest)) = tensors.first().and_then(|part| part.dims().split_first()) else {
            bail!("stack: nothing to put together");
        };
        let shape = [&[batches.iter().sum()], rest].concat();
        let output = self.output(&shape, || Err("stack"), || Tensor::cat(&tensors, 0))?;
        Ok(self.record(output, parts, move |gradient, _| {
            let mut first = 0;
            let part = |&batch: &usize| {
                let part = gradient.narrow(0, first, batch)?.contiguous().map(Some);
                first += batch;
                part
            };
            batches.iter().map(part).collect()
        }))
    }

    /// The pixels of a map `x` `[batch, height, width, channels]` as rows `[batch · height · width, channels]`, in the
    /// parameters' type (float32 from bfloat16).
    ///
    /// # Errors
    /// If `x` is no map.
    pub fn pixels(&self, x: &Value) -> Result<Value> {
        let (batch, height, width, channels) = x.tensor().dims4()?;
        let (shape, from, to) = (x.tensor().dims().to_vec(), x.tensor().dtype(), self.parameters().dtype());
        let rows = (batch * height * width, channels);
        let output = self.output(&[rows.0, rows.1], || Err("pixels"), || x.tensor().reshape(rows)?.to_dtype(to))?;
        Ok(self.record(output, &[x], move |gradient, _| {
            Ok(vec![Some(gradient.reshape(shape.as_slice())?.to_dtype(from)?)])
        }))
    }

    /// Sum of two values of one shape.
    ///
    /// # Errors
    /// If shapes or types differ.
    pub fn sum(&self, a: &Value, b: &Value) -> Result<Value> {
        let describe = || Ok((Operation::Sum, vec![a.tensor().id(), b.tensor().id()]));
        let output = self.output(a.tensor().dims(), describe, || super::sum::forward(a.tensor(), b.tensor()))?;
        let both = |gradient: &Tensor, _: &[bool]| Ok(vec![Some(gradient.clone()), Some(gradient.clone())]);
        if !self.recomputes() {
            return Ok(self.record(output, &[a, b], both));
        }
        let saved = (self.save(a), self.save(b));
        let again = move || super::sum::forward(&saved.0.tensor()?, &saved.1.tensor()?);
        Ok(self.record_recomputable(output, &[a, b], again, both))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Inputs, check_gradients};

    #[test]
    fn gradients_of_stacked_maps_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(4);
        inputs.normal("a", &[2, 3, 2, 5]);
        inputs.normal("b", &[1, 3, 2, 5]);
        check_gradients(&inputs, |tape| {
            let (a, b) = (tape.parameter("a")?, tape.parameter("b")?);
            let stacked = tape.stack(&[&b, &a, &b])?;
            assert_eq!(stacked.tensor().dims(), [4, 3, 2, 5]);
            let pixels = tape.pixels(&stacked)?;
            assert_eq!(pixels.tensor().dims(), [24, 5]);
            tape.sum(&pixels, &pixels)
        });
    }
}
