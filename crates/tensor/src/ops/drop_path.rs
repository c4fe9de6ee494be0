//! Drop path (stochastic depth): whole samples of a branch are left out at random (Huang et al. 2016, as timm's `DropPath`).

use super::host::{Element, elements, filled, on_cpu_only, tensor};
use crate::tape::{Mode, Tape, Value};
use candle_core::{Result, Tensor, bail};
use matssl_base::random::Stream;
use rayon::prelude::*;

/// `x` `[batch, ..]` with every sample times its factor.
fn scaled(x: &Tensor, factors: &[f64]) -> Result<Tensor> {
    let x = x.contiguous()?;
    on_cpu_only!("drop_path", &x, scaled_host(&x, factors))
}

fn scaled_host<T: Element>(x: &Tensor, factors: &[f64]) -> Result<Tensor> {
    let shape = x.dims();
    let x = elements::<T>(x)?;
    let sample = (x.len() / factors.len()).max(1);
    let y = filled(x.len(), |y| {
        y.par_chunks_mut(sample).zip(x.par_chunks(sample)).zip(factors).for_each(|((y, x), &factor)| {
            let factor = T::narrow(factor);
            match factor.is_zero() {
                true => y.fill(T::zero()),
                false => y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * factor),
            }
        });
    });
    tensor(y, shape)
}

impl Tape<'_> {
    /// In [`Mode::Train`] every sample of `x` `[batch, ..]` becomes 0 with probability `rate`, else `x / (1 − rate)`; in other modes, or
    /// with rate 0, it is `x`. A sample's number comes from `stream.child(sample)`, so every use of a step needs a stream of its own.
    ///
    /// # Errors
    /// If `rate` is not in [0, 1), or the device or type is not supported.
    pub fn drop_path(&self, x: &Value, rate: f64, stream: &Stream) -> Result<Value> {
        if !(0.0..1.0).contains(&rate) {
            bail!("drop_path: a rate of {rate}, which must be from 0 to below 1");
        }
        let Some(&batch) = x.tensor().dims().first() else { bail!("drop_path: a scalar has no samples") };
        if self.mode() != Mode::Train || rate == 0.0 || batch == 0 {
            return Ok(x.clone());
        }
        let factor = |sample| if stream.child(sample as u64).chance(rate) { 0.0 } else { 1.0 / (1.0 - rate) };
        let factors: Vec<f64> = (0..batch).map(factor).collect();
        let output = self.output(x.tensor().dims(), || Err("drop_path"), || scaled(x.tensor(), &factors))?;
        let again = factors.clone();
        let backward = move |gradient: &Tensor, _: &[bool]| Ok(vec![Some(scaled(gradient, &factors)?)]);
        if !self.recomputes() {
            return Ok(self.record(output, &[x], backward));
        }
        let saved = self.save(x);
        Ok(self.record_recomputable(output, &[x], move || scaled(&saved.tensor()?, &again), backward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Inputs, check_gradients_on_cpu, same_bits_for_any_threads};
    use candle_core::DType;

    fn stream() -> Stream {
        Stream::new(3, "drop path", 0, 0)
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let mut inputs = Inputs::new(1);
        inputs.normal("x", &[7, 3, 2]);
        check_gradients_on_cpu(&inputs, |tape| tape.drop_path(&tape.parameter("x")?, 0.4, &stream()));
        same_bits_for_any_threads(&inputs, |tape| tape.drop_path(&tape.parameter("x")?, 0.4, &stream()));
    }

    #[test]
    fn samples_are_dropped_at_the_rate_and_only_in_training() -> Result<()> {
        let mut inputs = Inputs::new(1);
        inputs.buffer("x", &[4000, 2], 1.0);
        let parameters = inputs.parameters(DType::F64)?;
        let pass = |mode, rate| -> Result<Vec<f64>> {
            let tape = Tape::new(&parameters, mode);
            tape.drop_path(&tape.parameter("x")?, rate, &stream())?.tensor().flatten_all()?.to_vec1()
        };
        let values = pass(Mode::Train, 0.2)?;
        assert!(values.chunks(2).all(|sample| sample == [0.0, 0.0] || sample == [1.25, 1.25]));
        let dropped = values.iter().filter(|&&value| value == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.2).abs() < 0.02, "{dropped}");
        for (mode, rate) in [(Mode::Frozen, 0.2), (Mode::Eval, 0.2), (Mode::Train, 0.0)] {
            assert!(pass(mode, rate)?.iter().all(|&value| value == 1.0));
        }
        assert!(pass(Mode::Train, 1.0).unwrap_err().to_string().contains("a rate of 1"));
        Ok(())
    }
}
