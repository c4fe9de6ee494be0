//! What operations keep of a forward pass for their gradients: a tensor, or the way to compute it again.

use candle_core::{Result, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

/// A tensor that a gradient will need.
#[derive(Clone)]
pub(crate) enum Saved {
    /// The tensor.
    Kept(Tensor),
    /// A tensor that is let go of after the forward pass and computed again when it is asked for.
    Recomputed(Rc<Recomputed>),
}

/// The tensor while it is there, and how it was made.
pub(crate) struct Recomputed {
    tensor: RefCell<Option<Tensor>>,
    again: Box<dyn Fn() -> Result<Tensor>>,
}

/// Dropped with the last handle on the forward pass's value.
pub(crate) struct Forget(Rc<Recomputed>);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.tensor.take();
    }
}

impl Saved {
    /// `tensor`, which `again` yields too, and what drops it.
    pub(crate) fn recomputable(tensor: Tensor, again: impl Fn() -> Result<Tensor> + 'static) -> (Self, Forget) {
        let recomputed = Rc::new(Recomputed { tensor: RefCell::new(Some(tensor)), again: Box::new(again) });
        (Saved::Recomputed(recomputed.clone()), Forget(recomputed))
    }

    /// The tensor; computed once, then there until it is forgotten.
    ///
    /// # Errors
    /// Those of computing it.
    pub(crate) fn tensor(&self) -> Result<Tensor> {
        match self {
            Saved::Kept(tensor) => Ok(tensor.clone()),
            Saved::Recomputed(recomputed) => {
                if let Some(tensor) = recomputed.tensor.borrow().as_ref() {
                    return Ok(tensor.clone());
                }
                let tensor = (recomputed.again)()?;
                *recomputed.tensor.borrow_mut() = Some(tensor.clone());
                Ok(tensor)
            }
        }
    }

    /// Frees a tensor that could be computed again.
    pub(crate) fn forget(&self) {
        if let Saved::Recomputed(recomputed) = self {
            recomputed.tensor.take();
        }
    }
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Saved::Kept(tensor) => write!(f, "Kept({:?})", tensor.shape()),
            Saved::Recomputed(_) => write!(f, "Recomputed"),
        }
    }
}

impl std::fmt::Debug for Forget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Forget")
    }
}
