//! A plan as a graph of families.

use crate::plan::{CacheState, Plan};
use crate::report::drawing::{Drawing, Standing};

/// The graph of all families of stages and their inputs. Linear in the number of stages and edges.
pub fn drawing(plan: &Plan) -> Drawing {
    let instances = &plan.experiment.instances;
    let stages = if instances.len() == 1 { "stage" } else { "stages" };
    let mut drawing = Drawing::new(format!("{}: {} {stages}", plan.experiment.name, instances.len()));
    let mut families = Vec::with_capacity(instances.len());
    for (instance, state) in instances.iter().zip(&plan.states) {
        let inputs: Vec<usize> = instance.inputs.iter().map(|input| families[input.instance]).collect();
        families.push(drawing.add(&instance.family, instance.kind.name, standing(state), inputs.into_iter()));
    }
    drawing
}

fn standing(state: &CacheState) -> Standing {
    match state {
        CacheState::Hit(_) => Standing::Cached,
        CacheState::Miss { .. } => Standing::Run,
        CacheState::WaitsOn(_) => Standing::Waits,
        CacheState::Unavailable(_) => Standing::Missing,
    }
}
