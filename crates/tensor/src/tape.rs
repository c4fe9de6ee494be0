//! The tape: runs a network's fused operations on `[batch, height, width, channels]` tensors and saves what their
//! gradients need.
//!
//! Each operation is a method on [`Tape`], in a file of its own in [`super::ops`]. What is cheap to compute (a batch norm with
//! its ReLU) is not saved: its [`Saved`] recomputes it in the backward pass.

use super::count::{Count, Footprint, placeholder};
use super::graph::{Description, Graph, Recorder};
use super::init::join;
use super::ops::gpu::Sizes;
use super::ops::sum;
use super::parameters::{Gradients, Parameters};
use super::saved::{Forget, Saved};
use candle_core::{Result, Tensor, bail};
use indexmap::{IndexMap, IndexSet};
use matssl_base::random::Stream;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch norm uses the batch's statistics and moves the running ones; everything is recorded for `backward`.
    Train,
    /// Batch norm uses the running statistics and leaves them alone; everything is recorded for `backward`.
    Frozen,
    /// Batch norm uses the running statistics; nothing is recorded, and tensors are freed as values drop.
    Eval,
}

/// A tensor on the tape. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Value {
    tensor: Tensor,
    origin: Option<Origin>,
    /// What an operation that reads this value saves of it.
    saved: Saved,
    /// Frees a recomputable tensor with the last handle on this value.
    _forget: Option<Rc<Forget>>,
}

/// Where a value was recorded.
#[derive(Clone, Copy, Debug)]
struct Origin {
    tape: u64,
    node: usize,
}

impl Value {
    /// The tensor itself, without a graph of candle's autograd.
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Whether the backward pass computes a gradient for it.
    pub fn needs_gradient(&self) -> bool {
        self.origin.is_some()
    }

    /// Whether it is freed after the forward pass and recomputed when a gradient needs it.
    pub(crate) fn is_recomputed(&self) -> bool {
        matches!(self.saved, Saved::Recomputed(_))
    }

    fn kept(tensor: Tensor, origin: Option<Origin>) -> Self {
        Value { saved: Saved::Kept(tensor.clone()), tensor, origin, _forget: None }
    }
}

/// Takes the gradient of an operation's output and, for each input, whether a gradient is wanted; returns the
/// gradients of the inputs in their order.
type Backward = Box<dyn FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>>>;

enum Node {
    Leaf(String),
    Operation { inputs: Vec<Option<usize>>, backward: Backward, output: Option<Saved> },
}

static NEXT_TAPE: AtomicU64 = AtomicU64::new(0);

/// One forward pass over a network, and its backward pass.
pub struct Tape<'p> {
    parameters: &'p Parameters,
    mode: Mode,
    id: u64,
    nodes: RefCell<Vec<Node>>,
    leaves: RefCell<IndexMap<String, Value>>,
    /// Whether values that are not marked by [`Tape::keep`] are recomputed.
    recompute: bool,
    /// Whether frozen parts of the network run as in a prediction.
    freezes: bool,
    /// On a dry tape, which computes nothing: what it has counted.
    count: Option<RefCell<Count>>,
    /// On a dry tape: the operations so far, if they are recorded.
    recorder: Option<RefCell<Recorder>>,
    /// Where operations draw from that drop at random in training.
    stream: RefCell<Option<Stream>>,
}

impl<'p> Tape<'p> {
    /// An empty tape. In [`Mode::Train`] batch norms move the running statistics in `parameters`.
    pub fn new(parameters: &'p Parameters, mode: Mode) -> Self {
        let id = NEXT_TAPE.fetch_add(1, Ordering::Relaxed);
        let recompute = parameters.recomputes() && mode != Mode::Eval;
        let (nodes, leaves) = (RefCell::default(), RefCell::default());
        Tape {
            parameters,
            mode,
            id,
            nodes,
            leaves,
            recompute,
            freezes: mode == Mode::Train,
            count: None,
            recorder: None,
            stream: RefCell::default(),
        }
    }

    /// The same tape, with random numbers for operations that drop at random in training (drop path). The caller derives
    /// `stream` from seed and step, so that a resumed training draws the same.
    pub fn with_stream(self, stream: Stream) -> Self {
        self.set_stream(stream);
        self
    }

    /// Other random numbers from here on: of two passes through one network each needs its own.
    pub fn set_stream(&self, stream: Stream) {
        *self.stream.borrow_mut() = Some(stream);
    }

    /// Where operations draw from that drop at random; `None` if the caller gave no stream.
    pub fn stream(&self) -> Option<Stream> {
        self.stream.borrow().clone()
    }

    /// A tape for training that computes nothing and counts what it would save.
    pub(super) fn dry(parameters: &'p Parameters) -> Self {
        Tape { count: Some(RefCell::default()), ..Tape::new(parameters, Mode::Train) }
    }

    /// A tape that computes nothing and records the operations of a network with the input `input`, as it predicts.
    pub(super) fn tracing(parameters: &'p Parameters, input: &Tensor) -> Self {
        // In `Mode::Eval` a convolution and its batch norm would be one.
        let tape = Tape { count: Some(RefCell::default()), ..Tape::new(parameters, Mode::Frozen) };
        Tape { recorder: Some(RefCell::new(Recorder::new(input))), ..tape.keeping_all() }
    }

    /// What a [`tracing`](Self::tracing) tape has recorded, up to `output`.
    ///
    /// # Errors
    /// If `output` is not the output of an operation on it, or depends on one that a graph cannot hold.
    pub(super) fn traced(self, output: &Value) -> Result<Graph> {
        match self.recorder {
            Some(recorder) => recorder.into_inner().finish(&output.tensor),
            None => bail!("this tape records no operations"),
        }
    }

    /// The same tape, with everything kept, of frozen parts too.
    pub(super) fn keeping_all(self) -> Self {
        Tape { recompute: false, freezes: false, ..self }
    }

    /// The tape for the part of the network below `prefix`, if that is not this one: the part is frozen
    /// ([`Parameters::with_frozen`]) and runs as in a prediction. Its outputs are constants on this tape. A dry tape counts nothing of
    /// it, except for a prediction.
    pub fn of_part(&self, prefix: &str) -> Option<Tape<'p>> {
        let is_frozen = self.freezes && self.parameters.is_frozen(&join(prefix, ""));
        is_frozen.then(|| Tape {
            count: self.count.as_ref().map(|_| RefCell::default()),
            ..Tape::new(self.parameters, Mode::Eval)
        })
    }

    /// Whether values that are not marked by [`Tape::keep`] are recomputed.
    pub(crate) fn recomputes(&self) -> bool {
        self.recompute
    }

    /// The memory that a [`dry`](Self::dry) tape has counted.
    pub(super) fn counted(&self) -> Footprint {
        let Some(count) = &self.count else { return Footprint::default() };
        if self.recompute {
            count.borrow_mut().segment_ends();
        }
        count.borrow().footprint
    }

    /// The convolutions that a [`dry`](Self::dry) tape has seen.
    pub(super) fn counted_convolutions(self) -> IndexSet<Sizes> {
        self.count.map(|count| count.into_inner().convolutions).unwrap_or_default()
    }

    /// What the pass is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The parameters it runs with.
    pub fn parameters(&self) -> &'p Parameters {
        self.parameters
    }

    /// A batch of images as the network's input: on the parameters' device, in the type of the activations.
    ///
    /// # Errors
    /// If it cannot be copied there.
    pub fn input(&self, images: &Tensor) -> Result<Value> {
        let images = images.to_device(self.parameters.device())?;
        Ok(self.constant(images.to_dtype(self.parameters.activations())?))
    }

    /// An input without a gradient.
    pub fn constant(&self, tensor: Tensor) -> Value {
        Value::kept(tensor, None)
    }

    /// An input whose gradient [`Tape::backward`] returns under `name`. All uses of a name share one gradient, so a name must
    /// stand for one tensor.
    pub fn variable(&self, name: &str, tensor: Tensor) -> Value {
        if self.mode == Mode::Eval {
            return self.constant(tensor);
        }
        if let Some(known) = self.leaves.borrow().get(name) {
            return known.clone();
        }
        let value = Value::kept(tensor, Some(self.push(Node::Leaf(name.to_owned()))));
        self.leaves.borrow_mut().insert(name.to_owned(), value.clone());
        value
    }

    /// The parameter `name` as a value; a buffer is a constant.
    ///
    /// # Errors
    /// If there is no such parameter.
    pub fn parameter(&self, name: &str) -> Result<Value> {
        let parameter = self.parameters.get(name)?;
        // Detached: candle must not record a graph of its own.
        let tensor = parameter.var.as_detached_tensor();
        let is_trained = parameter.role.is_trainable() && !(self.freezes && self.parameters.is_frozen(name));
        Ok(if is_trained { self.variable(name, tensor) } else { self.constant(tensor) })
    }

    /// Marks `value` as one that is kept. With [`Parameters::with_recompute`] everything between such values is recomputed;
    /// without it this does nothing.
    pub fn keep(&self, value: Value) -> Value {
        if !self.recompute {
            return value;
        }
        if let Some(count) = &self.count {
            count.borrow_mut().segment_ends();
        }
        Value { saved: Saved::Kept(value.tensor.clone()), ..value }
    }

    /// What an operation saves of `value` for its gradient.
    pub(crate) fn save(&self, value: &Value) -> Saved {
        if let (Some(count), Saved::Kept(tensor)) = (&self.count, &value.saved) {
            count.borrow_mut().saved(tensor);
        }
        value.saved.clone()
    }

    /// The output of the operation that `describe` describes: that of `compute`, or on a dry tape a placeholder of `shape`.
    ///
    /// # Errors
    /// Those of `compute`.
    pub(crate) fn output(
        &self,
        shape: &[usize],
        describe: impl FnOnce() -> Description,
        compute: impl FnOnce() -> Result<Tensor>,
    ) -> Result<Tensor> {
        let Some(count) = &self.count else { return compute() };
        let output = placeholder(shape, self.parameters.activations(), self.parameters)?;
        count.borrow_mut().output(&output);
        if let Some(recorder) = &self.recorder {
            recorder.borrow_mut().push(describe(), &output);
        }
        Ok(output)
    }

    /// Whether nothing is computed.
    pub fn is_dry(&self) -> bool {
        self.count.is_some()
    }

    /// Counts `bytes` that an operation saves beside its inputs, on a dry tape.
    pub(crate) fn keep_bytes(&self, bytes: usize) {
        if let Some(count) = &self.count {
            count.borrow_mut().footprint.saved_bytes += bytes as u64;
        }
    }

    /// Counts a convolution, and whether its inputs are concatenated first, on a dry tape.
    pub(crate) fn count_convolution(&self, sizes: Sizes, is_joined: bool) {
        if let Some(count) = &self.count {
            let elements: usize = if is_joined { sizes.input.iter().product() } else { 0 };
            count.borrow_mut().convolution(sizes, elements * self.parameters.activations().size_in_bytes());
        }
    }

    /// Puts an operation's output on the tape. In [`Mode::Eval`], or if no input needs a gradient, `backward` is
    /// dropped with all that it saved.
    pub fn record<F>(&self, output: Tensor, inputs: &[&Value], backward: F) -> Value
    where
        F: FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + 'static,
    {
        match inputs_of(inputs) {
            None => self.constant(output),
            Some(inputs) => {
                let node = Node::Operation { inputs, backward: Box::new(backward), output: None };
                Value::kept(output, Some(self.push(node)))
            }
        }
    }

    /// As [`Tape::record`], for an output that `again` recomputes to the same bits: it is freed when the last handle drops.
    pub(crate) fn record_recomputable<F, A>(&self, output: Tensor, inputs: &[&Value], again: A, backward: F) -> Value
    where
        F: FnOnce(&Tensor, &[bool]) -> Result<Vec<Option<Tensor>>> + 'static,
        A: Fn() -> Result<Tensor> + 'static,
    {
        match inputs_of(inputs) {
            None => self.constant(output),
            Some(inputs) => {
                let (saved, forget) = Saved::recomputable(output.clone(), again);
                let node = Node::Operation { inputs, backward: Box::new(backward), output: Some(saved.clone()) };
                Value { tensor: output, origin: Some(self.push(node)), saved, _forget: Some(Rc::new(forget)) }
            }
        }
    }

    /// Gradients of Σ ⟨seed, value⟩ over all `seeds`, by parameter (and variable) name, in the order of first use. A
    /// seed has its value's shape and is the gradient of the loss with respect to it. Saved tensors are freed as soon as they
    /// have been used.
    ///
    /// # Errors
    /// In [`Mode::Eval`]; if a value depends on no parameter or belongs to another tape, or a seed has another shape.
    pub fn backward(self, seeds: Vec<(Value, Tensor)>) -> Result<Gradients> {
        if self.mode == Mode::Eval {
            bail!("a tape in Mode::Eval records nothing for a backward pass");
        }
        let id = self.id;
        let mut nodes = self.nodes.into_inner();
        drop(self.leaves);
        let mut pending: Vec<Option<Tensor>> = nodes.iter().map(|_| None).collect();
        for (value, seed) in seeds {
            let node = match value.origin {
                Some(origin) if origin.tape == id => origin.node,
                Some(_) => bail!("backward: the value belongs to another tape"),
                None => bail!("backward: the value depends on no parameter"),
            };
            if value.tensor.dims() != seed.dims() || value.tensor.dtype() != seed.dtype() {
                bail!("backward: a seed of {:?} for a value of {:?}", seed.shape(), value.tensor.shape());
            }
            accumulate(&mut pending[node], seed.detach().contiguous()?)?;
        }
        let mut reached = Vec::new();
        while let Some(node) = nodes.pop() {
            let Some(gradient) = pending.pop().flatten() else { continue };
            match node {
                Node::Leaf(name) => reached.push((name, gradient)),
                Node::Operation { inputs, backward, output } => {
                    // All readers of the output were recorded later, so their gradients are done.
                    if let Some(output) = output {
                        output.forget();
                    }
                    let wanted: Vec<bool> = inputs.iter().map(Option::is_some).collect();
                    let gradients = backward(&gradient, &wanted)?;
                    drop(gradient);
                    for (input, gradient) in inputs.into_iter().zip(gradients) {
                        if let (Some(input), Some(gradient)) = (input, gradient) {
                            accumulate(&mut pending[input], gradient)?;
                        }
                    }
                }
            }
        }
        let mut result = Gradients::new();
        for (name, gradient) in reached.into_iter().rev() {
            result.add(&name, gradient)?;
        }
        Ok(result)
    }

    fn push(&self, node: Node) -> Origin {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(node);
        Origin { tape: self.id, node: nodes.len() - 1 }
    }
}

/// The nodes of an operation's inputs; none if no input needs a gradient.
fn inputs_of(inputs: &[&Value]) -> Option<Vec<Option<usize>>> {
    let nodes: Vec<Option<usize>> = inputs.iter().map(|input| input.origin.map(|origin| origin.node)).collect();
    nodes.iter().any(Option::is_some).then_some(nodes)
}

fn accumulate(total: &mut Option<Tensor>, gradient: Tensor) -> Result<()> {
    *total = Some(match total.take() {
        Some(present) => sum::forward(&present, &gradient)?,
        None => gradient,
    });
    Ok(())
}

#[cfg(test)]
mod tests;
