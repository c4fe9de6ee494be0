//! Training on fewer labelled images than there are: what an ablation of the label fraction varies.

use super::{Finetune, Samples};
use crate::random::Stream;
use crate::stage::StageError;
use std::collections::BTreeSet;

impl Finetune {
    /// Leaves the `train_fraction` of `samples`, in their order. A smaller fraction's images are among a larger one's;
    /// which they are depends on the seed alone, so that encoders are compared on the same ones.
    pub(super) fn keep_fraction(&self, samples: &mut Samples, seed: u64) -> Result<(), StageError> {
        let all = samples.len();
        let count = (all as f64 * self.train_fraction).round() as usize;
        if count == 0 {
            return Err(StageError::BadData(format!(
                "train_fraction = {} leaves none of {all} training images: give {:.3} or more",
                self.train_fraction,
                1.0 / all as f64
            )));
        }
        if count < all {
            let order = Stream::new(seed, "train_fraction", 0, 0).permutation(all);
            let kept: BTreeSet<usize> = order[..count].iter().copied().collect();
            let mut place = 0..all;
            samples.retain(|_| place.next().is_some_and(|place| kept.contains(&place)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TOY, parse};
    use super::*;
    use crate::data::{Mask, Micrograph};

    /// Which of twenty images are left.
    fn left(fraction: f64, seed: u64) -> Result<Vec<u8>, String> {
        let stage = parse::<Finetune>(&format!("{TOY}train_fraction = {fraction:?}\n")).unwrap();
        let sample = |number: u8| {
            let image = Micrograph { width: 1, height: 1, channels: 1, pixels: vec![number] };
            (image, Mask { width: 1, height: 1, labels: vec![0] })
        };
        let mut samples: Samples = (0..20).map(sample).collect();
        stage.keep_fraction(&mut samples, seed).map_err(|error| error.to_string())?;
        Ok(samples.into_iter().map(|(image, _)| image.pixels[0]).collect())
    }

    #[test]
    fn fewer_images_are_among_more_and_another_seed_takes_others() {
        let (quarter, half) = (left(0.25, 7).unwrap(), left(0.5, 7).unwrap());
        assert_eq!((quarter.len(), half.len(), left(1.0, 7).unwrap().len()), (5, 10, 20));
        assert!(quarter.iter().all(|image| half.contains(image)), "{quarter:?} {half:?}");
        assert!(half.is_sorted());
        assert_ne!(quarter, left(0.25, 8).unwrap());
        assert_eq!(
            left(0.02, 7).unwrap_err(),
            "train_fraction = 0.02 leaves none of 20 training images: give 0.050 or more"
        );
    }

    #[test]
    fn all_images_are_what_it_was_before() {
        let json = |text: &str| serde_json::to_value(parse::<Finetune>(text).unwrap()).unwrap();
        let all = json(&format!("{TOY}train_fraction = 1.0\n"));
        assert_eq!(all, json(TOY));
        assert!(all.get("train_fraction").is_none());
    }
}
