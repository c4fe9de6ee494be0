//! Channels of images, and of the input of a network: which images a network can be shown.

use super::micrograph::Micrograph;

/// The largest number of channels of an image, and of a network's input.
pub const MOST_CHANNELS: usize = 8;

/// Number of a network's input channels if an experiment does not say: red, green and blue, as of every published encoder.
pub const RGB: usize = 3;

/// Whether a network with `in_channels` input channels can be shown an image with `channels`: as many, or grey repeated as
/// red, green and blue.
pub fn fits(channels: usize, in_channels: usize) -> bool {
    channels == in_channels || (channels, in_channels) == (1, RGB)
}

/// Checks that a network with `in_channels` input channels can be shown each of `items` (`noun`: "images"), given by name and
/// number of channels.
///
/// # Errors
/// One line: how many cannot, the first one by name, and how to correct it.
pub fn check_channels<'a>(
    noun: &str,
    items: impl IntoIterator<Item = (&'a str, usize)>,
    in_channels: usize,
) -> Result<(), String> {
    let (mut all, mut misfits) = (0, Vec::new());
    for (name, channels) in items {
        all += 1;
        if !fits(channels, in_channels) {
            misfits.push((name, channels));
        }
    }
    let Some(&(name, channels)) = misfits.first() else { return Ok(()) };
    let named = match (all, misfits.len()) {
        (1, _) => format!("{name} has"),
        (all, 1) => format!("1 of {all} {noun} ({name}) has"),
        (all, several) => format!("{several} of {all} {noun} (the first is {name}) have"),
    };
    Err(format!(
        "{named} {}, but the network takes {} (`in_channels = {in_channels}`): {}",
        counted(channels),
        counted(in_channels),
        cure(channels, in_channels, misfits.len() == all)
    ))
}

/// How a network with `in_channels` and images with `channels` are brought together. `all` says whether all images have them.
fn cure(channels: usize, in_channels: usize, all: bool) -> String {
    let mut cures = Vec::new();
    if all {
        let default = if channels == 1 { " (or 3, which shows grey as red, green and blue)" } else { "" };
        cures.push(format!("set `in_channels = {channels}`{default} in the `encoder` of the training"));
    }
    // Grey images are all that every image can become, and then a network of 1 or 3 takes them.
    let picked = match in_channels {
        1 | RGB if in_channels > channels => 1,
        _ => in_channels,
    };
    if picked < channels {
        let list: Vec<String> = (0..picked).map(|channel| channel.to_string()).collect();
        let which = if picked == 1 { "one" } else { "some" };
        cures.push(format!(
            "pick {which} of the channels in the data set's table, e.g. `channels = [{}]`",
            list.join(", ")
        ));
    }
    if cures.is_empty() {
        cures.push("give images of one kind to each training".into());
    }
    cures.join(", or ")
}

/// `2 channels`.
pub(crate) fn counted(channels: usize) -> String {
    if channels == 1 { "1 channel".into() } else { format!("{channels} channels") }
}

impl Micrograph {
    /// The image as people are shown it: grey and RGB as they are, any other number of channels as their mean in grey.
    #[must_use]
    pub fn visible(self) -> Self {
        if matches!(self.channels, 1 | RGB) {
            return self;
        }
        let pixels = self.mean_of_channels();
        Micrograph { channels: 1, pixels, ..self }
    }

    /// The mean of the channels at each pixel, rounded down, `[height, width]`.
    pub(crate) fn mean_of_channels(&self) -> Vec<u8> {
        let mean = |pixel: &[u8]| (pixel.iter().map(|&v| u32::from(v)).sum::<u32>() / self.channels as u32) as u8;
        self.pixels.chunks_exact(self.channels.max(1)).map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_shown_as_many_channels_as_it_takes_or_grey_as_rgb() {
        for channels in 1..=MOST_CHANNELS {
            for in_channels in 1..=MOST_CHANNELS {
                let expected = channels == in_channels || (channels == 1 && in_channels == 3);
                assert_eq!(fits(channels, in_channels), expected, "{channels} {in_channels}");
            }
        }
    }

    #[test]
    fn misfits_are_counted_and_cured() {
        let told = |channels: &[usize], in_channels| {
            let names = ["a.tif", "b.tif", "c.tif"];
            check_channels("images", names.into_iter().zip(channels.iter().copied()), in_channels)
                .err()
                .unwrap_or_default()
        };
        assert_eq!(told(&[1, 3, 1], 3), "");
        assert_eq!(told(&[2, 2], 2), "");
        assert_eq!(
            told(&[2, 2, 2], 3),
            "3 of 3 images (the first is a.tif) have 2 channels, but the network takes 3 channels (`in_channels = 3`): set \
             `in_channels = 2` in the `encoder` of the training, or pick one of the channels in the data set's table, e.g. \
             `channels = [0]`"
        );
        assert_eq!(
            told(&[1, 3], 1),
            "1 of 2 images (b.tif) has 3 channels, but the network takes 1 channel (`in_channels = 1`): pick one of the \
             channels in the data set's table, e.g. `channels = [0]`"
        );
        assert_eq!(
            told(&[5], 2),
            "a.tif has 5 channels, but the network takes 2 channels (`in_channels = 2`): set `in_channels = 5` in the \
             `encoder` of the training, or pick some of the channels in the data set's table, e.g. `channels = [0, 1]`"
        );
        assert_eq!(
            told(&[1], 2),
            "a.tif has 1 channel, but the network takes 2 channels (`in_channels = 2`): set `in_channels = 1` (or 3, which \
             shows grey as red, green and blue) in the `encoder` of the training"
        );
        assert!(told(&[1, 2], 2).ends_with("give images of one kind to each training"));
    }

    #[test]
    fn two_channels_are_shown_as_their_mean() {
        let image = Micrograph { width: 2, height: 1, channels: 2, pixels: vec![10, 20, 200, 255] };
        let shown = image.visible();
        assert_eq!((shown.channels, shown.pixels), (1, vec![15, 227]));
        let rgb = Micrograph { width: 1, height: 1, channels: 3, pixels: vec![1, 2, 3] };
        assert_eq!(rgb.clone().visible(), rgb);
    }
}
