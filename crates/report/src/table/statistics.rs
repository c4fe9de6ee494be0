//! Intervals of rows, and tests between them.

use super::row::Comparison;
use super::scores::Table;
use matssl_metrics::{Overlap, Sampled, holm, interval, paired_p, resample, signed_rank};

/// The scores of a method, image by image.
#[derive(Clone, Debug)]
pub struct PerImage {
    /// Names of the images.
    pub images: Vec<String>,
    /// Pixel counts of each image, by seed (ascending).
    pub sampled: Sampled,
}

/// There is no row with the label to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no row {wanted:?} to compare with; there are {}", .labels.join(", "))]
pub struct NoSuchRow {
    wanted: String,
    labels: Vec<String>,
}

impl Table {
    /// Adds the interval of each row whose label is in `methods`, and its tests against the row `compare_with`. Rows that were
    /// scored on other images than that row are tested against the best of them. Needs at least two images.
    ///
    /// # Errors
    /// [`NoSuchRow`].
    pub fn with_statistics(
        mut self,
        methods: &[(String, PerImage)],
        compare_with: Option<&str>,
    ) -> Result<Table, NoSuchRow> {
        if let Some(wanted) = compare_with {
            let labels: Vec<String> =
                self.rows.iter().filter(|row| row.seeds.is_some()).map(|row| row.label.clone()).collect();
            if !labels.iter().any(|label| label == wanted) {
                return Err(NoSuchRow { wanted: wanted.to_owned(), labels });
            }
        }
        self.tested = true;
        for set in self.sets(methods) {
            self.test(&set, compare_with);
        }
        Ok(self)
    }

    /// Rows (as indices) that were scored on the same images, with their scores.
    fn sets<'a>(&self, methods: &'a [(String, PerImage)]) -> Vec<Vec<(usize, &'a PerImage)>> {
        let mut sets: Vec<Vec<(usize, &PerImage)>> = Vec::new();
        for (index, row) in self.rows.iter().enumerate().filter(|(_, row)| row.seeds.is_some()) {
            let Some((_, own)) = methods.iter().find(|(label, _)| *label == row.label) else { continue };
            if own.images.len() < 2 {
                continue;
            }
            let same = |set: &&mut Vec<(usize, &PerImage)>| {
                set[0].1.images == own.images && self.rows[set[0].0].group == row.group
            };
            match sets.iter_mut().find(same) {
                Some(set) => set.push((index, own)),
                None => sets.push(vec![(index, own)]),
            }
        }
        sets
    }

    /// Intervals and tests of rows that were scored on the same images.
    fn test(&mut self, set: &[(usize, &PerImage)], compare_with: Option<&str>) {
        let (averaging, batch) = self.averaging;
        let sampled: Vec<&Sampled> = set.iter().map(|(_, own)| &own.sampled).collect();
        let scores = resample(&sampled, averaging, batch);
        for ((index, _), scores) in set.iter().zip(&scores) {
            self.rows[*index].interval = interval(scores).map(|bounds| bounds.map(|bound| 100.0 * bound));
        }
        let mean = |member: usize| self.rows[set[member].0].cells[0].map(|cell| cell.mean);
        // The first of equal rows.
        let best = (0..set.len())
            .rev()
            .filter(|&member| mean(member).is_some())
            .max_by(|&a, &b| mean(a).unwrap_or_default().total_cmp(&mean(b).unwrap_or_default()));
        let images = set.first().map_or(0, |(_, own)| own.images.len());
        let named = (0..set.len()).find(|&member| Some(self.rows[set[member].0].label.as_str()) == compare_with);
        let Some(reference) = named.or(best) else { return };
        let Some(its_mean) = mean(reference) else { return };
        let its_seeds = by_seed(sampled[reference], self.averaging);
        let others: Vec<usize> =
            (0..set.len()).filter(|&member| member != reference && mean(member).is_some()).collect();
        let mut comparisons: Vec<Comparison> = others
            .iter()
            .map(|&member| {
                let pairs = paired(&by_seed(sampled[member], self.averaging), &its_seeds);
                Comparison {
                    with: self.rows[set[reference].0].label.clone(),
                    chosen_after: named.is_none(),
                    difference: mean(member).unwrap_or_default() - its_mean,
                    difference_interval: interval(&differences(&scores[member], &scores[reference]))
                        .map(|bounds| bounds.map(|bound| 100.0 * bound)),
                    bootstrap: paired_p(&scores[member], &scores[reference], images),
                    bootstrap_holm: None,
                    wilcoxon: signed_rank(&pairs),
                    wilcoxon_holm: None,
                    common_seeds: pairs.len(),
                    images,
                }
            })
            .collect();
        let bootstrap = holm(&comparisons.iter().map(|c| c.bootstrap).collect::<Vec<_>>());
        let wilcoxon = holm(&comparisons.iter().map(|c| c.wilcoxon).collect::<Vec<_>>());
        for (number, comparison) in comparisons.iter_mut().enumerate() {
            (comparison.bootstrap_holm, comparison.wilcoxon_holm) = (bootstrap[number], wilcoxon[number]);
        }
        for (member, comparison) in others.into_iter().zip(comparisons) {
            self.rows[set[member].0].comparison = Some(comparison);
        }
    }
}

/// The mIoU of each seed; of several folds, which are not independent, the mean.
fn by_seed(sampled: &Sampled, (averaging, batch): (matssl_metrics::Averaging, usize)) -> Vec<(Option<u64>, f64)> {
    let score = |images: &Vec<Vec<Overlap>>| averaging.miou(images.iter().map(Vec::as_slice), batch);
    let runs = sampled.seeds.iter().zip(&sampled.overlaps);
    let mut seeds: Vec<(Option<u64>, Vec<f64>)> = Vec::new();
    for (seed, score) in runs.filter_map(|(&seed, images)| Some((seed, score(images)?))) {
        match seeds.iter_mut().find(|(other, _)| *other == seed) {
            Some((_, scores)) => scores.push(score),
            None => seeds.push((seed, vec![score])),
        }
    }
    let mean = |scores: Vec<f64>| scores.iter().sum::<f64>() / scores.len() as f64;
    seeds.into_iter().map(|(seed, scores)| (seed, mean(scores))).collect()
}

/// Differences of the scores in each resample.
fn differences(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Vec<Option<f64>> {
    ours.iter().zip(theirs).map(|(ours, theirs)| Some((*ours)? - (*theirs)?)).collect()
}

/// Differences of the scores, for the seeds that both have.
fn paired(ours: &[(Option<u64>, f64)], theirs: &[(Option<u64>, f64)]) -> Vec<f64> {
    let other = |seed: Option<u64>| theirs.iter().find(|(other, _)| seed.is_some() && *other == seed);
    ours.iter().filter_map(|&(seed, score)| Some(score - other(seed)?.1)).collect()
}
