//! How two views of a patch differ, for contrastive pretraining.

use super::preset::with_presets;
use schemars::JsonSchema;
use serde::Deserialize;

with_presets! {
    /// The augmentations of SimCLR (Chen et al. 2020, appendix A) in lightly's form. [`ViewPreset`] lists values from papers
    /// and other software.
    pub struct ViewParams from ViewPreset {
        /// Side of a view in pixels.
        pub size: usize,
        /// The least part of the patch's area that a view shows.
        pub min_scale: f64,
        /// The largest part.
        #[serde(skip_serializing_if = "is_one")]
        pub max_scale: f64,
        /// Bounds of the crop's width over its height, drawn log-uniformly.
        pub ratio: [f64; 2],
        /// Probability of a left-right flip.
        pub horizontal_flip: f64,
        /// Probability of an up-down flip.
        pub vertical_flip: f64,
        /// Probability of colour jitter as a whole.
        pub jitter: f64,
        /// Brightness is multiplied by 1 ± this.
        pub brightness: f64,
        /// Contrast likewise.
        pub contrast: f64,
        /// Saturation likewise; no effect on images that are not RGB.
        pub saturation: f64,
        /// Hue is turned by ± this part of a circle (at most 0.5); no effect on images that are not RGB.
        pub hue: f64,
        /// Probability of turning an RGB image grey.
        pub grayscale: f64,
        /// Probability of a Gaussian blur.
        pub blur: f64,
        /// Bounds of the blur's standard deviation in pixels.
        pub blur_sigma: [f64; 2],
        /// Gamma: grey levels of 255 become `255 (v / 255)^g` with `g` between 1 / (1 + this) and 1 + this, after the colour jitter.
        #[serde(skip_serializing_if = "is_off")]
        pub gamma: f64,
        /// Gaussian noise with a standard deviation of up to this, in grey levels of 255, after the blur: otherwise micrographs can be
        /// told apart by their noise alone.
        #[serde(skip_serializing_if = "is_off")]
        pub noise: f64,
    }
}

/// Values from papers and other software.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ViewPreset {
    /// The defaults of lightly 1.5's `SimCLRTransform`: SimCLR's own at full strength.
    #[default]
    Lightly,
    /// MoCo v2's (Chen et al. 2020, `main_moco.py --aug-plus`): crops of at least 0.2, jitter 0.4, 0.4, 0.4, 0.1.
    MocoV2,
    /// Brightness and contrast ± 0.1, as the MatSSL paper (arXiv 2507.18184) is cited; the rest is lightly's. The authors' code
    /// does otherwise: see `AuthorsCode`.
    Paper,
    /// What the MatSSL authors released (`create_transform` in utils/data_processing/ssl_dataset.py of dhp510/MatSSL at
    /// 8c869d5): MoCo v2's values, and not the paper's ± 0.1. They resize the patch to the view's size first, which is
    /// not done here, and blur by torchvision, as is. Their views have 224 pixels, which is the stage's `crop_size`.
    AuthorsCode,
    /// For micrographs whose imaging differs from one to the next: MoCo v2's values with stronger brightness and contrast in every
    /// view, gamma, noise, and up-down flips.
    Micrographs,
}

impl From<ViewPreset> for ViewParams {
    fn from(preset: ViewPreset) -> Self {
        let lightly = ViewParams {
            size: 224,
            min_scale: 0.08,
            max_scale: 1.0,
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            horizontal_flip: 0.5,
            vertical_flip: 0.0,
            jitter: 0.8,
            brightness: 0.8,
            contrast: 0.8,
            saturation: 0.8,
            hue: 0.2,
            grayscale: 0.2,
            blur: 0.5,
            blur_sigma: [0.1, 2.0],
            gamma: 0.0,
            noise: 0.0,
        };
        match preset {
            ViewPreset::Lightly => lightly,
            ViewPreset::Paper => ViewParams { brightness: 0.1, contrast: 0.1, ..lightly },
            ViewPreset::MocoV2 | ViewPreset::AuthorsCode => {
                ViewParams { min_scale: 0.2, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1, ..lightly }
            }
            ViewPreset::Micrographs => ViewParams {
                jitter: 1.0,
                brightness: 0.6,
                contrast: 0.6,
                gamma: 0.5,
                noise: 15.0,
                vertical_flip: 0.5,
                ..ViewPreset::MocoV2.into()
            },
        }
    }
}

/// Whether a later parameter changes nothing: it is then left out, so that old keys stay as they were.
fn is_off(strength: &f64) -> bool {
    *strength == 0.0
}

/// Whether `max_scale` is 1, as it was before it was a parameter: it is then left out, so that old keys stay as they were.
fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

impl ViewParams {
    /// Checks bounds.
    ///
    /// # Errors
    /// (parameter, message).
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let probabilities = [
            ("horizontal_flip", self.horizontal_flip),
            ("vertical_flip", self.vertical_flip),
            ("jitter", self.jitter),
            ("grayscale", self.grayscale),
            ("blur", self.blur),
        ];
        for (name, p) in probabilities {
            if !(0.0..=1.0).contains(&p) {
                return Err((name, format!("{p} is no probability: 0 to 1")));
            }
        }
        let strengths = [
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("saturation", self.saturation, 1.0),
            ("hue", self.hue, 0.5),
            ("gamma", self.gamma, 9.0),
            ("noise", self.noise, 255.0),
        ];
        for (name, strength, most) in strengths {
            if !(0.0..=most).contains(&strength) {
                return Err((name, format!("{strength} is out of range: 0 to {most}")));
            }
        }
        if self.size == 0 {
            return Err(("size", "a view needs at least one pixel".into()));
        }
        for (name, scale) in [("min_scale", self.min_scale), ("max_scale", self.max_scale)] {
            if !(scale > 0.0 && scale <= 1.0) {
                return Err((name, format!("{scale} is out of range: above 0, at most 1")));
            }
        }
        if self.min_scale > self.max_scale {
            return Err(("max_scale", format!("{} is less than `min_scale`, {}", self.max_scale, self.min_scale)));
        }
        for (name, [low, high]) in [("ratio", self.ratio), ("blur_sigma", self.blur_sigma)] {
            if !(low > 0.0 && low <= high && high.is_finite()) {
                return Err((name, format!("[{low}, {high}]: give two positive numbers, the smaller first")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_bounds_are_named() {
        let wrong = ViewParams { hue: 0.6, ..ViewParams::default() };
        assert_eq!(wrong.check().unwrap_err(), ("hue", "0.6 is out of range: 0 to 0.5".into()));
        let wrong = ViewParams { min_scale: 0.5, max_scale: 0.4, ..ViewParams::default() };
        assert_eq!(wrong.check().unwrap_err(), ("max_scale", "0.4 is less than `min_scale`, 0.5".into()));
        let wrong = ViewParams { max_scale: 1.5, ..ViewParams::default() };
        assert_eq!(wrong.check().unwrap_err(), ("max_scale", "1.5 is out of range: above 0, at most 1".into()));
        let wrong = ViewParams { noise: -1.0, ..ViewParams::default() };
        assert_eq!(wrong.check().unwrap_err(), ("noise", "-1 is out of range: 0 to 255".into()));
        assert_eq!(ViewParams::default().check(), Ok(()));
        assert_eq!(ViewParams::from(ViewPreset::Micrographs).check(), Ok(()));
        let value = serde_json::to_value(ViewParams::default()).unwrap();
        assert!(value.get("gamma").is_none() && value.get("noise").is_none(), "keys stay as they were");
    }
}
