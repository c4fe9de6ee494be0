//! Start and end of each stage in the last run.

use crate::cache::Store;
use crate::events::{Event, read_events};
use crate::exec::runs;
use crate::plan::Plan;
use crate::report::page::Span;
use std::collections::BTreeMap;

/// The spans of the last run of this experiment that ran a stage, from its event log.
pub(super) fn of(plan: &Plan, store: &Store) -> Vec<Span> {
    let kinds: BTreeMap<&str, &str> =
        plan.experiment.instances.iter().map(|instance| (instance.name.as_str(), instance.kind.name)).collect();
    let mut runs = runs(store, Some(&plan.experiment.name));
    runs.find_map(|run| {
        let events = read_events(&run.folder).into_iter();
        let mut spans = spans(events.map(|line| (line.seconds(), line.event)));
        for span in &mut spans {
            span.kind = kinds.get(span.stage.as_str()).copied().unwrap_or("no longer in the experiment").to_owned();
        }
        (!spans.is_empty()).then_some(spans)
    })
    .unwrap_or_default()
}

/// The spans from start to end of each stage. `events` have their times in seconds.
fn spans(events: impl IntoIterator<Item = (f64, Event)>) -> Vec<Span> {
    let (mut start, mut last) = (None, 0.0);
    let mut begun: BTreeMap<String, f64> = BTreeMap::new();
    let mut spans = Vec::new();
    for (at, event) in events {
        last = at - *start.get_or_insert(at);
        let (stage, done) = match event {
            Event::StageStarted { stage, .. } | Event::StageRuns { stage, .. } => {
                begun.insert(stage, last);
                continue;
            }
            Event::StageFinished { stage, .. } => (stage, true),
            Event::StageFailed { stage, .. }
            | Event::StageRetried { stage, .. }
            | Event::StageRequeued { stage, .. } => (stage, false),
            _ => continue,
        };
        if let Some(begin) = begun.remove(&stage) {
            spans.push(Span { kind: String::new(), stage, begin, end: last, done });
        }
    }
    // Stages that were still running when the run ended.
    let stopped = begun.into_iter();
    spans.extend(stopped.map(|(stage, begin)| Span { kind: String::new(), stage, begin, end: last, done: false }));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Digest, Key};

    #[test]
    fn spans_have_start_and_end_and_failed_or_stopped_stages_are_not_done() {
        let key = Key(Digest::of(b""));
        let started = |stage: &str| Event::StageStarted { stage: stage.into(), key, threads: 1, device: None };
        let events = [
            (100.0, Event::RunStarted { experiment: "e".into(), stages: 3, cached: 0, jobs: 2 }),
            (100.5, started("a")),
            (101.0, started("b")),
            (102.5, Event::StageFinished { stage: "a".into(), key, seconds: 2.0 }),
            (103.0, started("c")),
            (
                104.0,
                Event::StageRetried {
                    stage: "b".into(),
                    attempt: 2,
                    class: crate::events::ErrorClass::Lost,
                    message: String::new(),
                },
            ),
            (105.0, Event::StageSkipped { stage: "d".into(), because_of: "b".into() }),
        ];
        let found: Vec<_> =
            spans(events).into_iter().map(|span| (span.stage, span.begin, span.end, span.done)).collect();
        let expected = [("a", 0.5, 2.5, true), ("b", 1.0, 4.0, false), ("c", 3.0, 5.0, false)];
        assert_eq!(found, expected.map(|(stage, begin, end, done)| (stage.to_owned(), begin, end, done)));
    }
}
