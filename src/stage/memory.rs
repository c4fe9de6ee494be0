//! Compares the memory that a stage needs with the free memory.

use super::{Context, StageError};
use crate::machine::{self, Bound, Room};
use crate::train::memory::Needs;

/// Checks that the memory a stage needs fits into the free memory of the GPU, or else of the machine, if the system
/// reports it. Records the estimate as telemetry `estimated_memory_mib`, for comparison with the measured
/// `peak_memory_mib`.
///
/// # Errors
/// The numbers and possible remedies, if it does not fit. If `MATSSL_MEMORY_LIMIT` is not an amount of memory.
pub(super) fn admit(needs: &Needs, context: &mut Context) -> Result<(), StageError> {
    let free = context.opened.as_ref().and_then(|device| device.free_memory());
    // The parameters are on the GPU already, but `needs` counts them.
    let gpu = free.map(|free| Room { bytes: free + needs.parameters, bound: Bound::Gpu });
    let estimate = needs.estimate().total().div_ceil(1 << 20);
    context.telemetry.insert("estimated_memory_mib".into(), estimate.into());
    let room = if gpu.is_some() { gpu } else { machine::room().map_err(anyhow::Error::msg)? };
    match room {
        Some(room) => Ok(needs.fits(room).map_err(anyhow::Error::from)?),
        None => Ok(()),
    }
}
