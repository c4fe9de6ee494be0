//! The parameters of a data set, with the format's defaults and held to its rules.

use super::params::{DatasetParams, Format, ParamProblem};
use super::reader::reader;
use crate::{Crop, Margin, Sides, Window};
use std::path::PathBuf;

impl DatasetParams {
    /// The parameters of `format` at `path`, with all defaults.
    pub fn of(format: Format, path: impl Into<PathBuf>) -> Self {
        DatasetParams {
            format,
            path: path.into(),
            resize: None,
            crop: None,
            window: None,
            pixel_size: None,
            resample: None,
            bits: None,
            range: None,
            page: None,
            channels: None,
            images: None,
            masks: None,
            mask_pattern: None,
            annotations: None,
            background: None,
            names: None,
            overlap: None,
            without_shapes: None,
            attribute: None,
            unlabeled: None,
            classes: None,
            values: None,
            colors: None,
            ignore_label: None,
            ignore_color: None,
            ignore_classes: None,
            split: None,
            test_images: None,
            val_images: None,
            group: None,
            splits: None,
            recursive: None,
            band: None,
            exclude: None,
            preset: None,
        }
        .with_defaults()
    }

    /// Fills in the format's defaults, so that each default is printed and enters the key.
    #[must_use]
    pub fn with_defaults(mut self) -> Self {
        reader(self.format).fill(&mut self);
        self
    }

    /// How further images of the kind are cropped: as `crop` says, or by the format's own band (MetalDAM: 65 rows at the bottom).
    pub fn crop_of_others(&self) -> Option<Crop> {
        let own =
            || reader(self.format).band().map(|rows| Sides { bottom: Some(Margin::Pixels(rows)), ..Sides::default() });
        self.crop.or_else(|| own().map(Crop::Sides))
    }

    /// Refuses parameters that the format does not take, values out of range and impossible combinations.
    ///
    /// # Errors
    /// The first problem, with the parameter to underline.
    pub fn check(&self) -> Result<(), ParamProblem> {
        let reader = reader(self.format);
        let given = [
            ("images", self.images.is_some()),
            ("masks", self.masks.is_some()),
            ("mask_pattern", self.mask_pattern.is_some()),
            ("annotations", self.annotations.is_some()),
            ("background", self.background.is_some()),
            ("names", self.names.is_some()),
            ("overlap", self.overlap.is_some()),
            ("without_shapes", self.without_shapes.is_some()),
            ("attribute", self.attribute.is_some()),
            ("unlabeled", self.unlabeled.is_some()),
            ("classes", self.classes.is_some()),
            ("values", self.values.is_some()),
            ("colors", self.colors.is_some()),
            ("ignore_label", self.ignore_label.is_some()),
            ("ignore_color", self.ignore_color.is_some()),
            ("ignore_classes", self.ignore_classes.is_some()),
            ("split", self.split.is_some()),
            ("test_images", self.test_images.is_some()),
            ("val_images", self.val_images.is_some()),
            ("group", self.group.is_some()),
            ("splits", self.splits.is_some()),
            ("recursive", self.recursive.is_some()),
            ("band", self.band.is_some()),
            ("exclude", self.exclude.is_some()),
            ("preset", self.preset.is_some()),
        ];
        if let Some((param, _)) = given.iter().find(|(param, given)| *given && !reader.takes().contains(param)) {
            let message = format!("format `{}` takes only: {}", self.format.name(), reader.takes().join(", "));
            return Err(ParamProblem::new(param, message));
        }
        if let Some(side) = self.resize.filter(|side| !(8..=16_384).contains(&side.get())) {
            return Err(ParamProblem::new("resize", format!("{side} pixels; expected 8 to 16384")));
        }
        if let Some((param, message)) = self.image_options().problem() {
            return Err(ParamProblem::new(param, message));
        }
        if self.crop.is_some_and(Crop::cuts_nothing) {
            return Err(ParamProblem::new("crop", "cuts nothing; expected e.g. { bottom = 60 } or \"auto\""));
        }
        if let Some(Err(message)) = self.window.as_ref().map(Window::check) {
            return Err(ParamProblem::new("window", message));
        }
        if self.crop.is_some() && self.band.is_some() {
            return Err(ParamProblem::new("band", "`crop` says what is cut: leave out one of the two"));
        }
        if self.resample.is_some() && self.resize.is_some() {
            let message = "gives each image other pixels than `resample` asks for: leave out one of the two";
            return Err(ParamProblem::new("resize", message));
        }
        if let Some(split) = &self.split {
            split.check()?;
        }
        reader.check(&self.clone().with_defaults())
    }
}
