//! Mean and spread over seeds.

use serde::{Deserialize, Serialize};

/// What several runs that differ only in their seed came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Arithmetic mean.
    pub mean: f64,
    /// Sample standard deviation (divisor n − 1); `None` for one value.
    pub std: Option<f64>,
    /// How many values.
    pub n: usize,
}

impl Summary {
    /// Of the values in their order (which decides the last bits); `None` without any.
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
