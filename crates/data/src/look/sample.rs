//! An evenly spaced part of a list.

/// At most `most` of `items`, evenly spaced, the first among them.
pub(super) fn sample<T>(items: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = items.len().min(most);
    (0..count).map(move |i| &items[i * items.len() / count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_evenly_spaced() {
        let items: Vec<usize> = (0..10).collect();
        assert_eq!(sample(&items, 5).copied().collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        assert_eq!(sample(&items, 50).count(), 10);
        assert_eq!(sample(&items[..0], 5).count(), 0);
    }
}
