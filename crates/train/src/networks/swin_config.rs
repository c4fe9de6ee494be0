//! Which Swin transformer: what an experiment chooses and a model file records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which transformer of shifted windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SwinArch {
    /// Swin-T (Liu et al. 2021): stages of 2, 2, 6 and 2 blocks, 96 channels at first.
    #[default]
    #[serde(rename = "swin-tiny")]
    Tiny,
}

impl SwinArch {
    /// The word in an experiment.
    pub fn name(self) -> &'static str {
        match self {
            SwinArch::Tiny => "swin-tiny",
        }
    }
}

/// The layers of a block after its attention.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mlp {
    /// Two linear layers with GELU between them, four times as wide inside: Swin's.
    #[default]
    Plain,
    /// Three linear layers: the input is added after the second one, and GELU follows: CS-UNet's "ResMLP".
    Residual,
}

/// A Swin transformer as an experiment names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwinConfig {
    /// `"swin-tiny"`.
    pub arch: SwinArch,
    /// Channels of the embedded patches, 96 in Swin-T; each stage has twice as many as the one before.
    #[serde(default = "published_width")]
    pub width: usize,
    /// Blocks of the four stages.
    #[serde(default = "published_depths")]
    pub depths: [usize; 4],
    /// Heads of the first stage, 3 in Swin-T; each stage has twice as many as the one before.
    #[serde(default = "published_heads")]
    pub heads: usize,
    /// Side of the attention's windows in patches of 4 pixels.
    #[serde(default = "published_window")]
    pub window: usize,
    /// Probability that the last block is dropped in training; blocks before it are dropped less often, the first never.
    #[serde(default = "published_drop_path")]
    pub drop_path: f64,
    /// `"plain"` (Swin's) or `"residual"` (CS-UNet's).
    #[serde(default)]
    pub mlp: Mlp,
    /// Channels of the images, 1 to 8. Left out if it is 3.
    #[serde(default = "rgb", skip_serializing_if = "is_rgb")]
    pub in_channels: usize,
}

pub(super) fn published_width() -> usize {
    96
}

pub(super) fn published_depths() -> [usize; 4] {
    [2, 2, 6, 2]
}

pub(super) fn published_heads() -> usize {
    3
}

fn published_window() -> usize {
    7
}

pub(super) fn published_drop_path() -> f64 {
    0.2
}

fn rgb() -> usize {
    matssl_data::RGB
}

fn is_rgb(channels: &usize) -> bool {
    *channels == rgb()
}

/// Pixels to a patch, vertically and horizontally.
pub(super) const PATCH: usize = 4;
/// Pixels of the image to one of the last stage.
const STRIDE: usize = 32;

impl Default for SwinConfig {
    fn default() -> Self {
        SwinConfig {
            arch: SwinArch::Tiny,
            width: published_width(),
            depths: published_depths(),
            heads: published_heads(),
            window: published_window(),
            drop_path: published_drop_path(),
            mlp: Mlp::Plain,
            in_channels: rgb(),
        }
    }
}

impl SwinConfig {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// One line with the values that are allowed.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=1024).contains(&self.width) {
            return Err(format!("width = {}; expected 1 to 1024 (96 in Swin-T)", self.width));
        }
        if self.heads == 0 || !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "heads = {}; expected a divisor of the width, {} (3 in Swin-T)",
                self.heads, self.width
            ));
        }
        if self.depths.iter().any(|depth| !(1..=64).contains(depth)) {
            return Err(format!("depths = {:?}; expected 1 to 64 blocks a stage (2, 2, 6, 2 in Swin-T)", self.depths));
        }
        if !(1..=64).contains(&self.window) {
            return Err(format!("window = {}; expected 1 to 64 (7 in Swin-T)", self.window));
        }
        if !(0.0..1.0).contains(&self.drop_path) {
            return Err(format!("drop_path = {}; expected 0 to below 1 (0.2 in Swin-T)", self.drop_path));
        }
        Ok(())
    }

    /// Checks that it takes images of `height` × `width` pixels: each stage must consist of whole windows, or be one window or less.
    ///
    /// # Errors
    /// One line with the sides that it takes.
    pub fn check_sides(&self, height: usize, width: usize) -> Result<(), String> {
        let window = self.window;
        let consists_of_windows = |stage: usize| {
            let (height, width) = (height / PATCH >> stage, width / PATCH >> stage);
            let window = window.min(height).min(width);
            height.is_multiple_of(window) && width.is_multiple_of(window)
        };
        let is_whole = |side: usize| side > 0 && side.is_multiple_of(STRIDE);
        if is_whole(height) && is_whole(width) && (0..4).all(consists_of_windows) {
            return Ok(());
        }
        let whole = STRIDE * window;
        let windows: Vec<String> = self.windows_for(height, width).iter().map(usize::to_string).collect();
        let other = match windows.is_empty() {
            true => String::new(),
            false => format!(", or a `window` of {}", windows.join(" or ")),
        };
        Err(format!(
            "images of {height}×{width} pixels do not consist of windows of {window} patches of {PATCH} pixels at every stage: \
             choose multiples of {whole} pixels{other}"
        ))
    }

    /// Published windows with which images of this size fit.
    fn windows_for(&self, height: usize, width: usize) -> Vec<usize> {
        let whole =
            |window: &usize| [height, width].iter().all(|side| *side > 0 && side.is_multiple_of(STRIDE * window));
        [7, 8].into_iter().filter(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_swin_t_and_unknown_keys_are_refused() {
        let config: SwinConfig = serde_json::from_str(r#"{"arch":"swin-tiny"}"#).unwrap();
        assert_eq!(config, SwinConfig::default());
        let text =
            r#"{"arch":"swin-tiny","width":96,"depths":[2,2,6,2],"heads":3,"window":7,"drop_path":0.2,"mlp":"plain"}"#;
        assert_eq!(serde_json::to_string(&config).unwrap(), text);
        assert!(serde_json::from_str::<SwinConfig>(r#"{"arch":"swin-tiny","variant":"v1"}"#).is_err());
        assert!(config.check().is_ok());
        for (other, expected) in [
            (SwinConfig { heads: 5, ..config.clone() }, "heads = 5; expected a divisor of the width, 96"),
            (SwinConfig { depths: [2, 0, 2, 2], ..config.clone() }, "depths = [2, 0, 2, 2]"),
            (SwinConfig { drop_path: 1.0, ..config.clone() }, "drop_path = 1"),
            (SwinConfig { window: 0, ..config }, "window = 0"),
        ] {
            assert!(other.check().unwrap_err().starts_with(expected));
        }
    }

    #[test]
    fn sides_must_be_whole_windows_at_every_stage() {
        let swin = |window| SwinConfig { window, ..SwinConfig::default() };
        for (window, side) in [(7, 224), (7, 448), (8, 256), (8, 512), (8, 128), (4, 128), (4, 256), (8, 64)] {
            assert_eq!(swin(window).check_sides(side, side), Ok(()), "{window} {side}");
        }
        let error = swin(7).check_sides(256, 256).unwrap_err();
        assert!(error.ends_with("choose multiples of 224 pixels, or a `window` of 8"), "{error}");
        for (window, side) in [(8, 224), (8, 240), (8, 0), (7, 96)] {
            assert!(swin(window).check_sides(side, side).is_err(), "{window} {side}");
        }
        assert_eq!(swin(8).check_sides(256, 512), Ok(()));
        assert_eq!(swin(8).check_sides(128, 256), Ok(()));
        assert!(swin(8).check_sides(256, 320).is_err());
    }
}
