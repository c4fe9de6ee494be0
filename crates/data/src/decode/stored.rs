//! The values of an image file as they are stored, before anything is made of them.

use super::extent::Extent;
use super::refusal::{Decoded, Refusal};

/// Values of one kind, `[height, width, channels]`.
#[derive(Debug)]
pub(super) enum Values {
    /// Of 1 to 8 bits.
    U8(Vec<u8>),
    /// Of 9 to 16 bits, not negative.
    U16(Vec<u16>),
    /// Of more bits, negative or floating-point.
    Real(Vec<f64>, Real),
}

/// What [`Values::Real`] were in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Real {
    Floating,
    Whole,
}

/// A decoded file. Colours are the first values of a pixel; more values may follow.
#[derive(Debug)]
pub(super) struct Stored {
    /// Width and height as stored, before turning.
    pub(super) size: (usize, usize),
    /// Values a pixel.
    pub(super) channels: usize,
    /// How many of them are grey (1) or RGB (3).
    pub(super) colours: usize,
    /// Whether the file calls the value behind the colours alpha.
    pub(super) has_alpha: bool,
    /// Bits of a value.
    pub(super) bits: u8,
    pub(super) values: Values,
    /// Whether 0 is white.
    pub(super) is_inverted: bool,
    /// The colours that values stand for, RGB and alpha.
    pub(super) palette: Option<Vec<[u8; 4]>>,
    /// 1 to 8.
    pub(super) orientation: u8,
}

impl Stored {
    /// The value of opaque alpha.
    fn opaque(&self) -> f64 {
        match self.values {
            Values::Real(..) => 1.0,
            Values::U8(_) | Values::U16(_) => f64::from((1u32 << self.bits.min(16)) - 1),
        }
    }

    /// Drops a channel behind grey or RGB that is opaque everywhere; `alpha` is the extent of that channel in the whole image.
    ///
    /// # Errors
    /// Transparent pixels; other channels behind the colours.
    pub(super) fn without_alpha(self, alpha: Extent) -> Decoded<Stored> {
        if self.channels == self.colours {
            return Ok(self);
        }
        let (channels, colours) = (self.channels, self.colours);
        if channels == colours + 1 && alpha.is_only(self.opaque()) {
            return self.picked(&(0..colours).collect::<Vec<_>>());
        }
        if self.has_alpha && channels == colours + 1 {
            return Err(transparent());
        }
        let problem = format!("{channels} channels, which are neither grey nor RGB");
        let cure = "set `channels` for the data set, e.g. `channels = [0]` for the first one";
        Err(Refusal::new(problem, cure).or_on_command_line("give `--channels`, e.g. `--channels 0` for the first one"))
    }

    /// The channels `picked` (from 0), in this order.
    ///
    /// # Errors
    /// The file has no such channel.
    pub(super) fn picked(mut self, picked: &[usize]) -> Decoded<Stored> {
        let channels = self.channels;
        if let Some(channel) = picked.iter().find(|&&channel| channel >= channels) {
            let has = if channels == 1 { "1 channel".to_owned() } else { format!("{channels} channels") };
            let problem = format!("{has}, and `channels` names channel {channel} (they are counted from 0)");
            let refusal = Refusal::new(problem, "correct the data set's `channels`");
            return Err(refusal.or_on_command_line("correct `--channels`"));
        }
        fn pick<T: Copy>(values: &[T], channels: usize, picked: &[usize]) -> Vec<T> {
            let mut out = Vec::with_capacity(values.len() / channels * picked.len());
            for pixel in values.chunks_exact(channels) {
                out.extend(picked.iter().map(|&channel| pixel[channel]));
            }
            out
        }
        self.values = match self.values {
            Values::U8(values) => Values::U8(pick(&values, channels, picked)),
            Values::U16(values) => Values::U16(pick(&values, channels, picked)),
            Values::Real(values, kind) => Values::Real(pick(&values, channels, picked), kind),
        };
        (self.channels, self.colours) = (picked.len(), picked.len());
        Ok(self)
    }

    /// The colours of a palette in the place of its indices. If all that are `used` in the whole image are grey and
    /// `may_be_grey`, one value a pixel.
    ///
    /// # Errors
    /// An index without a colour.
    pub(super) fn with_colours(mut self, may_be_grey: bool, is_used: &[bool; 256]) -> Decoded<Stored> {
        let (Some(palette), Values::U8(indices)) = (&self.palette, &self.values) else { return Ok(self) };
        let used = |index: usize| is_used[index];
        if let Some(index) = (palette.len()..256).find(|&index| used(index)) {
            return Err(Refusal::damaged(format!("index {index} of {} colours", palette.len())));
        }
        let is_opaque = (0..palette.len().min(256)).all(|index| !used(index) || palette[index][3] == u8::MAX);
        let is_grey = |&[red, green, blue, _]: &[u8; 4]| red == green && green == blue;
        if may_be_grey && is_opaque && (0..palette.len().min(256)).all(|index| !used(index) || is_grey(&palette[index]))
        {
            let values = indices.iter().map(|&index| palette[usize::from(index)][0]).collect();
            (self.bits, self.palette, self.values) = (8, None, Values::U8(values));
            return Ok(self);
        }
        let length = if is_opaque { 3 } else { 4 };
        let mut values = Vec::with_capacity(indices.len() * length);
        for &index in indices {
            values.extend_from_slice(&palette[usize::from(index)][..length]);
        }
        (self.channels, self.colours, self.has_alpha, self.bits) = (length, 3, !is_opaque, 8);
        (self.values, self.palette) = (Values::U8(values), None);
        Ok(self)
    }
}

/// The refusal of an image that one can see through.
pub(super) fn transparent() -> Refusal {
    let cure = "flatten it onto its background and save it without alpha";
    Refusal::new("has an alpha channel with transparent pixels", cure)
}
