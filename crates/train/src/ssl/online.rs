//! The step between the tape and candle's autograd: the embeddings.

use crate::networks::Encoder;
use candle_core::{Result, Tensor, Var};
use matssl_base::random::Stream;
use matssl_tensor::init::join;
use matssl_tensor::{Gradients, Mode, Parameters, Tape, Value};
use std::cell::Cell;

/// Prefix, without its dot, of the encoder's parameters in the store that it shares with a method's heads.
pub const ENCODER: &str = "encoder";

/// One training pass through encoder and heads. Embeddings leave the tape as candle variables. The gradients of a loss that candle
/// computes from them then go back through the tape.
pub struct Online<'a> {
    encoder: &'a Encoder,
    tape: Tape<'a>,
    /// Where passes through the encoder draw from, if it drops paths at random, and the number of passes so far.
    stream: Option<Stream>,
    passes: Cell<u64>,
    /// Values that have left the tape, each with the variable that candle sees.
    left: Vec<(Value, Var)>,
}

impl<'a> Online<'a> {
    /// A pass through `encoder`, whose parameters lie in `parameters` below [`ENCODER`].
    pub fn new(encoder: &'a Encoder, parameters: &'a Parameters) -> Self {
        let tape = Tape::new(parameters, Mode::Train);
        Online { encoder, tape, stream: None, passes: Cell::new(0), left: Vec::new() }
    }

    /// The same, with random numbers for an encoder that drops paths in training. Each pass draws its own; a momentum encoder drops
    /// none, as in MoBY (Xie et al. 2021, *Self-Supervised Learning with Swin Transformers*, section 3: asymmetric drop path).
    pub fn with_stream(self, stream: Stream) -> Self {
        Online { stream: Some(stream), ..self }
    }

    /// The tape for the next pass through the encoder.
    fn pass(&self) -> &Tape<'a> {
        let pass = self.passes.replace(self.passes.get() + 1);
        if let Some(stream) = &self.stream {
            self.tape.set_stream(stream.child(pass));
        }
        &self.tape
    }

    /// The tape of encoder and heads.
    pub fn tape(&self) -> &Tape<'a> {
        &self.tape
    }

    /// Global average pooling of each of the four stages of one view `[batch, height, width, in_channels]`: four values
    /// `[batch, channels]`. Batch norm takes the statistics of this view alone, so call it once a view, as the authors
    /// and lightly's examples do.
    ///
    /// # Errors
    /// If the view does not fit the encoder.
    pub fn pooled(&self, view: &Tensor) -> Result<[Value; 4]> {
        let [a, b, c, d] = self.encoder.stages(self.pass(), ENCODER, &self.tape.input(view)?)?;
        let pool = |stage| self.tape.global_average_pool(&stage);
        Ok([pool(a)?, pool(b)?, pool(c)?, pool(d)?])
    }

    /// The last stage's map `[batch, height, width, channels]` of one view, by the encoder whose parameters lie below
    /// `prefix` and [`ENCODER`]: the trained one if `prefix` is empty, else a momentum encoder. A pass without trained
    /// parameters is not recorded.
    ///
    /// # Errors
    /// If the view does not fit the encoder.
    pub fn map(&self, prefix: &str, view: &Tensor) -> Result<Value> {
        self.encoder.deepest(self.pass(), &join(prefix, ENCODER), &self.tape.input(view)?)
    }

    /// Global average pooling `[batch, channels]` of [`Online::map`].
    ///
    /// # Errors
    /// As [`Online::map`].
    pub fn features(&self, prefix: &str, view: &Tensor) -> Result<Value> {
        self.tape.global_average_pool(&self.map(prefix, view)?)
    }

    /// `value` as a candle variable for a loss; [`backward`](Self::backward) takes the loss's gradient back to it.
    ///
    /// # Errors
    /// candle's.
    pub fn leave(&mut self, value: Value) -> Result<Tensor> {
        let var = Var::from_tensor(&value.tensor().detach())?;
        self.left.push((value, var.clone()));
        Ok(var.into_inner())
    }

    /// The gradients of the scalar `loss` with respect to all parameters that it depends on, on the tape or, as a
    /// learnt temperature might be, in candle.
    ///
    /// # Errors
    /// If it depends on no value that has left the tape.
    pub fn backward(self, loss: &Tensor) -> Result<Gradients> {
        let parameters = self.tape.parameters();
        let grads = loss.backward()?;
        let seeds = self.left.into_iter().filter_map(|(value, var)| Some((value, grads.get(&var)?.clone())));
        let mut gradients = self.tape.backward(seeds.collect())?;
        for (name, parameter) in parameters.trainable() {
            if let Some(gradient) = grads.get(&parameter.var) {
                gradients.add(name, gradient.clone())?;
            }
        }
        Ok(gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::networks::EncoderConfig;
    use crate::ssl::{MethodSpec, Moment};
    use candle_core::{DType, Device};
    use matssl_tensor::Role;

    fn views() -> [Tensor; 2] {
        [0, 1].map(|view| {
            let mut stream = Stream::new(8, "online test", 0, view);
            let values: Vec<f64> = (0..3 * 64 * 64 * 3).map(|_| stream.normal()).collect();
            Tensor::from_vec(values, (3, 64, 64, 3), &Device::Cpu).unwrap()
        })
    }

    /// On the pretended GPU: the encoder in bfloat16, heads, queues and losses in float32.
    #[test]
    fn every_method_runs_in_bfloat16() {
        use matssl_tensor::Precision;
        let run = || -> Result<()> {
            for name in crate::ssl::names() {
                let config: EncoderConfig = serde_json::from_str(r#"{"arch":"resnet18","width":8}"#).unwrap();
                let encoder = Encoder::new(config);
                let mut parameters = Parameters::new(DType::F32, &Device::Cpu).with_precision(Precision::Bf16);
                let stream = Stream::new(1, "online test", 0, 9);
                encoder.init(&mut parameters, ENCODER, &stream)?;
                let text = format!(r#"{{"name":"{name}","head":{{"hidden":16,"output":8}}}}"#);
                let spec: MethodSpec = serde_json::from_str(&text).unwrap();
                let method = spec.build(&encoder, &mut parameters, &stream.child(1)).unwrap();
                let mut online = Online::new(&encoder, &parameters);
                let made = method.loss(&mut online, &views(), Moment { step: 0, steps: 2, seed: 0 })?;
                assert!(made.loss.to_dtype(DType::F64)?.to_scalar::<f64>()?.is_finite(), "{name}");
                let gradients = online.backward(&made.loss)?;
                for (parameter, value) in parameters.trainable() {
                    let gradient = gradients.get(parameter).unwrap_or_else(|| panic!("{name}: none of {parameter}"));
                    assert_eq!(
                        (gradient.dims(), gradient.dtype()),
                        (value.var.dims(), DType::F32),
                        "{name}: {parameter}"
                    );
                }
            }
            Ok(())
        };
        if let Some(result) = matssl_tensor::ops::gpu::pretend::on(run) {
            result.unwrap();
        }
    }

    #[test]
    fn a_parameter_in_the_loss_itself_has_its_gradient_too() {
        let config: EncoderConfig = serde_json::from_str(r#"{"arch":"resnet18","width":2}"#).unwrap();
        let encoder = Encoder::new(config);
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        encoder.init(&mut parameters, ENCODER, &Stream::new(1, "online test", 0, 9)).unwrap();
        parameters.insert("scale", Tensor::new(3.0, &Device::Cpu).unwrap(), Role::Bias).unwrap();
        let mut online = Online::new(&encoder, &parameters);
        let [.., last] = online.pooled(&views()[0]).unwrap();
        let sum = last.tensor().sum_all().unwrap().to_scalar::<f64>().unwrap();
        let features = online.leave(last).unwrap();
        let loss = (features.sum_all().unwrap() * parameters.tensor("scale").unwrap()).unwrap();
        let gradients = online.backward(&loss).unwrap();
        let found: f64 = gradients.get("scale").unwrap().to_scalar().unwrap();
        assert!((found - sum).abs() < 1e-12 * sum.abs(), "{found} {sum}");
        assert!(gradients.get("encoder.conv1.weight").is_some());
    }

    /// The chain rule across tape and candle: every method's gradient with respect to weights of the encoder's first
    /// and last layers, its batch norms and its heads, in float64.
    #[test]
    fn gradients_through_encoder_and_heads_agree_with_finite_differences() {
        let checked_in_all = ["encoder.conv1.weight", "encoder.layer2.0.bn1.weight", "encoder.layer4.1.conv2.weight"];
        let sizes = r#""head":{"hidden":6,"output":4}"#;
        let methods = [
            (r#""name":"matssl","temperature":0.5"#, "attn_module.gates.1"),
            (r#""name":"matssl","gate":"code","temperature":0.5"#, "attn_module.gates.3"),
            (r#""name":"simclr","temperature":0.5"#, "projection_head.layers.4.bias"),
            (r#""name":"mocov2","queue_size":8"#, "projection_head.layers.2.bias"),
            (r#""name":"mocov2","queue_size":8,"batch_norm_groups":3"#, "projection_head.layers.0.bias"),
            (r#""name":"densecl","queue_size":8"#, "dense_head.layers.0.weight"),
            (r#""name":"byol","prediction_hidden":5"#, "prediction_head.layers.0.weight"),
            (r#""name":"simsiam","prediction_hidden":5"#, "prediction_head.layers.3.bias"),
            (r#""name":"barlow-twins""#, "projection_head.layers.6.weight"),
            (r#""name":"vicreg""#, "projection_head.layers.6.bias"),
        ];
        let covered: std::collections::BTreeSet<&str> =
            methods.iter().map(|(method, _)| method.split('"').nth(3).unwrap()).collect();
        assert_eq!(covered, crate::ssl::names().into_iter().collect(), "every method is checked");
        for (method, own) in methods {
            let config: EncoderConfig = serde_json::from_str(r#"{"arch":"resnet18","width":2}"#).unwrap();
            let encoder = Encoder::new(config);
            let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
            let stream = Stream::new(1, "online test", 0, 9);
            encoder.init(&mut parameters, ENCODER, &stream).unwrap();
            let spec: MethodSpec = serde_json::from_str(&format!("{{{method},{sizes}}}")).unwrap();
            let method_built = spec.build(&encoder, &mut parameters, &stream.child(1)).unwrap();
            let told: Vec<&str> = method_built.parts().iter().chain(method_built.columns()).copied().collect();
            assert!(told.iter().all(|column| crate::ssl::columns().contains(column)), "{method}: {told:?}");
            let views = views();
            // Buffers that a step changes are restored: otherwise the loss is no function of the trained parameters.
            let state = |parameters: &Parameters| -> Vec<(String, Tensor)> {
                let buffers = parameters.iter().filter(|(_, parameter)| !parameter.role.is_trainable());
                buffers.map(|(name, p)| (name.to_owned(), p.var.as_detached_tensor().copy().unwrap())).collect()
            };
            let before = state(&parameters);
            let loss = || {
                for (name, tensor) in &before {
                    parameters.get(name).unwrap().var.set(tensor).unwrap();
                }
                let mut online = Online::new(&encoder, &parameters);
                let moment = Moment { step: 1, steps: 4, seed: 0 };
                let loss = method_built.loss(&mut online, &views, moment).unwrap().loss;
                (online, loss)
            };
            let (online, first) = loss();
            let gradients = online.backward(&first).unwrap();
            for (name, parameter) in parameters.trainable() {
                let gradient = gradients.get(name).unwrap_or_else(|| panic!("{method}: {name} has no gradient"));
                assert_eq!(gradient.dims(), parameter.var.dims());
            }
            // SimSiam's targets depend on the weights, though no gradient goes there: only the prediction head can be checked
            // so, and the rest in tests/parity.
            let everywhere = checked_in_all.into_iter().chain(["projection_head.layers.0.weight"]);
            for name in everywhere.filter(|_| spec.name() != "simsiam").chain([own]) {
                let var = &parameters.get(name).unwrap().var;
                let analytic: Vec<f64> = gradients.get(name).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                let value: Vec<f64> = var.as_detached_tensor().flatten_all().unwrap().to_vec1().unwrap();
                // What a momentum network follows in the same step moves its targets too: by (1 − momentum), which is no
                // part of the gradient.
                let follows = parameters.get(&format!("momentum.{name}")).is_ok();
                let tolerance = if follows { 2e-2 } else { 1e-5 };
                for i in [0, value.len() / 2, value.len() - 1] {
                    let at = |step: f64| -> f64 {
                        let mut moved = value.clone();
                        moved[i] += step;
                        var.set(&Tensor::from_vec(moved, var.shape().clone(), &Device::Cpu).unwrap()).unwrap();
                        loss().1.to_scalar().unwrap()
                    };
                    let numeric = (at(1e-7) - at(-1e-7)) / 2e-7;
                    at(0.0);
                    let tolerance = tolerance * numeric.abs().max(1e-2);
                    let found = analytic[i];
                    assert!((found - numeric).abs() < tolerance, "{method}: {name}[{i}]: {found} {numeric}");
                }
            }
        }
    }
}
