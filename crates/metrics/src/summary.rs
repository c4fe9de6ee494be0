//! Mean and spread over seeds.

use serde::{Deserialize, Serialize};

/// Mean and spread of several runs that differ only in their seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); `None` for one value.
    pub std: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl Summary {
    /// The summary of values; their order determines the last bits. `None` without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Summary> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Some(Summary { mean, std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()), n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([0.5]), Some(Summary { mean: 0.5, std: None, n: 1 }));
        assert_eq!(Summary::of([1.0, 2.0, 6.0]), Some(Summary { mean: 3.0, std: Some(7f64.sqrt()), n: 3 }));
        assert_eq!(Summary::of([2.0, 2.0]), Some(Summary { mean: 2.0, std: Some(0.0), n: 2 }));
    }
}
