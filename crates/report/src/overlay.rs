//! A picture of one prediction: input, truth, prediction and errors side by side, as in the paper's Figs. 7 and 8.
//!
//! Class 0 is the background (or matrix); all other classes are foreground. The error panel colours the image: *green* for
//! foreground that was found, *red* for background taken for foreground, *blue* for foreground taken for background. With more
//! than two classes, *magenta* is one foreground class taken for another: a false positive of the predicted class and a false
//! negative of the true one. Background that was predicted as such keeps the image's colour. Pixels with unknown truth are striped
//! and not scored.

mod canvas;
mod errors;
mod legend;
mod panels;
mod preview;
mod scale;
mod strip;
#[cfg(test)]
mod tests;

pub use panels::Panels;
pub use preview::Preview;
pub use scale::Scale;
pub use strip::LegendStrip;
