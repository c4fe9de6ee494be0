//! `matssl-run cache pull`: brings what the shared cache has of an experiment to the cache on this machine.

use super::super::open_experiment::{self, OpenExperiment};
use super::super::outcome::{Ending, Stop};
use super::super::output::{print, say};
use super::super::remote::look_into;
use super::super::wording::plural;
use super::push::PushArgs;
use crate::cache::{Amount, Digest, Record};
use crate::machine::Bytes;
use crate::plan::CacheState;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn pull(args: &PushArgs) -> Result<Ending, Stop> {
    let shared = args.remote.required(args.quiet)?;
    if !shared.connect()? {
        return Err(Stop::not_there(format!("there is no shared cache in {}", shared.shown())));
    }
    let experiment = look_into(&shared, open_experiment::open_whole(&args.experiment)?)?;
    let wanted = args.wanted(&experiment)?;
    let OpenExperiment { store, plan, .. } = &experiment;
    let (mut here, mut nowhere, mut records) = (0, 0, Vec::new());
    for (state, _) in plan.states.iter().zip(&wanted).filter(|(_, wanted)| **wanted) {
        match state {
            CacheState::Hit(record) => match store.only_remote(record.key) {
                Some(record) => records.push(record),
                None => here += 1,
            },
            _ => nowhere += 1,
        }
    }
    let Amount { count, bytes } = objects_of(&records);
    let files = format!("{} ({})", plural(count, "file"), Bytes(bytes));
    let mut ending = if shared.is_lost() { Ending::NotThere } else { Ending::Done };
    let mut text = if args.dry_run {
        format!("would pull {} with {files} from {}", plural(records.len(), "record"), shared.shown())
    } else {
        let failed = store.fetch(&records)?;
        for (key, why) in &failed {
            let stage = records.iter().find(|record| record.key == *key).map(|record| record.made.stage.as_str());
            say(&format!("error: {} was not pulled: {why}", stage.unwrap_or_default()));
            ending = ending.max(Ending::Failed);
        }
        let pulled = plural(records.len() - failed.len(), "record");
        format!("pulled {pulled} of {} with {files} from {}", records.len(), shared.shown())
    };
    text += &format!("; here already: {here}");
    if nowhere > 0 {
        text += &format!("; not there: {nowhere}");
    }
    print(&(text + "\n"));
    Ok(ending)
}

fn objects_of(records: &[Arc<Record>]) -> Amount {
    let outputs = records.iter().flat_map(|record| &record.outputs);
    let sizes: BTreeMap<Digest, u64> = outputs.map(|output| (output.digest, output.size)).collect();
    let mut amount = Amount::default();
    sizes.into_values().for_each(|size| amount += size);
    amount
}
