//! How a micrograph was taken: conditions that differ from picture to picture.

use super::params::SynthesizeParams;
use matssl_base::random::Stream;

/// The grey level at which contrast leaves the brightness as it is: about the middle of the phases.
const MIDDLE: f64 = 110.0;

/// The conditions of one picture. With strength 0 they are the same for all.
pub(super) struct Imaging {
    strength: f64,
    /// Factor of all sizes.
    magnification: f64,
    /// Exponent of the detector's curve.
    gamma: f64,
    /// Factor of grey differences.
    contrast: f64,
    /// Grey levels.
    brightness: f64,
    /// Factor of the standard deviation of the noise.
    noise: f64,
    /// Standard deviation of additional defocus in pixels.
    defocus: f64,
}

impl Imaging {
    /// Draws the conditions of a picture from its `stream`. All are drawn, whatever the strength, so that another strength changes how
    /// far they go and not where to.
    pub(super) fn draw(strength: f64, stream: &mut Stream) -> Self {
        let mut factor = |octaves: f64| (strength * stream.range(-octaves, octaves)).exp2();
        let (magnification, gamma, contrast, noise) = (factor(0.5), factor(0.6), factor(0.6), factor(1.0));
        let brightness = strength * stream.range(-35.0, 35.0);
        let defocus = strength * stream.range(0.0, 1.0);
        Imaging { strength, magnification, gamma, contrast, brightness, noise, defocus }
    }

    /// What is in the picture, at its magnification.
    pub(super) fn magnified(&self, params: &SynthesizeParams) -> SynthesizeParams {
        SynthesizeParams {
            grain: params.grain * self.magnification,
            noise: params.noise * self.noise,
            ..params.clone()
        }
    }

    /// The defocus of a lens that has `sigma` pixels without it.
    pub(super) fn defocused(&self, sigma: f64) -> f64 {
        if self.strength == 0.0 { sigma } else { sigma.hypot(self.defocus) }
    }

    /// What the detector makes of a grey value.
    pub(super) fn detected(&self, grey: f64) -> f64 {
        if self.strength == 0.0 {
            return grey;
        }
        let curved = 255.0 * (grey / 255.0).clamp(0.0, 1.0).powf(self.gamma);
        ((curved - MIDDLE) * self.contrast + MIDDLE + self.brightness).max(0.0)
    }
}
