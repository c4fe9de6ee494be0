//! Where the tape and candle's autograd meet: the encoder's features.

use crate::nn::{Gradients, Mode, Parameters, ResNet, Tape, Value};
use candle_core::{Result, Tensor, Var};

/// Prefix (less its dot) of the encoder's parameters in the store that it shares with a method's head.
pub const ENCODER: &str = "encoder";

/// One training pass through the encoder: views go in through the tape, features come out as candle variables, and
/// a loss computed from those by candle's autograd goes all the way back.
pub struct Online<'a> {
    encoder: &'a ResNet,
    tape: Tape<'a>,
    /// Each feature as it is on the tape and as candle sees it.
    features: Vec<(Value, Var)>,
}

impl<'a> Online<'a> {
    /// A pass through `encoder`, whose parameters lie in `parameters` below [`ENCODER`].
    pub fn new(encoder: &'a ResNet, parameters: &'a Parameters) -> Self {
        Online { encoder, tape: Tape::new(parameters, Mode::Train), features: Vec::new() }
    }

    /// The parameters of encoder and head.
    pub fn parameters(&self) -> &'a Parameters {
        self.tape.parameters()
    }

    /// Global average pooling of each of the four stages of one view `[batch, height, width, 3]`: four tensors
    /// `[batch, channels]`. Batch norm takes the statistics of this view alone, so call it once a view, as the authors
    /// and lightly's examples do.
    ///
    /// # Errors
    /// If the view does not fit the encoder.
    pub fn pooled(&mut self, view: &Tensor) -> Result<[Tensor; 4]> {
        let [_, a, b, c, d] = self.encoder.features(&self.tape, ENCODER, &self.tape.constant(view.clone()))?;
        let mut pool = |stage: Value| -> Result<Tensor> {
            let pooled = self.tape.global_average_pool(&stage)?;
            let var = Var::from_tensor(&pooled.tensor().detach())?;
            self.features.push((pooled, var.clone()));
            Ok(var.into_inner())
        };
        Ok([pool(a)?, pool(b)?, pool(c)?, pool(d)?])
    }

    /// The gradients of the scalar `loss` with respect to all parameters of encoder and head that it depends on.
    ///
    /// # Errors
    /// If the loss depends on none of the features.
    pub fn backward(self, loss: &Tensor) -> Result<Gradients> {
        let parameters = self.parameters();
        let grads = loss.backward()?;
        let seeds = self.features.into_iter().filter_map(|(value, var)| Some((value, grads.get(&var)?.clone())));
        let mut gradients = self.tape.backward(seeds.collect())?;
        for (name, parameter) in parameters.trainable() {
            if let Some(gradient) = grads.get(&parameter.var) {
                gradients.add(name, gradient.clone())?;
            }
        }
        Ok(gradients)
    }
}
