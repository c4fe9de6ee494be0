//! The pixels that a temperature is fitted on.

use super::tempering::logarithm;
use super::{Calibration, CalibrationMeter};
use rayon::prelude::*;

/// Largest number of pixels in a sample.
const MOST_PIXELS: usize = 1 << 18;
/// Largest number of probabilities in a sample: 64 MiB. With more than 64 classes the sample has fewer pixels.
const MOST_VALUES: usize = 1 << 24;
/// A temperature from fewer pixels would be chance.
const LEAST_PIXELS: usize = 1000;
/// When the sample is full, one pixel in three is kept. Not one in two, because the sides of images are often multiples of powers of 2,
/// and then a stride of such a power would hit the same columns in each row.
const THINNING: usize = 3;
/// Pixels whose sums are taken together: sums have a fixed order, so the number of threads changes no bit.
const CHUNK: usize = 1 << 12;
/// The search ends when a step changes 1 / temperature by less than this part.
const TOLERANCE: f64 = 1e-10;

/// An even sample of the pixels with a known class of several images, at most 2^18, in the order in which they are added: every
/// `stride`-th one. Fits the temperature of a model.
///
/// The images are those of the validation, never test images. Where they also chose the epoch, the calibration is slightly too
/// good.
#[derive(Clone, Debug)]
pub struct CalibrationSample {
    classes: usize,
    ignore: Option<u8>,
    most: usize,
    stride: u64,
    /// Pixels with a known class so far.
    seen: u64,
    /// `[pixels, classes]`.
    probabilities: Vec<f32>,
    labels: Vec<u8>,
}

impl CalibrationSample {
    /// No pixels yet, for `classes` classes. Pixels whose label is `ignore` are left out.
    pub fn new(classes: usize, ignore: Option<u8>) -> Self {
        let most = Self::most_pixels(classes);
        CalibrationSample { classes, ignore, most, stride: 1, seen: 0, probabilities: Vec::new(), labels: Vec::new() }
    }

    fn most_pixels(classes: usize) -> usize {
        MOST_PIXELS.min(MOST_VALUES / classes.max(1))
    }

    /// Largest number of bytes that a sample holds.
    pub fn most_bytes(classes: usize) -> u64 {
        (Self::most_pixels(classes) * (4 * classes + 1)) as u64
    }

    /// Adds the pixels of an image: probabilities `[pixels, classes]` and true labels `[pixels]`. Labels that are no class are left out.
    pub fn add(&mut self, probabilities: &[f32], labels: &[u8]) {
        for (pixel, &label) in probabilities.chunks_exact(self.classes.max(1)).zip(labels) {
            if Some(label) == self.ignore || usize::from(label) >= self.classes {
                continue;
            }
            if self.seen.is_multiple_of(self.stride) {
                if self.labels.len() == self.most {
                    self.thin();
                }
                // The stride may have grown just now.
                if self.seen.is_multiple_of(self.stride) {
                    self.probabilities.extend_from_slice(pixel);
                    self.labels.push(label);
                }
            }
            self.seen += 1;
        }
    }

    fn thin(&mut self) {
        let kept = (0..self.labels.len()).step_by(THINNING);
        for (to, from) in kept.clone().enumerate() {
            self.labels[to] = self.labels[from];
            self.probabilities.copy_within(from * self.classes..(from + 1) * self.classes, to * self.classes);
        }
        self.labels.truncate(kept.len());
        self.probabilities.truncate(kept.len() * self.classes);
        self.stride *= THINNING as u64;
    }

    /// The temperature with the smallest log loss, within [`Calibration::BOUNDS`]; `None` with fewer than 1,000 pixels or with a single
    /// class.
    ///
    /// In β = 1 / temperature the log loss is convex; its minimum is found by Newton's method, and by bisection where a step
    /// would leave the interval that holds the minimum.
    pub fn fit(&self) -> Option<Calibration> {
        if self.labels.len() < LEAST_PIXELS || self.classes < 2 {
            return None;
        }
        let mut meter = CalibrationMeter::new(self.classes, None, self.temperature());
        meter.add(&self.probabilities, &self.labels);
        meter.finish()
    }

    fn temperature(&self) -> f64 {
        let [coldest, hottest] = Calibration::BOUNDS;
        let [mut low, mut high] = [1.0 / hottest, 1.0 / coldest];
        if self.slope(low).0 >= 0.0 {
            return hottest;
        }
        if self.slope(high).0 <= 0.0 {
            return coldest;
        }
        let mut beta = 1.0;
        // Bisection alone would need 60 steps.
        for _ in 0..100 {
            let (slope, curvature) = self.slope(beta);
            *(if slope > 0.0 { &mut high } else { &mut low }) = beta;
            let newton = beta - slope / curvature;
            let next = if newton > low && newton < high { newton } else { (low * high).sqrt() };
            let is_found = (next - beta).abs() <= TOLERANCE * beta;
            beta = next;
            if is_found {
                break;
            }
        }
        1.0 / beta
    }

    /// First and second derivative of the mean log loss with respect to β = 1 / temperature: the mean over the pixels of
    /// E[l] − l(truth) and of Var[l], where l are the logarithms of the probabilities, and the expectation is over the classes at β.
    fn slope(&self, beta: f64) -> (f64, f64) {
        let chunks = self.probabilities.par_chunks(CHUNK * self.classes).zip(self.labels.par_chunks(CHUNK));
        let of_chunk = |(probabilities, labels): (&[f32], &[u8])| {
            let (mut slope, mut curvature, mut logarithms) = (0.0, 0.0, vec![0.0; self.classes]);
            for (pixel, &label) in probabilities.chunks_exact(self.classes).zip(labels) {
                logarithms.iter_mut().zip(pixel).for_each(|(logarithm_of, &p)| *logarithm_of = logarithm(p));
                let most = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let [mut sum, mut first, mut second] = [0.0; 3];
                for l in logarithms.iter().map(|l| l - most) {
                    let weight = (beta * l).exp();
                    sum += weight;
                    first += weight * l;
                    second += weight * l * l;
                }
                let mean = first / sum;
                slope += mean - (logarithms[usize::from(label)] - most);
                curvature += (second / sum - mean * mean).max(0.0);
            }
            (slope, curvature)
        };
        let sums: Vec<(f64, f64)> = chunks.map(of_chunk).collect();
        let (slope, curvature) = sums.iter().fold((0.0, 0.0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
        (slope / self.labels.len() as f64, curvature / self.labels.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_base::random::Stream;

    /// `pixels` pixels whose labels are drawn with the probabilities of their logits; the model's logits are `factor` times
    /// those.
    fn drawn(pixels: usize, classes: usize, factor: f64) -> (Vec<f32>, Vec<u8>) {
        let mut stream = Stream::new(3, "calibration test", 0, 0);
        let softmax = |logits: &[f64]| {
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            logits.iter().map(|l| l.exp() / sum).collect::<Vec<f64>>()
        };
        let (mut probabilities, mut labels) = (Vec::new(), Vec::new());
        for _ in 0..pixels {
            let logits: Vec<f64> = (0..classes).map(|_| 1.5 * stream.normal()).collect();
            let mut left = stream.uniform();
            let label = softmax(&logits).iter().position(|p| {
                left -= p;
                left < 0.0
            });
            labels.push(label.unwrap_or(classes - 1) as u8);
            let scaled: Vec<f64> = logits.iter().map(|l| factor * l).collect();
            probabilities.extend(softmax(&scaled).into_iter().map(|p| p as f32));
        }
        (probabilities, labels)
    }

    fn sample(probabilities: &[f32], labels: &[u8], classes: usize) -> CalibrationSample {
        let mut sample = CalibrationSample::new(classes, Some(255));
        sample.add(probabilities, labels);
        sample
    }

    #[test]
    fn a_known_temperature_is_found_again() {
        for (factor, classes) in [(2.5, 3), (0.4, 4), (1.0, 2), (6.0, 2)] {
            let (probabilities, labels) = drawn(60_000, classes, factor);
            let found = sample(&probabilities, &labels, classes).fit().unwrap();
            assert!((found.temperature / factor - 1.0).abs() < 0.03, "{factor}: {}", found.temperature);
            assert!(found.log_loss[1] <= found.log_loss[0] + 1e-12 && found.expected_error[1] < 0.01, "{found:?}");
            assert!(factor == 1.0 || found.expected_error[0] > 0.05, "{factor}: {:?}", found.expected_error);
            assert_eq!((found.pixels, found.after.pixels.iter().sum::<u64>()), (60_000, 60_000));
        }
    }

    #[test]
    fn the_slope_is_the_derivative_of_the_log_loss() {
        let (probabilities, labels) = drawn(2000, 3, 1.7);
        let sample = sample(&probabilities, &labels, 3);
        let loss = |beta: f64| {
            let mut meter = CalibrationMeter::new(3, None, 1.0 / beta);
            meter.add(&probabilities, &labels);
            meter.finish().unwrap().log_loss[1]
        };
        for beta in [0.2, 0.7, 1.0, 3.0] {
            let step = 1e-4;
            let (slope, curvature) = sample.slope(beta);
            assert!((slope - (loss(beta + step) - loss(beta - step)) / (2.0 * step)).abs() < 1e-6);
            let second = (loss(beta + step) - 2.0 * loss(beta) + loss(beta - step)) / (step * step);
            assert!((curvature - second).abs() < 1e-4, "{curvature} {second}");
        }
    }

    #[test]
    fn threads_and_the_cut_into_images_change_no_bit() {
        let (probabilities, labels) = drawn(30_000, 3, 2.0);
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut sample = CalibrationSample::new(3, None);
                for image in 0..3 {
                    let (from, to) = (image * 10_000, (image + 1) * 10_000);
                    sample.add(&probabilities[3 * from..3 * to], &labels[from..to]);
                }
                sample.fit()
            })
        };
        let one = of(1);
        assert!(one.is_some() && one == of(3) && one == sample(&probabilities, &labels, 3).fit());
    }

    #[test]
    fn a_sample_is_even_and_bounded() {
        let mut sample = CalibrationSample { most: 9, ..CalibrationSample::new(2, Some(255)) };
        // The probability tells the number of the pixel with a known class.
        let labels: Vec<u8> = (0..200).map(|i| if i % 5 == 4 { 255 } else { 1 }).collect();
        let known = labels.iter().scan(0, |known, &label| {
            *known += u32::from(label != 255);
            Some((*known - 1) as f32)
        });
        let probabilities: Vec<f32> = known.flat_map(|known| [known, 0.0]).collect();
        for (probabilities, labels) in probabilities.chunks(2 * 37).zip(labels.chunks(37)) {
            sample.add(probabilities, labels);
        }
        assert_eq!((sample.seen, sample.stride), (160, 27));
        let numbers: Vec<f32> = sample.probabilities.iter().step_by(2).copied().collect();
        assert_eq!(numbers, [0.0, 27.0, 54.0, 81.0, 108.0, 135.0]);
        assert_eq!(sample.labels, [1; 6]);
        assert_eq!(CalibrationSample::new(4, None).most, 1 << 18);
        assert_eq!(CalibrationSample::new(256, None).most, 1 << 16);
    }

    #[test]
    fn too_few_pixels_give_none_and_extremes_stay_within_bounds() {
        let (probabilities, labels) = drawn(999, 3, 2.0);
        assert_eq!(sample(&probabilities, &labels, 3).fit(), None);
        assert_eq!(sample(&[1.0; 2000], &[0; 2000], 1).fit(), None);
        // Always right: as cold as allowed. Always wrong with certainty, also of probability 0: as hot as allowed.
        let right = sample(&[0.6, 0.4].repeat(2000), &[0; 2000], 2).fit().unwrap();
        assert_eq!(right.temperature, 0.05);
        let wrong = sample(&[1.0, 0.0].repeat(2000), &[1; 2000], 2).fit().unwrap();
        assert_eq!(wrong.temperature, 20.0);
        assert!(wrong.log_loss.iter().all(|loss| loss.is_finite()));
    }
}
