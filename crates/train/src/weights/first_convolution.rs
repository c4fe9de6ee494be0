//! Weights of a first convolution for another number of channels.

use candle_core::{Result, Tensor};

/// Whether `found` and `expected`, shapes of convolutions in PyTorch's layout, differ in the channels of their input only.
pub(super) fn differs_in_channels(found: &[usize], expected: &[usize]) -> bool {
    let ([out, channels, height, width], [out2, channels2, height2, width2]) = (found, expected) else { return false };
    (out, height, width) == (out2, height2, width2) && channels != channels2 && *channels > 0 && *channels2 > 0
}

/// `weight` `[out, n, height, width]` for `channels` channels, as segmentation_models_pytorch does
/// (`encoders/_utils.py`, `patch_first_conv`): for one channel the sum over the n; for m, channel i mod n times n / m. So
/// an image that is the same in all channels gives the same values as before.
///
/// # Errors
/// If `weight` is no weight of a convolution.
pub(super) fn adapted(weight: &Tensor, channels: usize) -> Result<Tensor> {
    let (_, from, _, _) = weight.dims4()?;
    if channels == 1 {
        return weight.sum_keepdim(1);
    }
    let repeated = (0..channels).map(|channel| weight.narrow(1, channel % from, 1)).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&repeated, 1)? * (from as f64 / channels as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// `patch_first_conv` of segmentation_models_pytorch 0.5.
    #[test]
    fn channels_are_summed_or_repeated_as_smp_does() {
        let weight = Tensor::new(&[1f32, 2.0, 6.0], &Device::Cpu).unwrap().reshape((1, 3, 1, 1)).unwrap();
        let of = |channels| adapted(&weight, channels).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(of(1), [9.0]);
        assert_eq!(of(2), [1.5, 3.0]);
        assert_eq!(of(4), [0.75, 1.5, 4.5, 0.75]);
        let grey = Tensor::new(&[6f32], &Device::Cpu).unwrap().reshape((1, 1, 1, 1)).unwrap();
        assert_eq!(adapted(&grey, 3).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(), [2.0; 3]);
        assert!(differs_in_channels(&[64, 3, 7, 7], &[64, 1, 7, 7]));
        assert!(!differs_in_channels(&[64, 3, 7, 7], &[64, 1, 3, 3]));
        assert!(!differs_in_channels(&[64, 0, 7, 7], &[64, 1, 7, 7]));
    }
}
