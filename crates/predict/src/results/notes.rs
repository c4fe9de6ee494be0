//! Sentences that hold for all images, and what is said of corrected fractions.

use super::Results;
use matssl_metrics::{ClassFraction, Estimate, Uncorrectable};

/// Widest interval of a corrected fraction that says anything.
const WIDEST: f64 = 0.5;

impl Results {
    /// Sentences that hold for all images.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.complete {
            notes.push("The run was interrupted: images are missing. Run the same command again to go on.".to_owned());
        }
        notes.extend(self.sizes());
        notes.extend(self.unmatched());
        if !self.fields.is_empty() {
            notes.extend(self.uncorrected());
            notes.extend(self.vague());
        }
        notes
    }

    /// Which names of images the option `specimen` does not match, if it was given.
    pub fn unmatched(&self) -> Option<String> {
        let pattern = self.options["specimen"].as_str()?;
        let names = "names of images without folder and extension";
        match self.fields.iter().filter(|field| field.specimen.is_none()).count() {
            0 => None,
            all if all == self.fields.len() => {
                Some(format!("The specimen is not known: `--specimen {pattern}` matches none of the {names}."))
            }
            some => Some(format!(
                "The specimen of {some} of {} images is not known: `--specimen {pattern}` does not match their {names}.",
                self.fields.len()
            )),
        }
    }

    /// Whether the specimen of any image is known.
    pub fn has_specimens(&self) -> bool {
        self.fields.iter().any(|field| field.specimen.is_some())
    }

    /// The corrected fraction, if it has an interval, and this is not so wide that the value says little.
    pub fn corrected(fraction: &ClassFraction) -> Option<&Estimate> {
        fraction.corrected.as_ref().filter(|estimate| width(estimate).is_some_and(|width| width <= WIDEST))
    }

    fn sizes(&self) -> Option<String> {
        let unknown = self.fields.iter().filter(|field| field.result.pixel_size_nm.is_none()).count();
        if unknown == 0 {
            return None;
        }
        let which = if unknown == self.fields.len() {
            "The size of a pixel is not known".to_owned()
        } else {
            format!("The size of a pixel of {unknown} of {} images is not known", self.fields.len())
        };
        let so = if self.models[0].description.pixel_size_nm.is_some() {
            ": they were not scaled to the model's, and lengths are in pixels"
        } else {
            ": lengths are in pixels"
        };
        Some(format!("{which}{so}. `--pixel-size \"50 nm\"` says it."))
    }

    /// Why no fraction is corrected, or no corrected one has an interval.
    fn uncorrected(&self) -> Option<String> {
        let name = |class: usize| &self.classes()[class].name;
        let so = "fractions are not corrected for its errors, and intervals do not know of them";
        let differ =
            || self.models.len() > 1 && self.models.iter().any(|model| !model.description.validation.is_empty());
        match Uncorrectable::of(self.classes().len(), &self.validation) {
            Some(Uncorrectable::NoImages) if differ() => Some(format!(
                "The models do not have the same number of validation images: {}.",
                so.replace("its", "their")
            )),
            Some(Uncorrectable::NoImages) => Some(format!("The model has no validation images: {so}.")),
            Some(Uncorrectable::Alike([a, b])) => Some(format!(
                "The model does not tell the classes {} and {} apart in its validation images: {so}.",
                name(a),
                name(b)
            )),
            Some(Uncorrectable::Missing { missing, taken }) => Some(format!(
                "The class {} is in no validation image, and the model predicts {} as it there: {so}.",
                name(missing),
                name(taken)
            )),
            None => {
                let mut all = self.fractions.iter().flatten().filter_map(|of| of.corrected.as_ref());
                let specimens = self.specimens();
                let mut means = specimens.iter().flat_map(super::Specimen::fractions).filter_map(|of| of.corrected);
                let any = all.any(|of| of.interval.is_some()) || means.any(|of| of.interval.is_some());
                (!any).then(|| {
                    let images = self.validation.iter().filter(|image| image.total() > 0).count();
                    format!(
                        "The validation images ({images}) are too few for intervals of corrected fractions: only the tables \
                         (csv) have these fractions."
                    )
                })
            }
        }
    }

    /// Of which classes the validation images say little: the interval of the corrected fraction is wide, that of the raw one is
    /// not.
    fn vague(&self) -> Option<String> {
        let specimens = self.specimens();
        let is_vague = |of: &ClassFraction| {
            of.corrected.as_ref().and_then(width).is_some_and(|width| width > WIDEST)
                && width(&of.raw).is_none_or(|width| width <= WIDEST)
        };
        let means: Vec<Vec<ClassFraction>> = specimens.iter().map(|specimen| specimen.fractions().collect()).collect();
        let any = |class: &usize| means.iter().any(|of| is_vague(&of[*class]));
        let names: Vec<&str> =
            (0..self.classes().len()).filter(any).map(|class| self.classes()[class].name.as_str()).collect();
        let [intervals, fractions] = match names.len() {
            0 => return None,
            1 => ["the interval of its corrected fraction is", "fraction"],
            _ => ["the intervals of their corrected fractions are", "fractions"],
        };
        Some(format!(
            "The validation images say little about {}: {intervals} wider than 50 %; use the raw {fractions}.",
            names.join(", ")
        ))
    }
}

fn width(estimate: &Estimate) -> Option<f64> {
    estimate.interval.map(|[low, high]| high - low)
}
