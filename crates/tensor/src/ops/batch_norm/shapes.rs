//! Checks of shapes.

use super::statistics::Moments;
use candle_core::{Result, Tensor, bail};

/// The number of channels of `x`, `[.., channels]`.
pub(super) fn channels(x: &Tensor) -> Result<usize> {
    match x.dims() {
        [.., channels] if *channels > 0 => Ok(*channels),
        shape => bail!("batch_norm: no channels in {shape:?}"),
    }
}

/// That parameters, moments and residual fit `x`.
pub(super) fn check(
    x: &Tensor,
    moments: &Moments,
    (weight, bias): (&Tensor, &Tensor),
    residual: Option<&Tensor>,
) -> Result<()> {
    let channels = channels(x)?;
    for vector in [&moments.mean, &moments.variance, weight, bias] {
        if vector.dims() != [channels] {
            bail!("batch_norm: {:?} beside an input of {:?}", vector.dims(), x.dims());
        }
    }
    if let Some(residual) = residual.filter(|residual| residual.dims() != x.dims()) {
        bail!("batch_norm: a residual of {:?} to an input of {:?}", residual.dims(), x.dims());
    }
    Ok(())
}
