//! Stages that run as jobs of a batch system.

use super::super::job_of_stage::job_of;
use super::super::outcome::{Failure, OnInterrupt, Signals, SlurmOptions, StageOutcome};
use super::super::slurm::{Request, SlurmExecutor};
use super::super::{requirements::is_submitted, scheduler};
use super::Run;
use crate::cache::Key;
use crate::events::{ErrorClass, Event};
use crate::stage::StageError;
use anyhow::anyhow;
use matssl_base::device_name::DeviceName;

impl Run<'_> {
    /// Hands `stage` to the batch system, with the next [`Run::flush_jobs`].
    pub(super) fn submit(&mut self, stage: usize) {
        debug_assert!(is_submitted(self.instance(stage), self.options), "the scheduler knows which stages are jobs");
        match self.try_submit(stage) {
            Ok(key) => {
                self.attempts[stage] += 1;
                self.submitted.insert(stage);
                self.emit(Event::StageSubmitted { stage: self.name(stage), key });
            }
            Err(error) => self.fail(stage, ErrorClass::from(&error), error.to_string(), None),
        }
    }

    fn try_submit(&mut self, stage: usize) -> Result<Key, StageError> {
        let instance = self.instance(stage);
        let Some(SlurmOptions { settings, device, .. }) = &self.options.slurm else {
            return Err(anyhow!("this run uses no batch system").into());
        };
        let material = match &self.materials[stage] {
            Some(material) => material.clone(),
            None => self.material(stage)?,
        };
        let key = material.key();
        let inputs = self.inputs_of(stage)?;
        let job = job_of(self.plan, stage, inputs, self.store, self.places, self.options, DeviceName::Cpu, 1);
        let expected = self.options.expected[stage].memory;
        let request = Request {
            id: stage,
            key,
            job,
            trains: instance.kind.trains,
            device: device.filter(|_| instance.stage.computes()),
            threads: instance.limits.threads,
            memory: instance.limits.memory.or((expected > 0).then_some(expected + expected / 4 + (256 << 20))),
            timeout: instance.limits.timeout,
            taken: 0,
        };
        let slurm = match &self.slurm {
            Some(slurm) => slurm,
            None => {
                let experiment = &self.plan.experiment.name;
                let slurm = SlurmExecutor::start(settings, experiment, self.store, self.sender.clone())
                    .map_err(|error| StageError::NotThere(format!("{error:#}")))?;
                self.slurm.insert(slurm)
            }
        };
        slurm.submit(request);
        Ok(key)
    }

    /// Submits the jobs that were handed over. After a failure that ends the run, takes back those that have not begun.
    pub(super) fn flush_jobs(&mut self) {
        let Some(slurm) = &self.slurm else { return };
        slurm.flush();
        if self.scheduler.is_stopped() && !self.submitted.is_empty() && !std::mem::replace(&mut self.withdrew, true) {
            slurm.withdraw();
        }
    }

    /// Handles a job that was taken back before it ran.
    pub(super) fn withdrawn(&mut self, stage: usize) -> bool {
        self.submitted.remove(&stage);
        self.scheduler.on(scheduler::Event::Withdrawn(stage));
        self.emit(Event::StageWithdrawn { stage: self.name(stage) });
        true
    }

    /// Handles stages whose jobs the batch system refuses: one error for all of them.
    pub(super) fn refused(&mut self, stages: &[usize], message: String) -> bool {
        let class = ErrorClass::NotThere;
        let names = stages.iter().map(|&stage| self.name(stage)).collect();
        self.emit(Event::StagesRefused { stages: names, class, message: message.clone() });
        for &stage in stages {
            self.submitted.remove(&stage);
            let skipped = self.scheduler.on(scheduler::Event::Failed(stage));
            let failure = Failure { class, message: message.clone(), key: None, log: None };
            self.outcomes[stage] = StageOutcome::Failed(failure);
            for other in skipped {
                self.emit(Event::StageSkipped { stage: self.name(other), because_of: self.name(stage) });
            }
        }
        true
    }

    /// Ends the watch over jobs when the run is interrupted: they go on, or are cancelled.
    pub(super) fn leave_jobs(&mut self, signals: &Signals) {
        let (Some(mut slurm), Some(options)) = (self.slurm.take(), &self.options.slurm) else { return };
        let jobs = self.submitted.len();
        let cancel = match options.on_interrupt {
            _ if jobs == 0 => false,
            OnInterrupt::Leave => false,
            OnInterrupt::Cancel => true,
            OnInterrupt::Ask(ask) => ask(jobs, &|| signals.interrupts() > 1),
        };
        slurm.end(cancel);
        match (jobs, cancel) {
            (0, _) => {}
            (jobs, true) => self.warn(format!("{jobs} jobs of this run are cancelled")),
            (jobs, false) => self.warn(format!(
                "{jobs} jobs of this run go on in Slurm: the same command takes them up again, `matssl-run cancel FILE` cancels them"
            )),
        }
    }
}
