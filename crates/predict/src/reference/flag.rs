//! Short names of what is unusual.

use super::grey::MEASURES;

/// The short name of a sentence of [`Reference::judge`](super::Reference::judge), e.g. `noise`, `brightest 1 %`, `features`.
pub fn flag(sentence: &str) -> String {
    for measure in MEASURES {
        let Some(rest) = sentence.strip_prefix(measure.name) else { continue };
        let name = measure.name.split(" (").next().unwrap_or_default().trim_start_matches("grey level of the ");
        let channel = rest.strip_prefix(" of channel ").and_then(|rest| rest.split(' ').next());
        return channel.map_or_else(|| name.to_owned(), |channel| format!("{name} (channel {channel})"));
    }
    if sentence.contains("features") { "features" } else { "other" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{GreyStatistics, KnownImage, Reference};

    #[test]
    fn every_sentence_has_a_short_name() {
        let grey =
            |mean: f64| GreyStatistics { mean, contrast: mean / 4.0, dark: mean, bright: mean, noise: mean / 30.0 };
        let known = |mean: f64| KnownImage {
            image: "a".into(),
            statistics: vec![grey(mean)],
            embeddings: vec![mean as f32, 1.0],
        };
        let training = [90.0, 91.0, 92.0, 93.0].map(known).to_vec();
        let reference = Reference::new(vec!["a".into()], &[], training, Vec::new(), None, (32, 2));
        let found: Vec<String> = reference
            .judge(&[grey(250.0)], Some(&[-500.0, 900.0]), false)
            .iter()
            .map(|sentence| flag(sentence))
            .collect();
        assert_eq!(found, ["mean grey level", "contrast", "darkest 1 %", "brightest 1 %", "noise", "features"]);
        assert_eq!(flag("noise (standard deviation in grey levels) of channel 2 9.1: the"), "noise (channel 2)");
        assert_eq!(flag("it is upside down"), "other");
    }
}
