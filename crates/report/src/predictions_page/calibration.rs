//! How well the models' probabilities are calibrated.

use super::content::PredictionsPage;
use crate::reliability_figure::{ReliabilityFigure, ReliabilityPanel};
use maud::{Markup, PreEscaped, html};

impl PredictionsPage {
    /// For each model with a calibration: its temperature, and the reliability diagrams before and after.
    pub(super) fn calibration(&self) -> Markup {
        html! {
            p.hint { "Temperature scaling on the validation images. It changes probabilities and uncertainties, never labels." }
            @for (name, calibration) in &self.calibrations {
                @let [before, after] = calibration.expected_error;
                h3 { (name) }
                p {
                    "Temperature " (format!("{:.3}", calibration.temperature)) ", fitted on " (calibration.pixels) " pixels. \
                     Expected calibration error " (format!("{:.2}", before * 100.0)) " % before, "
                    (format!("{:.2}", after * 100.0)) " % after; log loss " (format!("{:.4}", calibration.log_loss[0]))
                    " and " (format!("{:.4}", calibration.log_loss[1])) " nats."
                }
                @let panel = |state: &str, expected_error, reliability: &matssl_metrics::Reliability| {
                    ReliabilityPanel {
                        label: name.clone(),
                        detail: String::new(),
                        state: state.to_owned(),
                        expected_error,
                        reliability: reliability.clone(),
                    }
                };
                @let panels = vec![panel("before", before, &calibration.before), panel("after", after, &calibration.after)];
                figure.paper { (PreEscaped(ReliabilityFigure { title: None, panels }.svg())) }
            }
        }
    }
}
