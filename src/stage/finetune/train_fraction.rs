//! `train_fraction` and `train_images`: trains on a subset of the labelled images, for an ablation over the number of labels.

use super::Finetune;
use crate::random::Stream;
use std::collections::BTreeSet;

impl Finetune {
    /// Keeps the `train_fraction` of `samples`, or `train_images` of them, in their order. A smaller part is a subset of a larger one. The
    /// choice depends only on the seed, so that encoders are compared on the same images.
    ///
    /// # Errors
    /// A message with the numbers, if none is kept, or there are fewer.
    pub(super) fn keep_fraction<T>(&self, samples: &mut Vec<T>, seed: u64) -> Result<(), String> {
        let all = samples.len();
        let count = match self.train_images {
            Some(images) if images.get() > all => {
                return Err(format!(
                    "train_images = {images}, but there are {all} training images (without those of `folds` and `val_fraction`): set {all} or fewer"
                ));
            }
            Some(images) => images.get(),
            None => (all as f64 * self.train_fraction).round() as usize,
        };
        if count == 0 {
            return Err(format!(
                "train_fraction = {} leaves none of {all} training images: expected {:.3} or more",
                self.train_fraction,
                1.0 / all as f64
            ));
        }
        if count < all {
            let order = Stream::new(seed, "train_fraction", 0, 0).permutation(all);
            let kept: BTreeSet<usize> = order[..count].iter().copied().collect();
            let mut index = 0..all;
            samples.retain(|_| index.next().is_some_and(|index| kept.contains(&index)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TOY, parse};
    use super::*;

    /// The numbers of the images that are kept of twenty.
    fn kept(fraction: f64, seed: u64) -> Result<Vec<u8>, String> {
        let stage = parse::<Finetune>(&format!("{TOY}train_fraction = {fraction:?}\n")).unwrap();
        let mut samples: Vec<u8> = (0..20).collect();
        stage.keep_fraction(&mut samples, seed)?;
        Ok(samples)
    }

    #[test]
    fn smaller_fractions_are_subsets_and_seeds_differ() {
        let (quarter, half) = (kept(0.25, 7).unwrap(), kept(0.5, 7).unwrap());
        assert_eq!((quarter.len(), half.len(), kept(1.0, 7).unwrap().len()), (5, 10, 20));
        assert!(quarter.iter().all(|image| half.contains(image)), "{quarter:?} {half:?}");
        assert!(half.is_sorted());
        assert_ne!(quarter, kept(0.25, 8).unwrap());
        assert_eq!(
            kept(0.02, 7).unwrap_err(),
            "train_fraction = 0.02 leaves none of 20 training images: expected 0.050 or more"
        );
    }

    #[test]
    fn a_number_of_images_is_the_same_choice_as_its_fraction() {
        let images = |count: usize| {
            let stage = parse::<Finetune>(&format!("{TOY}train_images = {count}\n")).unwrap();
            let mut samples: Vec<u8> = (0..20).collect();
            stage.keep_fraction(&mut samples, 7).map(|()| samples)
        };
        assert_eq!(images(5), kept(0.25, 7));
        assert_eq!(images(20).unwrap().len(), 20);
        let message = images(21).unwrap_err();
        assert_eq!(
            message,
            "train_images = 21, but there are 20 training images (without those of `folds` and `val_fraction`): set 20 or fewer"
        );
        let both = crate::stage::pretrain::tests::refused::<Finetune>(&format!(
            "{TOY}train_fraction = 0.5\ntrain_images = 5\n"
        ));
        assert_eq!(both, "says the same as `train_fraction`: leave out one of them");
    }

    #[test]
    fn a_fraction_of_one_does_not_change_the_key() {
        let json = |text: &str| serde_json::to_value(parse::<Finetune>(text).unwrap()).unwrap();
        let all = json(&format!("{TOY}train_fraction = 1.0\n"));
        assert_eq!(all, json(TOY));
        assert!(all.get("train_fraction").is_none());
    }
}
