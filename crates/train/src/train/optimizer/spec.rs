//! The choice of an optimiser and its parameters in an experiment.

use matssl_tensor::Role;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An optimiser and its parameters, as in `optimizer = { name = "sgd", learning_rate = 0.1, … }`.
///
/// | name | own parameters, with defaults | weight decay |
/// | --- | --- | --- |
/// | `sgd` | `momentum = 0.9`, `nesterov = false` | 0 by default; added to the gradient (L2) |
/// | `adam` | `betas = [0.9, 0.999]`, `epsilon = 1e-8` | as `sgd` |
/// | `adamw` | the same | 0.01 by default, as PyTorch's; decoupled |
/// | `lars` | `momentum = 0.9`, `nesterov = false`, `trust_coefficient = 0.001`, `epsilon = 1e-8` | must be given |
///
/// All have `decay_norms_and_biases` and `clip_norm` (off by default).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "OptimizerTable", into = "OptimizerTable")]
pub struct OptimizerSpec {
    pub(super) algorithm: Algorithm,
    /// Initial learning rate; the schedule changes it.
    learning_rate: f64,
    pub(super) weight_decay: f64,
    /// Whether weight decay also applies to scales and shifts of normalisations (a method's gates are stored as such
    /// scales) and to biases, as with PyTorch's `model.parameters()`. True by default, except for LARS, which adapts
    /// only parameters with weight decay. The authors of SimCLR and BYOL and lightly's examples do the same.
    decay_norms_and_biases: bool,
    /// Maximum norm of the gradients of all parameters together; larger gradients are scaled down to it.
    clip_norm: Option<f64>,
}

/// The algorithm of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Algorithm {
    /// `torch.optim.SGD` without dampening.
    Sgd { momentum: f64, nesterov: bool },
    /// `torch.optim.Adam`, or with `decoupled` weight decay `torch.optim.AdamW` (Loshchilov & Hutter 2019).
    Adam { betas: [f64; 2], epsilon: f64, decoupled: bool },
    /// `lightly.utils.lars.LARS` 1.5.20 (You, Gitman & Ginsburg 2017): SGD whose step for each tensor is proportional
    /// to the norm of that tensor.
    Lars { momentum: f64, nesterov: bool, trust_coefficient: f64, epsilon: f64 },
}

/// Defaults of PyTorch and lightly, except the momentum: 0 there, 0.9 in publications.
const MOMENTUM: f64 = 0.9;
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;
const DECOUPLED_WEIGHT_DECAY: f64 = 0.01;
const TRUST_COEFFICIENT: f64 = 0.001;

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OptimizerName {
    Sgd,
    Adam,
    AdamW,
    Lars,
}

impl OptimizerName {
    fn text(self) -> &'static str {
        match self {
            OptimizerName::Sgd => "sgd",
            OptimizerName::Adam => "adam",
            OptimizerName::AdamW => "adamw",
            OptimizerName::Lars => "lars",
        }
    }
}

// Parameters that were added later are not written if they have their default, so that cache keys stay the same.
/// An optimiser and its parameters.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OptimizerTable {
    #[schemars(description = "Which optimiser: sgd, adam, adamw or lars.")]
    name: OptimizerName,
    #[schemars(description = "Initial learning rate; the schedule changes it.")]
    learning_rate: f64,
    #[schemars(description = "sgd and lars: momentum; default 0.9.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    #[schemars(description = "sgd and lars: whether to use Nesterov momentum; default false.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[schemars(description = "adam and adamw: decay rates of the moments; default [0.9, 0.999].")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    betas: Option<[f64; 2]>,
    #[schemars(description = "lars: factor of the adapted step; default 0.001.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trust_coefficient: Option<f64>,
    #[schemars(description = "adam, adamw and lars: added to a denominator; default 1e-8.")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    #[schemars(description = "Weight decay; default 0 (adamw: 0.01, decoupled); lars needs a value above 0.")]
    #[serde(default)]
    weight_decay: Option<f64>,
    #[schemars(
        description = "Whether weight decay also applies to normalisations and biases; default true (lars: false)."
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decay_norms_and_biases: Option<bool>,
    #[schemars(
        description = "Maximum norm of all gradients together; larger gradients are scaled down. Default: no limit."
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
}

impl OptimizerTable {
    /// The parameters that only some optimisers have: whether the table holds them, and which optimisers have them.
    fn own(&self) -> [(&'static str, bool, &'static [OptimizerName]); 5] {
        use OptimizerName::{Adam, AdamW, Lars, Sgd};
        [
            ("momentum", self.momentum.is_some(), &[Sgd, Lars]),
            ("nesterov", self.nesterov.is_some(), &[Sgd, Lars]),
            ("betas", self.betas.is_some(), &[Adam, AdamW]),
            ("trust_coefficient", self.trust_coefficient.is_some(), &[Lars]),
            ("epsilon", self.epsilon.is_some(), &[Adam, AdamW, Lars]),
        ]
    }

    fn momentum(&self) -> Result<(f64, bool), String> {
        let (momentum, nesterov) = (self.momentum.unwrap_or(MOMENTUM), self.nesterov.unwrap_or(false));
        if !(0.0..1.0).contains(&momentum) {
            return Err(format!("momentum = {momentum}: expected 0 ≤ momentum < 1"));
        }
        if nesterov && momentum == 0.0 {
            return Err("nesterov = true needs a momentum above 0".into());
        }
        Ok((momentum, nesterov))
    }

    fn algorithm(&self) -> Result<Algorithm, String> {
        // Written so that NaN fails too.
        let above_0 = |name: &str, value: f64| {
            let fits = value > 0.0 && value.is_finite();
            if fits { Ok(value) } else { Err(format!("{name} = {value}: expected a number above 0")) }
        };
        let epsilon = above_0("epsilon", self.epsilon.unwrap_or(EPSILON))?;
        match self.name {
            OptimizerName::Sgd => {
                let (momentum, nesterov) = self.momentum()?;
                Ok(Algorithm::Sgd { momentum, nesterov })
            }
            OptimizerName::Adam | OptimizerName::AdamW => {
                let betas = self.betas.unwrap_or(BETAS);
                if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
                    return Err(format!("betas = {betas:?}: expected 0 ≤ beta < 1 for each"));
                }
                Ok(Algorithm::Adam { betas, epsilon, decoupled: self.name == OptimizerName::AdamW })
            }
            OptimizerName::Lars => {
                let (momentum, nesterov) = self.momentum()?;
                let trust_coefficient = self.trust_coefficient.unwrap_or(TRUST_COEFFICIENT);
                let trust_coefficient = above_0("trust_coefficient", trust_coefficient)?;
                Ok(Algorithm::Lars { momentum, nesterov, trust_coefficient, epsilon })
            }
        }
    }
}

impl TryFrom<OptimizerTable> for OptimizerSpec {
    type Error = String;

    fn try_from(written: OptimizerTable) -> Result<Self, String> {
        let OptimizerTable { name, learning_rate, clip_norm, .. } = written;
        for (parameter, is_written, owners) in written.own() {
            if is_written && !owners.contains(&name) {
                let owners: Vec<&str> = owners.iter().map(|owner| owner.text()).collect();
                return Err(format!("`{parameter}` belongs to {}; {} has none", owners.join(" and "), name.text()));
            }
        }
        if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            return Err(format!("learning_rate = {learning_rate}: expected a number above 0"));
        }
        let weight_decay = written.weight_decay.unwrap_or(match name {
            OptimizerName::AdamW => DECOUPLED_WEIGHT_DECAY,
            OptimizerName::Sgd | OptimizerName::Adam | OptimizerName::Lars => 0.0,
        });
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            return Err(format!("weight_decay = {weight_decay}: expected 0 or above"));
        }
        if name == OptimizerName::Lars && weight_decay == 0.0 {
            return Err("lars needs a `weight_decay` above 0, e.g. 1e-6: as in lightly, it adapts only parameters \
                 with weight decay, and without any it would be sgd"
                .into());
        }
        if let Some(norm) = clip_norm
            && !(norm > 0.0 && norm.is_finite())
        {
            return Err(format!("clip_norm = {norm}: expected a norm above 0; leave it out to disable clipping"));
        }
        let decay_norms_and_biases = written.decay_norms_and_biases.unwrap_or(name != OptimizerName::Lars);
        let algorithm = written.algorithm()?;
        Ok(OptimizerSpec { algorithm, learning_rate, weight_decay, decay_norms_and_biases, clip_norm })
    }
}

impl From<OptimizerSpec> for OptimizerTable {
    fn from(spec: OptimizerSpec) -> OptimizerTable {
        let OptimizerSpec { algorithm, learning_rate, weight_decay, decay_norms_and_biases, clip_norm } = spec;
        let unless = |default: bool, value: bool| (value != default).then_some(value);
        let written = OptimizerTable {
            name: OptimizerName::Sgd,
            learning_rate,
            momentum: None,
            nesterov: None,
            betas: None,
            trust_coefficient: None,
            epsilon: None,
            weight_decay: Some(weight_decay),
            decay_norms_and_biases: unless(true, decay_norms_and_biases),
            clip_norm,
        };
        match algorithm {
            Algorithm::Sgd { momentum, nesterov } => {
                OptimizerTable { momentum: Some(momentum), nesterov: unless(false, nesterov), ..written }
            }
            Algorithm::Adam { betas, epsilon, decoupled: false } => OptimizerTable {
                name: OptimizerName::Adam,
                betas: (betas != BETAS).then_some(betas),
                epsilon: (epsilon != EPSILON).then_some(epsilon),
                ..written
            },
            Algorithm::Adam { betas, epsilon, decoupled: true } => OptimizerTable {
                name: OptimizerName::AdamW,
                betas: Some(betas),
                epsilon: Some(epsilon),
                decay_norms_and_biases: Some(decay_norms_and_biases),
                ..written
            },
            Algorithm::Lars { momentum, nesterov, trust_coefficient, epsilon } => OptimizerTable {
                name: OptimizerName::Lars,
                momentum: Some(momentum),
                nesterov: Some(nesterov),
                trust_coefficient: Some(trust_coefficient),
                epsilon: Some(epsilon),
                decay_norms_and_biases: Some(decay_norms_and_biases),
                ..written
            },
        }
    }
}

impl OptimizerSpec {
    /// `sgd` with the rest at its defaults.
    pub const fn sgd(learning_rate: f64, momentum: f64, weight_decay: f64) -> Self {
        let algorithm = Algorithm::Sgd { momentum, nesterov: false };
        OptimizerSpec { algorithm, learning_rate, weight_decay, decay_norms_and_biases: true, clip_norm: None }
    }

    /// `adam` with the rest at its defaults.
    pub const fn adam(learning_rate: f64, weight_decay: f64) -> Self {
        let algorithm = Algorithm::Adam { betas: BETAS, epsilon: EPSILON, decoupled: false };
        OptimizerSpec { algorithm, learning_rate, weight_decay, decay_norms_and_biases: true, clip_norm: None }
    }

    /// The initial learning rate, which the schedule changes.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Whether weight decay applies to parameters of this role.
    pub(super) fn decays(&self, role: Role) -> bool {
        match role {
            Role::ConvWeight | Role::LinearWeight => true,
            Role::Bias | Role::NormWeight | Role::NormBias => self.decay_norms_and_biases,
            Role::Buffer => false,
        }
    }

    /// The clipping factor for gradients of norm `norm`, as in `torch.nn.utils.clip_grad_norm_`; 1 without `clip_norm`.
    pub(in super::super) fn clipping(&self, norm: f64) -> f64 {
        self.clip_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0))
    }

    /// Number of tensors in its state for each trained parameter. SGD keeps its velocity even with a momentum of 0.
    pub(in super::super) fn state_copies(&self) -> u64 {
        match self.algorithm {
            Algorithm::Sgd { .. } | Algorithm::Lars { .. } => 1,
            Algorithm::Adam { .. } => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<OptimizerSpec, toml::de::Error> {
        toml::from_str(text)
    }

    fn written(text: &str) -> String {
        let spec = read(text).unwrap();
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<OptimizerSpec>(&json).unwrap(), spec, "{json}");
        json
    }

    #[test]
    fn json_without_new_parameters_is_unchanged() {
        assert_eq!(
            written("name = 'sgd'\nlearning_rate = 0.1"),
            r#"{"name":"sgd","learning_rate":0.1,"momentum":0.9,"weight_decay":0.0}"#
        );
        assert_eq!(
            written("name = 'adam'\nlearning_rate = 0.1\nbetas = [0.9, 0.999]\ndecay_norms_and_biases = true"),
            r#"{"name":"adam","learning_rate":0.1,"weight_decay":0.0}"#
        );
    }

    #[test]
    fn json_has_all_non_defaults_and_all_parameters_of_later_optimisers() {
        assert_eq!(
            written(
                "name = 'sgd'\nlearning_rate = 0.1\nnesterov = true\nclip_norm = 2\ndecay_norms_and_biases = false"
            ),
            r#"{"name":"sgd","learning_rate":0.1,"momentum":0.9,"nesterov":true,"weight_decay":0.0,"decay_norms_and_biases":false,"clip_norm":2.0}"#
        );
        assert_eq!(
            written("name = 'adam'\nlearning_rate = 0.1\nbetas = [0.5, 0.9]\nepsilon = 1e-6"),
            r#"{"name":"adam","learning_rate":0.1,"betas":[0.5,0.9],"epsilon":1e-6,"weight_decay":0.0}"#
        );
        assert_eq!(
            written("name = 'adamw'\nlearning_rate = 0.1"),
            r#"{"name":"adamw","learning_rate":0.1,"betas":[0.9,0.999],"epsilon":1e-8,"weight_decay":0.01,"decay_norms_and_biases":true}"#
        );
        assert_eq!(
            written("name = 'lars'\nlearning_rate = 4.8\nweight_decay = 1e-6"),
            r#"{"name":"lars","learning_rate":4.8,"momentum":0.9,"nesterov":false,"trust_coefficient":0.001,"epsilon":1e-8,"weight_decay":1e-6,"decay_norms_and_biases":false}"#
        );
    }

    #[test]
    fn invalid_parameters_are_rejected() {
        let refused = [
            ("name = 'adam'\nlearning_rate = 0.1\nmomentum = 0.9", "`momentum` belongs to sgd and lars; adam has none"),
            ("name = 'adamw'\nlearning_rate = 0.1\nnesterov = true", "`nesterov` belongs to sgd and lars; adamw has"),
            (
                "name = 'sgd'\nlearning_rate = 0.1\nbetas = [0.9, 0.9]",
                "`betas` belongs to adam and adamw; sgd has none",
            ),
            ("name = 'sgd'\nlearning_rate = 0.1\nepsilon = 0.9", "`epsilon` belongs to adam and adamw and lars; sgd"),
            ("name = 'sgd'\nlearning_rate = 0.1\ntrust_coefficient = 0.9", "`trust_coefficient` belongs to lars; sgd"),
            ("name = 'sgd'\nlearning_rate = -0.1", "above 0"),
            ("name = 'sgd'\nlearning_rate = nan", "above 0"),
            ("name = 'sgd'\nlearning_rate = 0.1\nmomentum = 1.0", "0 ≤ momentum < 1"),
            ("name = 'sgd'\nlearning_rate = 0.1\nmomentum = 0\nnesterov = true", "needs a momentum above 0"),
            ("name = 'sgd'\nlearning_rate = 0.1\nweight_decay = -1.0", "0 or above"),
            ("name = 'sgd'\nlearning_rate = 0.1\nclip_norm = 0", "clip_norm = 0: expected a norm above 0"),
            (
                "name = 'adam'\nlearning_rate = 0.1\nbetas = [0.9, 1.0]",
                "betas = [0.9, 1.0]: expected 0 ≤ beta < 1 for each",
            ),
            ("name = 'adam'\nlearning_rate = 0.1\nbetas = [0.9]", "length 2"),
            ("name = 'adamw'\nlearning_rate = 0.1\nepsilon = 0.0", "epsilon = 0: expected a number above 0"),
            ("name = 'lars'\nlearning_rate = 0.1", "lars needs a `weight_decay` above 0"),
            (
                "name = 'lars'\nlearning_rate = 0.1\nweight_decay = 1\ntrust_coefficient = nan",
                "trust_coefficient = NaN",
            ),
            ("name = 'sgd'\nlearning_rat = 0.1", "unknown field `learning_rat`"),
            ("name = 'lamb'\nlearning_rate = 0.1", "expected one of `sgd`, `adam`, `adamw`, `lars`"),
        ];
        for (text, expected) in refused {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
