//! Damage to numbers that are shown: they are refused, not shown.

use crate::common::{Project, TOY};
use crate::damage::{Blow, strike};
use crate::tally::{Harm, Tally};
use matssl_run::random::Stream;

/// The whole way to a table and a curve in a second.
pub(crate) fn toy() -> Project {
    let project = Project::new(TOY);
    project.edit("epochs = 3\nbatch_size = 8", "epochs = 1\nbatch_size = 8");
    project.edit("epochs = 3\nbatch_size = 2", "epochs = 1\nbatch_size = 2").edit("seeds = [0, 1]", "seeds = [0]");
    project
}

/// Flips a bit in each kind of file that tables, curves and explanations come from, `times` each.
pub(crate) fn damage(times: usize, stream: &mut Stream, tally: &Tally) {
    const FAULT: &str = "flipped bit: table, metrics, history";
    let project = toy();
    let run = &["experiment.toml"][..];
    let cell = &["explain", "experiment.toml", "--cell", "table:test.segment.matssl,mIoU"][..];
    let point = &["explain", "experiment.toml", "--point", "curve:MatSSL,1"][..];
    project.run(run).ok();
    let shown: Vec<_> = [run, cell, point].iter().map(|args| project.run(args).ok().stdout).collect();
    let reports = project.files("reports");
    for end in ["table.txt", "table.csv", "metrics.json", "history.csv"] {
        for _ in 0..times {
            let (_, _, digest) = project.outputs().into_iter().find(|(_, path, _)| path.ends_with(end)).unwrap();
            let object = project.path(&format!("cache/objects/{}/{}", &digest[..2], &digest[2..]));
            strike(stream, &object, Blow::Flip);
            let mut noticed = 0;
            for (args, before) in [run, cell, point].iter().zip(&shown) {
                let done = project.run(args);
                let refused = done.code != Some(0) && done.stderr.contains("is damaged in the cache");
                noticed += usize::from(refused);
                if done.stdout != *before && !refused {
                    tally.harm(
                        FAULT,
                        Harm::Wrong,
                        format!("{end}: {args:?}: {:?}: {}{}", done.code, done.stdout, done.stderr),
                    );
                }
            }
            if noticed == 0 && end != "table.csv" {
                tally.harm(FAULT, Harm::Wrong, format!("nobody noticed {end}"));
            }
            // Reports that are right already are not read again; those that are not there are.
            std::fs::remove_dir_all(project.path("reports")).unwrap();
            let done = project.run(run);
            let expected = if end.starts_with("table") { Some(1) } else { Some(0) };
            if done.code != expected {
                tally.harm(FAULT, Harm::Ended, format!("{end}: {:?}: {}", done.code, done.stderr));
            }
            tally.done(FAULT, true);
            assert_eq!(project.run(&["cache", "verify", "--quiet"]).code, Some(3));
            let repaired = project.run(run).ok();
            if repaired.ran() != 1 || repaired.stdout != shown[0] || project.files("reports") != reports {
                tally.harm(FAULT, Harm::Wrong, format!("after the repair: {}{}", repaired.stdout, repaired.stderr));
            }
        }
    }
}
