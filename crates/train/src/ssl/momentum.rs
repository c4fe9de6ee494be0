//! A momentum network: a moving average of the trained one (He et al. 2020, *MoCo*; Grill et al. 2020, *BYOL*).

use candle_core::{Result, bail};
use matssl_tensor::{Parameters, Role, moving_average};

/// Prefix, without its dot, of the averages: `momentum.encoder.conv1.weight` follows `encoder.conv1.weight`.
pub const MOMENTUM: &str = "momentum";

/// The names of the averages and of the parameters that they follow.
#[derive(Debug)]
pub(crate) struct Momentum {
    pairs: Vec<(String, String)>,
}

impl Momentum {
    /// Copies all parameters below `prefixes`, as buffers. Running statistics are copied too, but do not
    /// follow: they move by the momentum network's own passes, as in MoCo, BYOL and lightly's `update_momentum`.
    ///
    /// # Errors
    /// If a name is taken, or there are no such parameters.
    pub(crate) fn init(parameters: &mut Parameters, prefixes: &[&str]) -> Result<Self> {
        let below = |name: &str| {
            let rest = |prefix: &&str| name.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with('.'));
            prefixes.iter().any(rest)
        };
        let copied = parameters.iter().filter(|(name, _)| below(name));
        let copied: Vec<_> = copied
            .map(|(name, parameter)| (name.to_owned(), parameter.var.as_detached_tensor(), parameter.role))
            .collect();
        if copied.is_empty() {
            bail!("nothing to follow below {}", prefixes.join(", "));
        }
        let mut pairs = Vec::new();
        for (name, tensor, role) in copied {
            let follower = format!("{MOMENTUM}.{name}");
            parameters.insert(&follower, tensor, Role::Buffer)?;
            if role.is_trainable() {
                pairs.push((follower, name));
            }
        }
        Ok(Momentum { pairs })
    }

    /// follower ← keep · follower + (1 − keep) · followed.
    ///
    /// # Errors
    /// If a parameter is missing.
    pub(crate) fn follow(&self, parameters: &Parameters, keep: f64) -> Result<()> {
        let tensors = self.pairs.iter().map(|(follower, name)| {
            let value = parameters.get(name)?.var.as_detached_tensor();
            Ok((parameters.get(follower)?.var.as_detached_tensor(), value))
        });
        let tensors = tensors.collect::<Result<Vec<_>>>()?;
        let pairs: Vec<_> = tensors.iter().map(|(follower, value)| (follower, value)).collect();
        moving_average::follow(&pairs, keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};

    #[test]
    fn trained_parameters_are_followed_and_statistics_are_not() -> Result<()> {
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        let ones = Tensor::ones(2, DType::F64, &Device::Cpu)?;
        parameters.insert("encoder.w", ones.clone(), Role::NormWeight)?;
        parameters.insert("encoder.running_mean", ones.clone(), Role::Buffer)?;
        parameters.insert("encoders.w", ones.clone(), Role::NormWeight)?;
        let momentum = Momentum::init(&mut parameters, &["encoder"])?;
        assert!(parameters.get("momentum.encoders.w").is_err());
        for name in ["encoder.w", "encoder.running_mean"] {
            parameters.get(name)?.var.set(&(&ones * 5.0)?)?;
        }
        momentum.follow(&parameters, 0.75)?;
        assert_eq!(parameters.tensor("momentum.encoder.w")?.to_vec1::<f64>()?, [2.0; 2]);
        assert_eq!(parameters.tensor("momentum.encoder.running_mean")?.to_vec1::<f64>()?, [1.0; 2]);
        assert_eq!(parameters.trainable().count(), 2, "what follows is not trained");
        assert!(Momentum::init(&mut parameters, &["nothing"]).is_err());
        Ok(())
    }
}
