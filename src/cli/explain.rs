//! `matssl-run explain FILE STAGE`: why it would run, or why not.

use super::{ExperimentArgs, Stop, place, print, threads};
use crate::cache::LastKeys;
use crate::exit_code;
use crate::plan::{Explanation, Reason};
use clap::Args;
use std::fmt::Write;

#[derive(Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// The stage, e.g. `ssl@0`; without its seed, or a family's name, for all of them.
    stage: String,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<u8, Stop> {
    let place = place::open(&args.experiment)?;
    let plan = &place.plan;
    let mut text = String::new();
    let last_keys = LastKeys::open(&place.store, &plan.experiment.name);
    for stage in place.stages_called(&args.stage, "STAGE")? {
        let name = &plan.experiment.instances[stage].name;
        match plan.explain(stage, &place.store, &last_keys) {
            Explanation::Hit { record, reasons } => {
                let made = &record.made;
                let _ = writeln!(text, "{name} is cached: key {}", record.key.0.short());
                let _ = writeln!(
                    text,
                    "  made for {} by {} on {} ({}, {}) in {:.1} s, finished {}",
                    made.stage,
                    made.program,
                    made.host,
                    made.device,
                    threads(made.threads),
                    made.seconds,
                    utc(made.finished_at)
                );
                if !reasons.is_empty() {
                    text += "  since this experiment last used it:\n";
                    list(&mut text, &reasons);
                }
            }
            Explanation::NeverRan => {
                let _ = writeln!(text, "{name} would run: no stage of this name has finished in this cache");
            }
            Explanation::OutputGone => {
                let _ = writeln!(text, "{name} would run: its key is unchanged, but its files are gone from the cache");
            }
            Explanation::Changed(reasons) => {
                let _ = writeln!(text, "{name} would run: its key has changed");
                list(&mut text, &reasons);
            }
            Explanation::Waits { on, never_ran, known } => {
                let names: Vec<&str> = on.iter().map(|&i| plan.experiment.instances[i].name.as_str()).collect();
                let _ = writeln!(text, "{name} waits on {}", names.join(", "));
                if never_ran {
                    text += "  no stage of this name has finished in this cache\n";
                } else if known.is_empty() {
                    text += "  nothing else has changed: if their content comes out the same, it will not run\n";
                } else {
                    text += "  and has changed itself, so it will run unless that was computed before:\n";
                    list(&mut text, &known);
                }
            }
            Explanation::Unavailable(message) => {
                let _ = writeln!(text, "{name} cannot run: {message}");
            }
        }
    }
    print(&text);
    Ok(exit_code::DONE)
}

fn list(text: &mut String, reasons: &[Reason]) {
    for reason in reasons {
        let _ = writeln!(text, "  {reason}");
    }
}

/// Seconds since 1970 as `2026-11-22 17:04 UTC` (days to civil date as in Howard Hinnant's `civil_from_days`).
pub(super) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (date, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{date:02} {:02}:{:02} UTC", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_become_dates() {
        assert_eq!(super::utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(super::utc(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(super::utc(1_795_371_825), "2026-11-22 18:23 UTC");
    }
}
