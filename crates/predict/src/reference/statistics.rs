//! Measures the statistics of an image in a stream of rows.

use super::GreyStatistics;
use matssl_data::Micrograph;

/// Largest part of the pixels below `dark`, and above `bright`.
const TAIL: f64 = 0.01;

/// Measures an image, from top to bottom. It holds three rows. Sums are of integers, so the cut into bands changes no bit.
#[derive(Clone, Debug)]
pub struct ImageStatistics {
    channels: usize,
    /// The row that comes next.
    next: usize,
    levels: Vec<Levels>,
}

/// One measured channel.
#[derive(Clone, Debug)]
struct Levels {
    histogram: [u64; 256],
    /// The last two rows.
    above: [Vec<u8>; 2],
    /// Sum of the absolute second differences, and their number.
    differences: (u64, u64),
}

impl ImageStatistics {
    /// Nothing measured yet, of an image of `channels` channels.
    pub fn new(channels: usize) -> Self {
        let measured = if channels == 3 { 1 } else { channels };
        let levels = Levels { histogram: [0; 256], above: Default::default(), differences: (0, 0) };
        ImageStatistics { channels, next: 0, levels: vec![levels; measured] }
    }

    /// The statistics of a whole image.
    pub fn of(image: &Micrograph) -> Vec<GreyStatistics> {
        let mut statistics = Self::new(image.channels);
        statistics.add(0, image);
        statistics.finish()
    }

    /// Adds rows, which start at row `top` of the image. Rows that were added before are left out, so bands may overlap.
    ///
    /// # Panics
    /// If the rows have other channels.
    pub fn add(&mut self, top: usize, rows: &Micrograph) {
        assert_eq!(rows.channels, self.channels, "channels of rows");
        let line = rows.width * rows.channels;
        if line == 0 {
            return;
        }
        if top > self.next {
            // Rows are missing in between: no second differences across the gap.
            self.levels.iter_mut().for_each(|levels| levels.above = Default::default());
        }
        for (_, row) in (top..).zip(rows.pixels.chunks_exact(line)).filter(|(y, _)| *y >= self.next) {
            for (channel, levels) in self.levels.iter_mut().enumerate() {
                let values = match rows.channels {
                    1 => row.to_vec(),
                    3 => row.as_chunks::<3>().0.iter().map(grey).collect(),
                    channels => row.iter().skip(channel).step_by(channels).copied().collect(),
                };
                levels.add(values);
            }
        }
        self.next = self.next.max(top + rows.height);
    }

    /// The statistics of each channel; one for grey and RGB images.
    pub fn finish(&self) -> Vec<GreyStatistics> {
        self.levels.iter().map(Levels::finish).collect()
    }
}

fn grey(&[r, g, b]: &[u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

impl Levels {
    fn add(&mut self, row: Vec<u8>) {
        row.iter().for_each(|&level| self.histogram[usize::from(level)] += 1);
        let [first, second] = &self.above;
        if first.len() == row.len() {
            // [1, -2, 1] down and then across: what is linear in either direction is 0.
            let down = |x: usize| i32::from(first[x]) - 2 * i32::from(second[x]) + i32::from(row[x]);
            let across = |x: usize| (down(x - 1) - 2 * down(x) + down(x + 1)).unsigned_abs();
            self.differences.0 += (1..row.len().saturating_sub(1)).map(|x| u64::from(across(x))).sum::<u64>();
            self.differences.1 += row.len().saturating_sub(2) as u64;
        }
        self.above.swap(0, 1);
        self.above[1] = row;
    }

    fn finish(&self) -> GreyStatistics {
        let pixels = self.histogram.iter().sum::<u64>();
        let all = pixels.max(1) as f64;
        let levels = || (0u64..).zip(self.histogram);
        let mean = levels().map(|(level, count)| level * count).sum::<u64>() as f64 / all;
        let squares = levels().map(|(level, count)| count as f64 * (level as f64 - mean).powi(2)).sum::<f64>();
        let quantile = |part: f64| {
            let least = (part * all).ceil().max(1.0) as u64;
            let reached = levels().scan(0, |sum, (level, count)| {
                *sum += count;
                Some((level, *sum))
            });
            reached.into_iter().find(|(_, sum)| *sum >= least).map_or(0.0, |(level, _)| level as f64)
        };
        // The mask's coefficients have a sum of squares of 36, and E|x| = σ √(2/π).
        let (sum, count) = self.differences;
        let noise = (std::f64::consts::PI / 2.0).sqrt() / 6.0 * sum as f64 / count.max(1) as f64;
        let contrast = (squares / all).sqrt();
        GreyStatistics { mean, contrast, dark: quantile(TAIL), bright: quantile(1.0 - TAIL), noise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use matssl_base::random::Stream;

    fn noisy(width: usize, height: usize, sigma: f64) -> Micrograph {
        let mut stream = Stream::new(8, "statistics test", 0, 0);
        let level = |x: usize, y: usize| 60.0 + 0.3 * x as f64 + 0.2 * y as f64;
        let pixels = (0..width * height).map(|i| (level(i % width, i / width) + sigma * stream.normal()).round() as u8);
        Micrograph { width, height, channels: 1, pixels: pixels.collect() }
    }

    #[test]
    fn statistics_are_right_by_hand() {
        let image = Micrograph { width: 3, height: 3, channels: 1, pixels: vec![0, 0, 0, 0, 9, 0, 0, 0, 0] };
        let [found] = ImageStatistics::of(&image)[..] else { panic!("one channel") };
        assert!((found.mean - 1.0).abs() < 1e-12 && (found.contrast - 8f64.sqrt()).abs() < 1e-12);
        assert_eq!((found.dark, found.bright), (0.0, 9.0));
        // The mask is 4 in its middle.
        assert!((found.noise - (std::f64::consts::PI / 2.0).sqrt() / 6.0 * 36.0).abs() < 1e-12);
        let image = Micrograph { width: 1, height: 200, channels: 1, pixels: (0..200).collect() };
        let [found] = ImageStatistics::of(&image)[..] else { panic!("one channel") };
        assert_eq!((found.dark, found.bright, found.noise), (1.0, 197.0, 0.0));
    }

    #[test]
    fn noise_is_found_on_a_gradient() {
        for sigma in [2.0, 8.0] {
            let [found] = ImageStatistics::of(&noisy(200, 150, sigma))[..] else { panic!("one channel") };
            // Rounding adds 1/12.
            assert!(
                (found.noise - (sigma * sigma + 1.0 / 12.0).sqrt()).abs() < 0.02 * sigma,
                "{sigma}: {}",
                found.noise
            );
        }
    }

    #[test]
    fn bands_that_overlap_give_the_statistics_of_the_whole() {
        let image = noisy(31, 40, 5.0);
        let mut statistics = ImageStatistics::new(1);
        for (top, bottom) in [(0, 7), (3, 9), (3, 5), (9, 10), (10, 40)] {
            let pixels = image.pixels[31 * top..31 * bottom].to_vec();
            statistics.add(top, &Micrograph { width: 31, height: bottom - top, channels: 1, pixels });
        }
        assert_eq!(statistics.finish(), ImageStatistics::of(&image));
    }

    #[test]
    fn rgb_is_measured_as_grey_and_other_channels_apart() {
        let grey = noisy(20, 20, 4.0);
        let rgb =
            Micrograph { channels: 3, pixels: grey.pixels.iter().flat_map(|&v| [v; 3]).collect(), ..grey.clone() };
        assert_eq!(ImageStatistics::of(&rgb), ImageStatistics::of(&grey));
        let two =
            Micrograph { channels: 2, pixels: grey.pixels.iter().flat_map(|&v| [v, 7]).collect(), ..grey.clone() };
        let found = ImageStatistics::of(&two);
        assert_eq!(found[0], ImageStatistics::of(&grey)[0]);
        assert_eq!((found[1].mean, found[1].contrast, found[1].noise), (7.0, 0.0, 0.0));
    }
}
