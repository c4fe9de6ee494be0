//! The self-supervised methods: two full updates of each (trained and momentum weights, running statistics, queues)
//! against lightly, in float64.

use crate::bound::Sums;
use crate::fixture::{self, Tensors};
use crate::hashed::{self, PLAIN};
use crate::measure::{Pair, Pairs, compare};
use crate::part::Part;
use crate::section::{Held, Section, hold};
use candle_core::{DType, Result, Tensor};
use matssl_run::nn::{Arch, Encoder, Parameters, ResNetConfig, Role, Variant};
use matssl_run::random::Stream;
use matssl_run::ssl::{ENCODER, MethodSpec, Moment, Online};
use matssl_run::train::OptimizerSpec;
use matssl_run::train::optimizer::Optimizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Described {
    arch: Arch,
    method: MethodSpec,
    batch: usize,
    size: [usize; 2],
    steps: u64,
    sgd: Sgd,
    tensors: Tensors,
}

#[derive(Deserialize)]
struct Sgd {
    lr: f64,
    momentum: f64,
    weight_decay: f64,
}

impl Described {
    /// Losses and all parameters and buffers after the steps.
    fn run(&self) -> anyhow::Result<Pairs> {
        let encoder = Encoder::new(ResNetConfig { arch: self.arch, width: 64, variant: Variant::V15, in_channels: 3 });
        let mut parameters = Parameters::new(DType::F64, hashed::device());
        let stream = Stream::new(0, "parity", 0, 0);
        encoder.init(&mut parameters, ENCODER, &stream)?;
        let method = self.method.build(&encoder, &mut parameters, &stream)?;
        hashed::fill(&parameters)?;
        let Sgd { lr: learning_rate, momentum, weight_decay } = self.sgd;
        let mut optimizer = Optimizer::new(serde_json::from_value::<OptimizerSpec>(serde_json::json!({
            "name": "sgd", "learning_rate": learning_rate, "momentum": momentum, "weight_decay": weight_decay
        }))?);
        let mut pairs = Pairs::new();
        for step in 0..self.steps {
            let [height, width] = self.size;
            let view = |name: &str| {
                hashed::tensor(&format!("{name}{step}"), &[self.batch, height, width, 3], PLAIN, DType::F64)
            };
            let views = [view("first")?, view("second")?];
            let mut online = Online::new(&encoder, &parameters);
            let made = method.loss(&mut online, &views, Moment { step, steps: self.steps, seed: 0 })?;
            let gradients = online.backward(&made.loss)?;
            optimizer.step(&parameters, &gradients, learning_rate, 1.0)?;
            pairs.insert(format!("loss {}", step + 1), exact(&made.loss.detach(), Role::Buffer)?);
        }
        for (name, parameter) in parameters.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
            // What follows a convolution lies as a convolution does.
            let followed = name.strip_prefix("momentum.").map_or(Ok(parameter), |followed| parameters.get(followed))?;
            pairs.insert(name.to_owned(), exact(parameter.var.as_tensor(), followed.role)?);
        }
        Ok(pairs)
    }
}

fn exact(tensor: &Tensor, role: Role) -> Result<Pair> {
    Pair::new(tensor, tensor, role)
}

pub(crate) static PART: Part = Part::new("methods", |done| {
    for described in fixture::section::<Described>(include_str!("methods.json"), "methods") {
        let written = serde_json::to_value(&described.method).unwrap_or_default();
        let option = |name: &str| written[name].as_str().map(|option| format!(", {option}")).unwrap_or_default();
        let options = ["matching", "dense_negatives"].map(option).concat();
        let name = format!("{}{options}: {} updates", described.method.name(), described.steps);
        done(Section::of(name, Held::Float64, || {
            Ok::<_, anyhow::Error>(compare("", &described.run()?, &described.tensors, |_| Sums::Of(1)))
        }));
    }
});

#[test]
fn methods_are_lightlys() {
    hold(PART.sections());
}
