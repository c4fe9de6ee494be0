//! The networks' convolutions one by one, direction by direction: which of them a step loses its time in.
//!
//! Each side is given the same calls without autograd, as often as its network makes them; weights are float32 and are
//! converted in each call, as in training.

use crate::shapes::{self, Conv, ResNet};
use crate::table::{Measured, header, median, or_dash, row};
use crate::workers::Side;
use crate::workloads::{Spec, Target, Workload, directions};
use anyhow::Result;
use std::fmt::Write as _;

/// Ours ÷ PyTorch's over all layers of a network up to which nothing need be done.
const MOST: f64 = 1.3;

/// What is timed of a network.
struct Network {
    name: &'static str,
    batch: usize,
    /// Its distinct convolutions, and how often each occurs.
    convs: Vec<(Conv, usize)>,
}

/// ResNet-50 and U-Net++'s decoder on it at 256² on a GPU; a small pair on a CPU, to try it out.
fn networks(on_gpu: bool) -> [Network; 2] {
    let (names, batch, size, classes) =
        if on_gpu { (["resnet50", "decoder"], 128, 256, 5) } else { (["resnet18", "small-decoder"], 2, 64, 4) };
    let (encoder, channels) = match on_gpu {
        true => (ResNet::new(true, [3, 4, 6, 3], 64, size), [256, 128, 64, 32, 16]),
        false => (ResNet::new(false, [2, 2, 2, 2], 16, size), [64, 48, 32, 16, 16]),
    };
    let mut decoder = shapes::decoder(&encoder, &channels, size);
    // The head.
    decoder.push(Conv { kernel: 3, stride: 1, channels: [channels[4], classes], size });
    let network = |name, convs| Network { name, batch, convs: counted(convs) };
    [network(names[0], encoder.convs), network(names[1], decoder)]
}

fn counted(convs: Vec<Conv>) -> Vec<(Conv, usize)> {
    let mut distinct: Vec<(Conv, usize)> = Vec::new();
    for conv in convs {
        match distinct.iter_mut().find(|(known, _)| *known == conv) {
            Some((_, count)) => *count += 1,
            None => distinct.push((conv, 1)),
        }
    }
    distinct
}

/// `layer/NETWORK/CONVOLUTION`, those with the most operations in a step first: what is not reached matters least.
///
/// # Errors
/// None but mistakes in the list itself.
pub(crate) fn workloads(on_gpu: bool) -> Result<Vec<Workload>> {
    let mut all = Vec::new();
    for Network { name: network, batch, convs } in networks(on_gpu) {
        for (conv, count) in convs {
            let Conv { kernel, stride, channels: [from, to], size } = conv;
            let dx = u8::from(from > 3);
            let spec = Spec::parse(&format!(
                "layer batch={batch} size={size} in={from} out={to} kernel={kernel} stride={stride} dx={dx} count={count}"
            ))?;
            let passes = directions(&spec)?;
            let operations = Some(vec![conv.operations(batch); passes.len()]);
            let (name, target) = (format!("layer/{network}/{conv}"), Target::default());
            let workload = Workload { name, spec, passes, operations, target, rounds: 3, whole: false };
            all.push((conv.operations(batch) * count as f64, workload));
        }
    }
    all.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    Ok(all.into_iter().map(|(_, workload)| workload).collect())
}

/// One direction of one layer.
struct Timing<'m> {
    network: &'m str,
    layer: &'m str,
    direction: &'static str,
    count: usize,
    operations: f64,
    /// Seconds a call, or why there are none.
    ours: Result<f64, &'static str>,
    /// The same of the quicker of PyTorch's formats.
    theirs: Result<f64, &'static str>,
}

impl Timing<'_> {
    fn both(&self) -> Option<[f64; 2]> {
        Some([self.ours.ok()?, self.theirs.ok()?])
    }
}

fn timings(all: &[Measured]) -> Vec<Timing<'_>> {
    let mut found = Vec::new();
    for measured in all {
        let Workload { name, spec, passes, operations, .. } = &measured.workload;
        let (Some((network, layer)), Ok(count)) =
            (name.strip_prefix("layer/").and_then(|rest| rest.split_once('/')), spec.number("count"))
        else {
            continue;
        };
        for (pass, &direction) in passes.iter().enumerate() {
            let best = |is_it: fn(Side) -> bool| {
                let sides = measured.sides.iter().filter(|timed| is_it(timed.side));
                let times = sides.clone().filter(|timed| !timed.rounds.is_empty());
                let best = times.map(|timed| median(&timed.pass(pass))).min_by(f64::total_cmp);
                best.ok_or_else(|| sides.clone().find_map(|timed| timed.missing).unwrap_or("–"))
            };
            let (ours, theirs) = (best(|side| side == Side::Ours), best(Side::is_peer));
            let operations = operations.as_ref().map_or(0.0, |passes| passes[pass]);
            found.push(Timing { network, layer, direction, count, operations, ours, theirs });
        }
    }
    found
}

/// All layers of one network in one direction.
struct Sum<'m> {
    network: &'m str,
    direction: &'static str,
    layers: usize,
    /// Seconds of a pass: ours and PyTorch's, over the layers that both did.
    seconds: [f64; 2],
    /// The layer in which ours loses most to PyTorch: its name, the seconds of a pass, and ours ÷ PyTorch's.
    worst: Option<(&'m str, f64, f64)>,
}

fn sums<'m>(timings: &[Timing<'m>]) -> Vec<Sum<'m>> {
    let mut all: Vec<Sum<'m>> = Vec::new();
    for timing in timings {
        let Some([ours, theirs]) = timing.both() else { continue };
        let (network, direction) = (timing.network, timing.direction);
        let known = all.iter().position(|sum| (sum.network, sum.direction) == (network, direction));
        let place = known.unwrap_or_else(|| {
            all.push(Sum { network, direction, layers: 0, seconds: [0.0; 2], worst: None });
            all.len() - 1
        });
        let (sum, count) = (&mut all[place], timing.count as f64);
        sum.layers += 1;
        sum.seconds[0] += count * ours;
        sum.seconds[1] += count * theirs;
        let lost = count * (ours - theirs);
        if lost > sum.worst.map_or(0.0, |(_, most, _)| most) {
            sum.worst = Some((timing.layer, lost, ours / theirs));
        }
    }
    all
}

/// Markdown: every layer, then each network in each direction. Empty where there are no layers.
pub(crate) fn table(all: &[Measured]) -> String {
    let timings = timings(all);
    if timings.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let ms = |seconds: f64| format!("{:.3}", 1e3 * seconds);
    header(
        &mut text,
        &["layer", "×", "direction", "ours, ms", "PyTorch, ms", "ratio", "ours, TFLOP/s", "PyTorch, TFLOP/s"],
    );
    for timing in &timings {
        let cell = |seconds: Result<f64, &str>| seconds.map_or_else(str::to_owned, ms);
        let rate = |seconds: Result<f64, &str>| {
            or_dash(seconds.ok(), |seconds| format!("{:.1}", timing.operations / seconds / 1e12))
        };
        let Timing { network, layer, direction, count, ours, theirs, .. } = *timing;
        row(
            &mut text,
            &[
                format!("{network} {layer}"),
                count.to_string(),
                direction.to_owned(),
                cell(ours),
                cell(theirs),
                or_dash(timing.both(), |[ours, theirs]| format!("{:.2}", ours / theirs)),
                rate(ours),
                rate(theirs),
            ],
        );
    }
    for Sum { network, direction, layers, seconds: [ours, theirs], .. } in sums(&timings) {
        let [ours_ms, theirs_ms] = [ms(ours), ms(theirs)];
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| **{network}**, {layers} layers | | {direction} | {ours_ms} | {theirs_ms} | {:.2} | | |",
            ours / theirs
        );
    }
    text
}

/// The sums for programs to read, a line each, as `table::verdicts`; ours alone where PyTorch has no times.
pub(crate) fn verdicts(all: &[Measured]) -> String {
    let mut lines = String::new();
    let timings = timings(all);
    for Sum { network, direction, layers, seconds: [ours, theirs], worst } in sums(&timings) {
        let (ratio, worst) = (ours / theirs, or_dash(worst, |(layer, _, ratio)| format!("{layer} ({ratio:.2})")));
        let verdict = if ratio <= MOST { "met" } else { "missed" };
        // Writing to a string does not fail.
        let _ = writeln!(
            lines,
            "layer/{network}\t{direction} of {layers} layers, {:.1} ms; loses most in {worst}\t{ratio:.2}\t≤ {MOST}\t{verdict}",
            1e3 * ours
        );
    }
    let alone = timings.iter().filter(|timing| timing.ours.is_ok() && timing.theirs.is_err());
    let failed = timings.iter().filter(|timing| timing.ours.is_err());
    for (what, count) in [("ours alone", alone.count()), ("not by ours", failed.count())] {
        if count > 0 {
            let _ = writeln!(lines, "layer\tlayers and directions done {what}\t{count}\t–\t–");
        }
    }
    lines
}
