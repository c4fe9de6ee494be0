//! How the image files of a data set are read, where a file alone does not say it.

use crate::MOST_CHANNELS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How images are read. Part of a data set's parameters and of its manifest; what is not given is in neither.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImageOptions {
    /// Of images of more than 8 bits: how many bits of a value are used, from 8 to 16, e.g. 12 for a camera of that depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bits: Option<u8>,
    /// Of images of more than 8 bits or of floating-point numbers: `[black, white]`. Values between them become 0 to 255,
    /// values outside become 0 or 255. Instead of `bits`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Of tifs with several pages (or an ImageJ stack): the page that is read, from 1. Thumbnails and other smaller copies
    /// are not counted. A mask of several pages is read at the same page, a mask of one page as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<usize>,
    /// The channels that are read, from 0, in this order: `[1]` is the green one of RGB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<usize>>,
}

// `range` never holds NaN: the check of the parameters refuses it.
impl Eq for ImageOptions {}

impl ImageOptions {
    /// Largest number of channels that can be picked.
    pub const MAX_CHANNELS: usize = 8;

    /// The first value that cannot be: (parameter, what is wrong with it).
    pub fn problem(&self) -> Option<(&'static str, String)> {
        if let Some(bits) = self.bits.filter(|bits| !(8..=16).contains(bits)) {
            return Some(("bits", format!("{bits} bits a pixel; expected 8 to 16")));
        }
        if let Some([black, white]) = self.range {
            if !(black.is_finite() && white.is_finite() && black < white) {
                let message = format!("[{black}, {white}]: expected two numbers, the smaller one (black) first");
                return Some(("range", message));
            }
            if self.bits.is_some() {
                return Some(("range", "says the same as `bits`: give one of the two".into()));
            }
        }
        if self.page == Some(0) {
            return Some(("page", "0: pages are counted from 1".into()));
        }
        let channels = self.channels.as_deref()?;
        if let Some(twice) = (1..channels.len()).find(|&i| channels[..i].contains(&channels[i])) {
            return Some(("channels", format!("{} occurs twice", channels[twice])));
        }
        let count = channels.len();
        (!(1..=MOST_CHANNELS).contains(&count)).then(|| {
            let message = format!("{count} channels: networks read 1 to {MOST_CHANNELS}, e.g. `channels = [0]`");
            ("channels", message)
        })
    }
}
