//! Normalises pixels on a GPU. There is no CPU side: on a CPU the loader normalises as it writes.

use super::gpu::feeder::Form;
use super::gpu::{Gpu, launch};
use candle_core::{DType, Result, Tensor, bail};

/// `[batch, height, width, 3]` of type `dtype`: channel `c` of a pixel times `scale[c]`, plus `shift[c]`, in float32. The
/// pixels, of `shape` `[batch, height, width, channels]` with 1 or 3 channels, lie in `form` at the beginning of the
/// memory of `pixels`, which is contiguous.
///
/// # Errors
/// If the memory of `pixels` is too small, there are neither 1 nor 3 channels, or the type is not supported.
pub(crate) fn forward(
    gpu: &dyn Gpu,
    pixels: &Tensor,
    form: Form,
    shape: [usize; 4],
    [scale, shift]: [[f32; 3]; 2],
    dtype: DType,
) -> Result<Tensor> {
    let [batch, height, width, channels] = shape;
    let (area, bytes) = (height * width, pixels.elem_count() * pixels.dtype().size_in_bytes());
    if !matches!(channels, 1 | 3) || form.size() * shape.iter().product::<usize>() > bytes {
        bail!("normalize: {form:?} of {shape:?} in {bytes} bytes");
    }
    let (count, planes) = (batch * area, form == Form::Planes);
    let out = gpu.empty(&[batch, height, width, 3], dtype)?;
    let [[a, b, c], [d, e, f]] = [scale, shift].map(|values| values.map(f64::from));
    launch!(gpu, "normalize", dtype, count, [pixels, &out, count, area, channels, planes, a, b, c, d, e, f])?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::gpu::{find, pretend};
    use candle_core::Device;
    use matssl_base::random::Stream;

    /// ImageNet's mean and deviation, for pixels from 0 to 255.
    fn normalization() -> [[f32; 3]; 2] {
        let (mean, deviation) = ([0.485f32, 0.456, 0.406], [0.229f32, 0.224, 0.225]);
        [deviation.map(|deviation| 1.0 / (255.0 * deviation)), [0, 1, 2].map(|c| -mean[c] / deviation[c])]
    }

    /// Any value in either form, padded as a buffer is that once held more.
    fn memory(form: Form, values: &[f32]) -> Tensor {
        match form {
            Form::Planes => Tensor::from_slice(&[values, &[f32::NAN; 3]].concat(), values.len() + 3, &Device::Cpu),
            Form::Bytes => {
                let bytes: Vec<u8> = values.iter().map(|&value| value as u8).chain([0; 5]).collect();
                Tensor::from_vec(bytes, values.len() + 5, &Device::Cpu)
            }
        }
        .unwrap()
    }

    /// As the CPU's loader has it (data/augment/normalize.rs), for float64 and bfloat16 converted then.
    fn expected(form: Form, [batch, height, width, channels]: [usize; 4], values: &[f32], dtype: DType) -> Tensor {
        let [scale, shift] = normalization();
        let area = height * width;
        let mut out = Vec::new();
        for (image, pixel, c) in (0..batch * area * 3).map(|i| (i / 3 / area, i / 3 % area, i % 3)) {
            let channel = c.min(channels - 1);
            let place = match form {
                Form::Bytes => (image * area + pixel) * channels + channel,
                Form::Planes => (image * channels + channel) * area + pixel,
            };
            out.push(values[place] * scale[c] + shift[c]);
        }
        Tensor::from_vec(out, (batch, height, width, 3), &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    }

    #[test]
    fn every_form_size_and_type_has_the_cpus_bits() {
        let sizes = [(1, 1, 1), (2, 5, 3), (3, 7, 13), (1, 64, 64), (0, 8, 8), (2, 0, 4), (2, 16, 17)];
        for (i, (batch, height, width)) in sizes.into_iter().enumerate() {
            for (channels, form) in [1, 3].into_iter().flat_map(|n| [(n, Form::Bytes), (n, Form::Planes)]) {
                let (shape, mut stream) = ([batch, height, width, channels], Stream::new(i as u64, "pixels", 0, 0));
                let count = shape.iter().product();
                let values: Vec<f32> = (0..count)
                    .map(|_| match form {
                        Form::Bytes => stream.below(256) as f32,
                        Form::Planes => stream.range(0.0, 255.0) as f32,
                    })
                    .collect();
                for dtype in [DType::F32, DType::F64, DType::BF16] {
                    let run = || {
                        let gpu = find(&Device::Cpu)?.expect("it is on");
                        forward(&*gpu, &memory(form, &values), form, shape, normalization(), dtype)
                    };
                    let Some(found) = pretend::on(run) else { return };
                    let (found, expected) = (found.unwrap(), expected(form, shape, &values, dtype));
                    assert_eq!((found.dims(), found.dtype()), (expected.dims(), dtype));
                    let bits = |tensor: Tensor| {
                        let wide = tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
                        wide.to_vec1::<f64>().unwrap().into_iter().map(f64::to_bits).collect::<Vec<_>>()
                    };
                    assert!(bits(found) == bits(expected), "{form:?} {shape:?} {dtype:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let run = |shape, dtype| {
            let gpu = find(&Device::Cpu)?.expect("it is on");
            forward(&*gpu, &memory(Form::Planes, &[0.0; 21]), Form::Planes, shape, normalization(), dtype)
        };
        let refused = |shape, dtype| Some(pretend::on(|| run(shape, dtype))?.unwrap_err().to_string());
        let Some(message) = refused([1, 5, 5, 1], DType::F32) else { return };
        assert!(message.starts_with("normalize: Planes of [1, 5, 5, 1] in 96 bytes"), "{message}");
        assert!(refused([1, 2, 2, 2], DType::F32).is_some_and(|message| message.contains("[1, 2, 2, 2]")));
        assert!(refused([1, 2, 2, 1], DType::U8).is_some());
    }
}
