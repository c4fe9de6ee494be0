//! The microstructures that can be drawn.

use super::drawing::Drawing;
use super::scale::Scale;
use super::{coating, cracks, dendrites, needles, steel};
use matssl_base::random::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A microstructure. Each has its own classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Grains, lamellar colonies, bright islands and pores, as in an etched steel. Classes: matrix, lamellar, island, pore.
    #[default]
    Steel,
    /// Lens-shaped laths in packets of one direction, as in martensite. Classes: matrix, needle, pore.
    Needles,
    /// Dendrites with side arms in a fine eutectic, as in a casting or weld. Classes: interdendritic, dendrite, pore.
    Dendrites,
    /// Branched cracks through grains, whose boundaries are dark as well. Classes: matrix, crack, pore.
    Cracks,
    /// A cross-section: a bright coating, an oxide layer of varying thickness, and the substrate, with cracks in coating and
    /// oxide, as in an environmental barrier coating. Classes: coating, oxide, substrate, crack, pore.
    Coating,
}

impl Structure {
    /// All of them.
    pub const ALL: [Structure; 5] =
        [Structure::Steel, Structure::Needles, Structure::Dendrites, Structure::Cracks, Structure::Coating];

    /// Whether it is the one that was there before there was a choice: it is left out of keys.
    pub(super) fn is_default(&self) -> bool {
        *self == Structure::default()
    }

    /// The classes, in the order of their values in masks.
    pub fn classes(self) -> &'static [&'static str] {
        match self {
            Structure::Steel => &steel::CLASSES,
            Structure::Needles => &needles::CLASSES,
            Structure::Dendrites => &dendrites::CLASSES,
            Structure::Cracks => &cracks::CLASSES,
            Structure::Coating => &coating::CLASSES,
        }
    }

    /// Draws one picture from the streams of `base`.
    pub(super) fn draw(self, scale: &Scale, base: &Stream) -> Drawing {
        match self {
            Structure::Steel => steel::draw(scale, base),
            Structure::Needles => needles::draw(scale, base),
            Structure::Dendrites => dendrites::draw(scale, base),
            Structure::Cracks => cracks::draw(scale, base),
            Structure::Coating => coating::draw(scale, base),
        }
    }
}
