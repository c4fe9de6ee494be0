//! The smallest and the largest of some values.

/// An extent; of no values, the smallest is larger than the largest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extent {
    /// The smallest value that is a number.
    pub(super) smallest: f64,
    /// The largest value that is a number.
    pub(super) largest: f64,
    /// Whether all values are numbers.
    pub(super) is_finite: bool,
}

impl Extent {
    /// That of no values.
    pub(super) const NONE: Extent = Extent { smallest: f64::MAX, largest: f64::MIN, is_finite: true };

    /// That of whole numbers.
    pub(super) fn of_whole(values: impl Iterator<Item = u16>) -> Extent {
        let ends = values.fold(None, |ends: Option<(u16, u16)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        ends.map_or(Extent::NONE, |(smallest, largest)| Extent {
            smallest: smallest.into(),
            largest: largest.into(),
            is_finite: true,
        })
    }

    /// That of values of which some may be no numbers.
    pub(super) fn of_real(values: impl Iterator<Item = f64>) -> Extent {
        values.fold(Extent::NONE, |extent, value| match value.is_finite() {
            true => extent.join(Extent { smallest: value, largest: value, is_finite: true }),
            false => Extent { is_finite: false, ..extent },
        })
    }

    /// That of both together.
    pub(super) fn join(self, other: Extent) -> Extent {
        Extent {
            smallest: self.smallest.min(other.smallest),
            largest: self.largest.max(other.largest),
            is_finite: self.is_finite && other.is_finite,
        }
    }

    /// Whether all values are `value`.
    pub(super) fn is_only(self, value: f64) -> bool {
        self.is_finite && self.smallest == value && self.largest == value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_of_parts_join_to_the_extent_of_all() {
        let of = |values: &[f64]| Extent::of_real(values.iter().copied());
        assert_eq!(of(&[3.0, -1.0]).join(of(&[9.0])), of(&[3.0, -1.0, 9.0]));
        assert_eq!(of(&[3.0, f64::NAN]), Extent { smallest: 3.0, largest: 3.0, is_finite: false });
        assert_eq!(Extent::of_whole([7, 2].into_iter()), of(&[2.0, 7.0]));
        assert_eq!(Extent::of_whole(std::iter::empty()).join(of(&[5.0])), of(&[5.0]));
        assert!(of(&[1.0, 1.0]).is_only(1.0));
        assert!(!of(&[1.0, 0.9]).is_only(1.0) && !of(&[1.0, f64::INFINITY]).is_only(1.0));
        assert!(!Extent::NONE.is_only(1.0));
    }
}
