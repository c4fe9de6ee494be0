//! How much a score would change with other images and other seeds: the bootstrap (Efron and Tibshirani 1993, ch. 13, 16).
//!
//! One resample draws as many images as the set has, and as many seeds, with replacement. A method's score is the mean, over
//! the drawn seeds, of the mIoU over the drawn images. The drawn images are the same for all methods, and so are the seeds of
//! methods that were run with the same ones, so that differences are paired. Images are assumed to be independent: for crops
//! of one specimen, intervals are too narrow. They are also too narrow for few images or seeds.
//!
//! Images are drawn again if a class of the set is missing in them: the mean would be taken over other classes. (Not if the mean
//! is taken over images, each of which has its own classes.)

use super::averaging::{Averaging, Overlap};
use matssl_base::random::Stream;
use rayon::prelude::*;

/// Number of resamples.
pub const RESAMPLES: usize = 2000;

/// Largest number of draws of images for one resample; after that the resample has no score.
const DRAWS: usize = 1000;

/// The results of one method on a set of images.
#[derive(Clone, Debug)]
pub struct Sampled {
    /// The seed of each run; `None` for a run without random numbers.
    pub seeds: Vec<Option<u64>>,
    /// `[seed, image, class]`, the images the same and in the same order for all methods.
    pub overlaps: Vec<Vec<Vec<Overlap>>>,
}

/// The score of each method in each of [`RESAMPLES`] resamples, `[method, resample]`; `None` where no class has a
/// pixel. The same for any number of threads.
pub fn resample(methods: &[&Sampled], averaging: Averaging, batch: usize) -> Vec<Vec<Option<f64>>> {
    let images = methods.first().and_then(|method| method.overlaps.first()).map_or(0, Vec::len);
    if images == 0 {
        return vec![vec![None; RESAMPLES]; methods.len()];
    }
    // Methods with the same seeds share their draws.
    let mut lists: Vec<&[Option<u64>]> = Vec::new();
    for method in methods {
        if !lists.contains(&method.seeds.as_slice()) {
            lists.push(&method.seeds);
        }
    }
    let complete = Classes::of(methods);
    let draw = |number: usize| {
        let mut stream = Stream::new(0, "bootstrap images", 0, number as u64);
        let mut draw = || -> Vec<usize> { (0..images).map(|_| stream.below(images as u64) as usize).collect() };
        let is_complete = |drawn: &Vec<usize>| averaging == Averaging::Images || complete.are_in(drawn);
        let Some(drawn) = (0..DRAWS).map(|_| draw()).find(is_complete) else { return vec![None; methods.len()] };
        let seeds: Vec<Vec<usize>> = lists
            .iter()
            .enumerate()
            .map(|(list, seeds)| {
                let mut stream = Stream::new(0, "bootstrap seeds", list as u64, number as u64);
                seeds.iter().map(|_| stream.below(seeds.len() as u64) as usize).collect()
            })
            .collect();
        let score = |method: &&Sampled| {
            let list = lists.iter().position(|list| *list == method.seeds.as_slice())?;
            let drawn_seeds = &seeds[list];
            let mut known: Vec<Option<f64>> = vec![None; method.seeds.len()];
            let mut sum = 0.0;
            for &seed in drawn_seeds {
                if known[seed].is_none() {
                    let images = drawn.iter().map(|&image| method.overlaps[seed][image].as_slice());
                    known[seed] = averaging.miou(images, batch);
                }
                sum += known[seed]?;
            }
            Some(sum / drawn_seeds.len() as f64)
        };
        methods.iter().map(score).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<Option<f64>>> = (0..RESAMPLES).into_par_iter().map(draw).collect();
    (0..methods.len()).map(|method| rows.iter().map(|row| row[method]).collect()).collect()
}

/// Which classes have pixels (in truth or prediction) in which images, for each run of each method.
struct Classes(Vec<Vec<Vec<bool>>>);

impl Classes {
    fn of(methods: &[&Sampled]) -> Self {
        let has = |image: &Vec<Overlap>| image.iter().map(|overlap| overlap.either > 0).collect();
        let runs = methods.iter().flat_map(|method| &method.overlaps);
        // Most runs have the same classes.
        let mut distinct: Vec<Vec<Vec<bool>>> = Vec::new();
        for run in runs {
            let run = run.iter().map(has).collect();
            if !distinct.contains(&run) {
                distinct.push(run);
            }
        }
        Classes(distinct)
    }

    /// Whether, for each run, the images `drawn` contain all classes that any of its images contains.
    fn are_in(&self, drawn: &[usize]) -> bool {
        self.0.iter().all(|run| {
            let classes = run.first().map_or(0, Vec::len);
            (0..classes)
                .all(|class| drawn.iter().any(|&image| run[image][class]) || !run.iter().any(|image| image[class]))
        })
    }
}

/// The central 95 % of resampled scores (percentile interval, quantiles interpolated as numpy does); `None` if any
/// resample has no score.
pub fn interval(scores: &[Option<f64>]) -> Option<[f64; 2]> {
    let mut sorted = scores.iter().copied().collect::<Option<Vec<f64>>>()?;
    sorted.sort_by(f64::total_cmp);
    let quantile = |share: f64| {
        let position = share * (sorted.len().checked_sub(1)? as f64);
        let (low, part) = (position.floor() as usize, position.fract());
        let high = (low + 1).min(sorted.len() - 1);
        Some(sorted[low] + part * (sorted[high] - sorted[low]))
    };
    Some([quantile(0.025)?, quantile(0.975)?])
}

/// Smallest number of images with which a sign test can give less than 5 %.
pub const LEAST_IMAGES: usize = 6;

/// Two-sided p-value of "both methods have the same score", from resamples of `images` images: twice the share of resamples in
/// which the difference has the rarer sign, at most 1. Zeros count on both sides, and one resample is added to each side, so
/// that p is never 0. It is also at least 2 · 2^−images, the result of a sign test in which all images agree, because with few
/// images all resamples may have one sign by chance. `None` for fewer than [`LEAST_IMAGES`] images, or if a resample has no
/// score.
pub fn paired_p(ours: &[Option<f64>], theirs: &[Option<f64>], images: usize) -> Option<f64> {
    if images < LEAST_IMAGES {
        return None;
    }
    let (mut below, mut above, mut count) = (1usize, 1usize, 1usize);
    for (ours, theirs) in ours.iter().zip(theirs) {
        let difference = (*ours)? - (*theirs)?;
        below += usize::from(difference <= 0.0);
        above += usize::from(difference >= 0.0);
        count += 1;
    }
    let least = 2.0 * 0.5_f64.powi(images.min(60) as i32);
    (count > 1).then(|| (2.0 * below.min(above) as f64 / count as f64).max(least).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One class; the share of right pixels of each image, by seed.
    fn method(seeds: &[u64], shares: &[&[u64]]) -> Sampled {
        let image = |&both: &u64| vec![Overlap { both, either: 100 }];
        Sampled {
            seeds: seeds.iter().map(|&seed| Some(seed)).collect(),
            overlaps: shares.iter().map(|images| images.iter().map(image).collect()).collect(),
        }
    }

    const IMAGES: [u64; 8] = [50, 60, 70, 80, 55, 65, 75, 85];

    #[test]
    fn the_interval_reaches_about_two_standard_errors_to_each_side_for_any_number_of_threads() {
        let one = method(&[0], &[&IMAGES]);
        let scores = resample(&[&one], Averaging::Images, 1);
        let [low, high] = interval(&scores[0]).unwrap();
        // Standard deviation with divisor n of the images: 11.46 %; over √8: 4.05 %.
        assert!((low - (0.675 - 1.96 * 0.0405)).abs() < 0.006, "{low}");
        assert!((high - (0.675 + 1.96 * 0.0405)).abs() < 0.006, "{high}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(pool.install(|| resample(&[&one], Averaging::Images, 1)), scores);
    }

    #[test]
    fn seeds_are_drawn_too() {
        let apart = method(&[0, 1], &[&[40; 8], &[80; 8]]);
        let scores = &resample(&[&apart], Averaging::Pooled, 1)[0];
        assert_eq!(interval(scores), Some([0.4, 0.8]));
        let middle = scores.iter().filter(|score| score.is_some_and(|s| (s - 0.6).abs() < 1e-12)).count();
        assert!((900..1100).contains(&middle), "{middle} of 2,000 should be near half");
    }

    #[test]
    fn pairing_distinguishes_a_small_constant_difference_from_chance() {
        let ahead: Vec<u64> = IMAGES.iter().map(|share| share + 1).collect();
        let mixed: Vec<u64> =
            IMAGES.iter().enumerate().map(|(i, share)| if i % 2 == 0 { share + 1 } else { share - 1 }).collect();
        let methods = [method(&[0], &[&IMAGES]), method(&[0], &[&ahead]), method(&[0], &[&mixed])];
        let scores = resample(&methods.iter().collect::<Vec<_>>(), Averaging::Images, 1);
        // All resamples agree: the smallest possible p, for many images and for eight.
        assert_eq!(paired_p(&scores[0], &scores[1], 100), Some(2.0 / 2001.0));
        assert_eq!(paired_p(&scores[0], &scores[1], 8), Some(2.0 / 256.0));
        assert_eq!(paired_p(&scores[0], &scores[1], 5), None);
        assert!(paired_p(&scores[0], &scores[2], 8).unwrap() > 0.5);
        assert_eq!(paired_p(&scores[0], &scores[0], 8), Some(1.0));
        assert_eq!(paired_p(&scores[0], &scores[1], 8), paired_p(&scores[1], &scores[0], 8));
    }

    /// A class that only one of four images has is missing in every third resample.
    #[test]
    fn a_resample_has_all_classes_of_the_set() {
        let common = |both| Overlap { both, either: 100 };
        let rare = |either| Overlap { both: 0, either };
        let images = [60, 70, 80, 90].map(|both| vec![common(both), rare(if both == 60 { 100 } else { 0 })]);
        let one = Sampled { seeds: vec![Some(0)], overlaps: vec![images.to_vec()] };
        for averaging in [Averaging::Pooled, Averaging::Batches] {
            let [low, high] = interval(&resample(&[&one], averaging, 8)[0]).unwrap();
            // The common class alone would be 0.6 to 0.9, and its mean with the missed one half of that.
            assert!(low >= 0.3 && high <= 0.45, "{averaging:?}: {low} to {high}");
        }
        // In a mean over images, each image has its own classes.
        let [_, high] = interval(&resample(&[&one], Averaging::Images, 8)[0]).unwrap();
        assert!(high > 0.8, "{high}");
    }

    #[test]
    fn without_images_or_pixels_there_is_no_interval_and_no_p() {
        let none = method(&[0], &[&[]]);
        assert_eq!(interval(&resample(&[&none], Averaging::Pooled, 1)[0]), None);
        let blank = Sampled { seeds: vec![None], overlaps: vec![vec![vec![Overlap::default()]; 3]] };
        let scores = resample(&[&blank, &blank], Averaging::Pooled, 1);
        assert_eq!((interval(&scores[0]), paired_p(&scores[0], &scores[1], 8)), (None, None));
        assert_eq!((interval(&[]), paired_p(&[], &[], 8)), (None, None));
    }

    #[test]
    fn quantiles_agree_with_numpy() {
        // numpy.quantile([1, 2, 4, 8, 16], [0.025, 0.975])
        let scores: Vec<Option<f64>> = [8.0, 1.0, 16.0, 2.0, 4.0].map(Some).to_vec();
        let [low, high] = interval(&scores).unwrap();
        assert!((low - 1.1).abs() < 1e-12 && (high - 15.2).abs() < 1e-12, "{low} {high}");
    }
}
