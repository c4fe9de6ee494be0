//! `plan --slurm DIR`: job scripts for sites where only a person may submit.

use super::super::arguments::ExperimentArgs;
use super::super::outcome::Stop;
use super::super::output::print;
use super::super::run::slurm_settings;
use super::super::wording::plural;
use crate::exec::{StagesByHand, runs_as_job, submit_by_hand};
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::path::{Path, absolute};

/// Writes a script for the stages of each family that `must_run` as jobs, one for the rest, and `submit.sh`. `memory`: the expected
/// memory of a stage in bytes.
pub(super) fn write_scripts(
    args: &ExperimentArgs,
    plan: &Plan,
    must_run: &[bool],
    memory: &dyn Fn(usize) -> Option<u64>,
    folder: &Path,
) -> Result<(), Stop> {
    let settings = slurm_settings()?;
    let folder = absolute(folder).map_err(anyhow::Error::from)?;
    std::fs::create_dir_all(&folder).map_err(|error| Stop::writing(&folder, &error))?;
    let instances = &plan.experiment.instances;
    let command = command_line(args)?;
    let groups = groups(plan, must_run);
    let mut scripts: Vec<(String, Vec<usize>)> = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let first = &instances[group[0]];
        let names: Vec<String> = group.iter().map(|&stage| instances[stage].name.clone()).collect();
        let job = format!("{:02}-{}", number + 1, first.family);
        let of = StagesByHand {
            name: &job,
            kind: first.kind.name,
            stages: &names,
            threads: first.limits.threads,
            memory: group.iter().filter_map(|&stage| instances[stage].limits.memory.or_else(|| memory(stage))).max(),
            gpu: first.stage.computes(),
        };
        let reads = plan.dag.with_ancestors(group);
        let after = (0..number).filter(|&before| groups[before].iter().any(|&stage| reads[stage])).collect();
        write(&folder, &format!("{job}.sh"), &settings.script_by_hand(&of, &folder, &command))?;
        scripts.push((format!("{job}.sh"), after));
    }
    let all = (0..groups.len()).collect();
    let of = StagesByHand { name: "99-rest", kind: "", stages: &[], threads: None, memory: None, gpu: false };
    write(&folder, "99-rest.sh", &settings.script_by_hand(&of, &folder, &command))?;
    scripts.push(("99-rest.sh".to_owned(), all));
    write(&folder, "submit.sh", &submit_by_hand(&scripts))?;
    print(&format!(
        "{} in {}; submit all with: bash {}\n",
        plural(scripts.len(), "script"),
        folder.display(),
        folder.join("submit.sh").display()
    ));
    Ok(())
}

/// The stages that run as jobs: those of one family that can run at the same time, and each group after those that it reads.
fn groups(plan: &Plan, must_run: &[bool]) -> Vec<Vec<usize>> {
    let mut level = vec![0; plan.dag.len()];
    let mut groups: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
    for stage in plan.dag.topological() {
        let instance = &plan.experiment.instances[stage];
        let is_job = must_run[stage] && runs_as_job(instance);
        level[stage] = plan.dag.inputs(stage).map(|input| level[input]).max().unwrap_or(0) + usize::from(is_job);
        if is_job {
            groups.entry((level[stage], &instance.family)).or_default().push(stage);
        }
    }
    groups
        .into_values()
        .map(|mut group| {
            group.sort_unstable();
            group
        })
        .collect()
}

/// The command line that runs the experiment from any folder.
fn command_line(args: &ExperimentArgs) -> Result<Vec<String>, Stop> {
    let text =
        |path: &Path| absolute(path).map(|path| path.to_string_lossy().into_owned()).map_err(anyhow::Error::from);
    let mut line = vec![text(&std::env::current_exe().map_err(anyhow::Error::from)?)?, text(&args.file)?];
    line.extend(["--cache".to_owned(), text(&args.cache)?, "--reports".to_owned(), text(Path::new("reports"))?]);
    if let Some(data) = &args.data {
        line.extend(["--data".to_owned(), text(data)?]);
    }
    line.extend(args.set.iter().flat_map(|set| ["--set".to_owned(), set.clone()]));
    Ok(line)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Stop> {
    let path = folder.join(name);
    std::fs::write(&path, text).map_err(|error| Stop::writing(&path, &error))
}
