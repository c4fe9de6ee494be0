//! Label images whose values number the objects, as StarDist, Cellpose, napari and ImageJ save them.

/// The largest value of `labels`, if they look like numbers of objects rather than classes: values without gaps, at least three
/// more than there are classes.
pub(crate) fn number_of_instances(labels: &[u8], classes: usize) -> Option<u8> {
    let mut seen = [false; 256];
    labels.iter().for_each(|&label| seen[usize::from(label)] = true);
    let largest = seen.iter().rposition(|&seen| seen)?;
    let all = seen[1..=largest].iter().all(|&seen| seen);
    (all && largest >= classes + 2).then(|| u8::try_from(largest).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_gaps_beyond_the_classes_are_instances() {
        assert_eq!(number_of_instances(&[0, 1, 2, 3, 4], 2), Some(4));
        assert_eq!(number_of_instances(&[4, 3, 2, 1], 2), Some(4));
        assert_eq!(number_of_instances(&[0, 1, 2, 3], 2), None);
        assert_eq!(number_of_instances(&[0, 1, 2, 4, 255], 2), None);
        assert_eq!(number_of_instances(&[0, 0], 2), None);
        assert_eq!(number_of_instances(&[], 2), None);
    }
}
