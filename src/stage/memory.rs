//! What a stage will hold in memory, against what there is.

use super::{Context, StageError};
use crate::machine::{self, Bound, Room};
use crate::train::memory::Needs;

/// Lets a stage go on to its work if what it needs fits into the memory there is, of the GPU or else of the machine, as
/// far as the system says; tells the
/// estimate as telemetry `estimated_memory_mib`, to be compared with the measured `peak_memory_mib`.
///
/// # Errors
/// If it does not fit: the numbers and the cure. If `MATSSL_MEMORY_LIMIT` is no amount of memory.
pub(super) fn admit(needs: &Needs, context: &mut Context) -> Result<(), StageError> {
    let free = context.opened.as_ref().and_then(|device| device.free_memory());
    // The parameters are on the GPU already, and among what is needed.
    let gpu = free.map(|free| Room { bytes: free + needs.parameters, bound: Bound::Gpu });
    let estimate = needs.estimate().total().div_ceil(1 << 20);
    context.telemetry.insert("estimated_memory_mib".into(), estimate.into());
    let room = if gpu.is_some() { gpu } else { machine::room().map_err(anyhow::Error::msg)? };
    match room {
        Some(room) => Ok(needs.fits(room).map_err(anyhow::Error::from)?),
        None => Ok(()),
    }
}
