//! Pairs of views a second, beside lightly's: `cargo bench --bench augment`. See `benches/README.md`.

mod ours;
mod table;
mod workers;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use matssl_run::data::Split;
use matssl_run::data::patches::Patches;
use matssl_run::data::synthesize::{SynthesizeParams, synthesize_one};
use matssl_run::machine;
use std::path::{Path, PathBuf};
use table::Timed;
use workers::{Lightly, Side, Worker};

/// Side of a patch in pixels.
const PATCH: usize = 256;
/// How many patches there are; they lie in memory.
const COUNT: usize = 128;

/// Times making two views of a patch beside lightly's SimCLRTransform, alternating, on the same core.
#[derive(Parser)]
struct Arguments {
    /// Rounds of each side that count.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Pairs that our side makes in a round.
    #[arg(long, default_value_t = 1024)]
    pairs: usize,
    /// Pairs that lightly makes in a round.
    #[arg(long, default_value_t = 96)]
    lightly_pairs: usize,
    /// The core that both sides run on; Linux only.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Threads of ours in place of one, on all cores.
    #[arg(long)]
    threads: Option<usize>,
    /// A Python that has torch, torchvision and lightly.
    #[arg(long, env = "MATSSL_PYTHON", default_value = "python3")]
    python: PathBuf,
    /// Our side alone.
    #[arg(long)]
    alone: bool,
    /// Is a worker (started by the benchmark itself).
    #[arg(long, hide = true)]
    worker: bool,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.worker {
        return ours::work();
    }
    ensure!(arguments.rounds > 0 && arguments.pairs > 0 && arguments.lightly_pairs > 0, "nothing to do");
    let lightly = if arguments.alone {
        None
    } else {
        Lightly::find(&arguments.python)
            .map_err(|reason| eprintln!("lightly is left out, `{}`: {reason}", arguments.python.display()))
            .ok()
    };
    let core = arguments.threads.is_none().then_some(arguments.core);
    let folder = tempfile::tempdir()?;
    let mut all = Vec::new();
    for channels in [1, 3] {
        let path = folder.path().join(format!("{channels}-{}", Patches::FILE));
        write_patches(&path, channels)?;
        eprintln!("{} patches of {PATCH}², {channels} channel(s)", COUNT);
        let mut sides = vec![(Worker::start(Side::Ours, None, core, arguments.threads)?, arguments.pairs)];
        if let Some(lightly) = &lightly {
            sides.push((Worker::start(Side::Lightly, Some(lightly), core, None)?, arguments.lightly_pairs));
        }
        all.push((channels, in_turn(&mut sides, &path, arguments.rounds)?));
    }
    println!("- {}, {} cores", machine::cpu_model(), machine::cores());
    match core {
        Some(core) => println!("- one thread a side, both on core {core}"),
        None => println!("- {} thread(s) of ours on all cores, one of lightly's", arguments.threads.unwrap_or(1)),
    }
    println!("- {}\n", lightly.map_or("lightly was not timed".into(), |lightly| lightly.versions));
    println!("{}", table::markdown(&all));
    Ok(())
}

/// Alternates the sides, one at work at a time; who begins changes from round to round. One round warms each up.
fn in_turn(sides: &mut [(Worker, usize)], path: &Path, rounds: usize) -> Result<Vec<Timed>> {
    let mut all: Vec<Timed> = sides.iter().map(|(worker, _)| Timed { side: worker.side, rounds: Vec::new() }).collect();
    for (worker, pairs) in sides.iter_mut() {
        worker.open(path)?;
        worker.make(*pairs)?;
    }
    for number in 0..rounds {
        for place in 0..sides.len() {
            let side = (place + number) % sides.len();
            let (worker, pairs) = &mut sides[side];
            all[side].rounds.push(worker.make(*pairs)?);
        }
    }
    Ok(all)
}

/// Synthetic micrographs as a `patchify` stage leaves them; tinted, if they have three channels.
fn write_patches(path: &Path, channels: usize) -> Result<()> {
    let params = SynthesizeParams { size: PATCH, ..SynthesizeParams::default() };
    let tint = [[1.0, 0.8, 0.5], [0.4, 0.9, 1.0], [0.9, 0.9, 0.9]];
    let mut pixels = Vec::with_capacity(COUNT * PATCH * PATCH * channels);
    for index in 0..COUNT {
        // The first few, over and over: what is on them does not matter.
        let (image, _) = synthesize_one(&params, Split::Train, index % 8);
        let tint = tint[index % tint.len()];
        for value in image.pixels {
            pixels
                .extend((0..channels).map(|c| if channels == 1 { value } else { (f32::from(value) * tint[c]) as u8 }));
        }
    }
    let shape = (COUNT, PATCH, PATCH, channels);
    let patches = candle_core::Tensor::from_vec(pixels, shape, &candle_core::Device::Cpu)?;
    let bytes = safetensors::serialize([("patches", &patches)], None)?;
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}
