//! From the stored values of an image, or of a part of it, to 8 bits.

use super::facts::Facts;
use super::options::ImageOptions;
use super::refusal::Decoded;
use super::scale::to_8_bits;
use super::stored::Stored;

/// The channels of `stored` that are read, as 8 bits, and how many they are. `facts` are those of the whole image.
///
/// # Errors
/// An index without a colour; transparent pixels; channels that are neither grey nor RGB; those of [`to_8_bits`].
pub(super) fn pixels(stored: Stored, facts: &Facts, options: &ImageOptions) -> Decoded<(Vec<u8>, usize)> {
    let stored = stored.with_colours(options.channels.is_none(), &facts.used)?;
    let (stored, extent) = match &options.channels {
        Some(channels) => (stored.picked(channels)?, facts.channels(channels.iter().copied())),
        None => {
            let colours = stored.colours;
            (stored.without_alpha(facts.channel(colours))?, facts.channels(0..colours))
        }
    };
    let channels = stored.channels;
    Ok((to_8_bits(stored, options, extent)?, channels))
}
