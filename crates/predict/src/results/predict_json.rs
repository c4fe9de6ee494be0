//! `predict.json`: everything for programs.

use super::{Field, Results};
use matssl_metrics::{ClassFraction, Estimate};
use serde_json::{Map, Value, json};

/// Version of the format.
const VERSION: u32 = 1;

impl Results {
    /// Models, options, images with their files, sizes and fractions, and failed images with their reasons.
    pub fn json(&self) -> Value {
        let models = self.models.iter().map(|model| {
            json!({
                "folder": model.path.to_string_lossy(),
                "name": model.description.name,
                "digest": model.digest,
            })
        });
        let images = self.fields.iter().zip(&self.fractions).map(|(field, fractions)| self.image(field, fractions));
        let failed = self.failed.iter().map(|failed| json!({ "image": failed.image, "reason": failed.reason }));
        json!({
            "version": VERSION,
            "program": concat!("matssl-run ", env!("CARGO_PKG_VERSION")),
            "complete": self.complete,
            "models": models.collect::<Vec<Value>>(),
            "options": self.options,
            "classes": self.classes(),
            "notes": self.notes(),
            "images": images.collect::<Vec<Value>>(),
            "failed": failed.collect::<Vec<Value>>(),
        })
    }

    fn image(&self, field: &Field, fractions: &[ClassFraction]) -> Value {
        let result = &field.result;
        let totals = result.measured.counts.totals();
        let by_class: Map<String, Value> = fractions
            .iter()
            .enumerate()
            .map(|(class, of)| {
                let value = json!({
                    "pixels": totals[class],
                    "fraction": estimate(&of.raw),
                    "corrected": of.corrected.as_ref().map(estimate),
                    "mean_intercept": result.measured.intercepts[class],
                });
                (self.classes()[class].name.clone(), value)
            })
            .collect();
        json!({
            "image": result.image,
            "specimen": field.specimen,
            "width": result.width,
            "height": result.height,
            "pixel_size_nm": result.pixel_size_nm,
            "unit": result.measured.unit,
            "files": result.files,
            "classes": by_class,
            "flags": result.unusual,
        })
    }
}

fn estimate(estimate: &Estimate) -> Value {
    let [low, high] = estimate.interval.map_or([None; 2], |interval| interval.map(Some));
    json!({ "value": estimate.value, "low": low, "high": high })
}
