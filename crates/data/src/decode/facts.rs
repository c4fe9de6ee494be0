//! What all pixels of an image together decide of how it is read.

use super::extent::Extent;
use super::options::ImageOptions;
use super::stored::{Stored, Values};

/// Facts about the values of an image, or of a part of it.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The indices into a palette that occur.
    pub(super) used: [bool; 256],
    /// The extent of each channel that matters. Values of 8 bits matter only where there may be alpha.
    extents: Vec<(usize, Extent)>,
}

impl Facts {
    /// Those of no pixels.
    pub(super) fn none() -> Self {
        Facts { used: [false; 256], extents: Vec::new() }
    }

    /// Those of all pixels of `stored`, which is read with `options`.
    pub(super) fn of(stored: &Stored, options: &ImageOptions) -> Self {
        let mut facts = Facts::none();
        if let (Some(_), Values::U8(indices)) = (&stored.palette, &stored.values) {
            indices.iter().for_each(|&index| facts.used[usize::from(index)] = true);
            return facts;
        }
        let channels = stored.channels;
        let matter = match (&options.channels, &stored.values) {
            (Some(_), Values::U8(_)) => Vec::new(),
            (Some(picked), _) => picked.iter().copied().filter(|&channel| channel < channels).collect(),
            (None, Values::U8(_)) if channels == stored.colours => Vec::new(),
            // More channels are refused, whatever their values are.
            (None, _) if channels > stored.colours + 1 => Vec::new(),
            (None, _) => (0..channels).collect(),
        };
        let extent = |channel: usize| match &stored.values {
            Values::U8(values) => Extent::of_whole(every(values, channel, channels).map(|&value| value.into())),
            Values::U16(values) => Extent::of_whole(every(values, channel, channels).copied()),
            Values::Real(values, _) => Extent::of_real(every(values, channel, channels).copied()),
        };
        facts.extents = matter.into_iter().map(|channel| (channel, extent(channel))).collect();
        facts
    }

    /// Those of both parts together.
    pub(super) fn join(&mut self, other: &Facts) {
        self.used.iter_mut().zip(other.used).for_each(|(used, other)| *used |= other);
        for &(channel, extent) in &other.extents {
            match self.extents.iter_mut().find(|(known, _)| *known == channel) {
                Some((_, known)) => *known = known.join(extent),
                None => self.extents.push((channel, extent)),
            }
        }
    }

    /// The extent of one channel.
    pub(super) fn channel(&self, channel: usize) -> Extent {
        self.extents.iter().find(|(known, _)| *known == channel).map_or(Extent::NONE, |(_, extent)| *extent)
    }

    /// The extent of `channels` together.
    pub(super) fn channels(&self, channels: impl IntoIterator<Item = usize>) -> Extent {
        channels.into_iter().fold(Extent::NONE, |all, channel| all.join(self.channel(channel)))
    }
}

fn every<T>(values: &[T], channel: usize, channels: usize) -> impl Iterator<Item = &T> {
    values[channel.min(values.len())..].iter().step_by(channels)
}
