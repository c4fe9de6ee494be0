//! What comes after an experiment.

/// What a trained model is for.
pub(super) const NEXT: &str = "Then `matssl-run export` writes a trained model as a folder, and `matssl-run predict` uses it on new micrographs.\n";
