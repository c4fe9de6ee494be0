//! Zeros around images.

use super::gpu::no_side;
use super::host::supported;
use crate::{Tape, Value};
use candle_core::Result;
use std::ops::Range;

impl Tape<'_> {
    /// `[batch, height, width, channels]` of `size` `[height, width]`, with `x` `[batch, rows, columns, channels]` at `kept`
    /// `[rows, columns]` and zeros around it.
    ///
    /// # Errors
    /// If `x` does not fit there, or the device or type is not supported.
    pub fn pad(&self, x: &Value, [height, width]: [usize; 2], kept: [Range<usize>; 2]) -> Result<Value> {
        let (batch, rows, columns, channels) = x.tensor().dims4()?;
        let fits = [rows, columns] == [kept[0].len(), kept[1].len()] && kept[0].end <= height && kept[1].end <= width;
        if !fits {
            candle_core::bail!("pad: an input of {:?} at {kept:?} of {:?}", x.tensor().dims(), [height, width]);
        }
        if [rows, columns] == [height, width] {
            return Ok(x.clone());
        }
        let compute = || {
            no_side("pad", x.tensor())?;
            supported("pad", x.tensor())?;
            let wide = x.tensor().pad_with_zeros(2, kept[1].start, width - kept[1].end)?;
            wide.pad_with_zeros(1, kept[0].start, height - kept[0].end)?.contiguous()
        };
        let output = self.output(&[batch, height, width, channels], || Err("pad"), compute)?;
        let [top, left] = [kept[0].start, kept[1].start];
        Ok(self.record(output, &[x], move |gradient, _| {
            Ok(vec![Some(gradient.narrow(1, top, rows)?.narrow(2, left, columns)?.contiguous()?)])
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Inputs, check_gradients_on_cpu};
    use candle_core::{DType, Result};

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[2, 3, 4, 2]);
        check_gradients_on_cpu(&inputs, |tape| tape.pad(&tape.parameter("x")?, [5, 7], [2..5, 1..5]));
    }

    #[test]
    fn the_image_lies_where_it_was_put() -> Result<()> {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[1, 2, 2, 1]);
        let parameters = inputs.parameters(DType::F64)?;
        let tape = crate::Tape::new(&parameters, crate::Mode::Eval);
        let x = tape.parameter("x")?;
        let y = tape.pad(&x, [3, 4], [1..3, 1..3])?;
        let [x, y] = [x, y].map(|value| value.tensor().flatten_all().and_then(|flat| flat.to_vec1::<f64>()));
        let (x, y) = (x?, y?);
        assert_eq!(y, [0.0, 0.0, 0.0, 0.0, 0.0, x[0], x[1], 0.0, 0.0, x[2], x[3], 0.0]);
        Ok(())
    }
}
