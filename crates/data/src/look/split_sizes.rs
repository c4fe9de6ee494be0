//! How many labelled images to validate and to test on.

/// Images for each split, drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SplitSizes {
    /// To train on.
    pub train: usize,
    /// To choose the epoch by.
    pub val: usize,
    /// To score on.
    pub test: usize,
}

/// A split of `labelled` images: a fifth each to validate and to test on, at least one of each. Two images are one to train
/// on and one to score on; a single one is trained on.
pub fn split_sizes(labelled: usize) -> SplitSizes {
    let fifth = ((labelled + 2) / 5).max(1);
    let (val, test) = match labelled {
        0 | 1 => (0, 0),
        2 => (0, 1),
        _ => (fifth, fifth),
    };
    SplitSizes { train: labelled - val - test, val, test }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_left_to_train_on() {
        let of = |labelled| {
            let SplitSizes { train, val, test } = split_sizes(labelled);
            (train, val, test)
        };
        assert_eq!([0, 1, 2, 3, 4].map(of), [(0, 0, 0), (1, 0, 0), (1, 0, 1), (1, 1, 1), (2, 1, 1)]);
        assert_eq!([8, 20, 42].map(of), [(4, 2, 2), (12, 4, 4), (26, 8, 8)]);
    }
}
