//! What operations save of a forward pass for their gradients: a tensor, or a function that recomputes it.

use candle_core::{Result, Tensor};
use std::cell::RefCell;
use std::rc::Rc;

/// A tensor that a gradient will need.
#[derive(Clone)]
pub(crate) enum Saved {
    /// The tensor.
    Kept(Tensor),
    /// A tensor that is freed after the forward pass and recomputed when a gradient needs it.
    Recomputed(Rc<Recomputed>),
}

/// The tensor while it is in memory, and the function that recomputes it.
pub(crate) struct Recomputed {
    tensor: RefCell<Option<Tensor>>,
    again: Box<dyn Fn() -> Result<Tensor>>,
}

/// Frees the tensor when it is dropped: with the last handle on the forward pass's value.
pub(crate) struct Forget(Rc<Recomputed>);

impl Drop for Forget {
    fn drop(&mut self) {
        self.0.tensor.take();
    }
}

impl Saved {
    /// `tensor`, which `again` computes too, and the guard that frees it.
    pub(crate) fn recomputable(tensor: Tensor, again: impl Fn() -> Result<Tensor> + 'static) -> (Self, Forget) {
        let recomputed = Rc::new(Recomputed { tensor: RefCell::new(Some(tensor)), again: Box::new(again) });
        (Saved::Recomputed(recomputed.clone()), Forget(recomputed))
    }

    /// The tensor; recomputed at most once, then in memory until it is forgotten.
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

    /// Frees the tensor if it can be recomputed.
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
