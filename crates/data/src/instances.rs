//! Label images whose values number the objects, as StarDist, Cellpose, napari and ImageJ save them.

/// The largest value of `labels`, if they look like numbers of objects rather than classes or grey levels: values without gaps,
/// at least three more than there are classes, in runs of two or more pixels on average.
pub(crate) fn number_of_instances(labels: &[u8], classes: usize) -> Option<u8> {
    let mut seen = [false; 256];
    labels.iter().for_each(|&label| seen[usize::from(label)] = true);
    let runs = labels.chunk_by(|a, b| a == b).count();
    let largest = seen.iter().rposition(|&seen| seen)?;
    let all = seen[1..=largest].iter().all(|&seen| seen);
    (all && largest >= classes + 2 && 2 * runs <= labels.len()).then(|| u8::try_from(largest).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_without_gaps_beyond_the_classes_are_instances() {
        let number = |labels: &[u8]| number_of_instances(&labels.repeat(2), 2);
        let blobs = |labels: &[u8]| number_of_instances(&labels.iter().flat_map(|&l| [l; 3]).collect::<Vec<_>>(), 2);
        assert_eq!(blobs(&[0, 1, 2, 3, 4]), Some(4));
        assert_eq!(blobs(&[4, 3, 2, 1]), Some(4));
        assert_eq!(number(&[0, 1, 2, 3, 4]), None, "grey levels");
        assert_eq!(blobs(&[0, 1, 2, 3]), None);
        assert_eq!(blobs(&[0, 1, 2, 4, 255]), None);
        assert_eq!(blobs(&[0, 0]), None);
        assert_eq!(number_of_instances(&[], 2), None);
    }
}
