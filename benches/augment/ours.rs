//! Our side: a worker that makes batches as the loader does.

use anyhow::{Context, Result, bail};
use matssl_run::data::augment::ViewParams;
use matssl_run::data::loader::view_batch;
use matssl_run::data::patches::Patches;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

/// Pairs in a batch, as in the paper.
const BATCH: usize = 128;

/// Reads lines: `open FILE` of patches, answers `ready`; `make N` pairs of views, answers the seconds.
///
/// # Errors
/// If the patches cannot be read or a batch not be made.
pub(crate) fn work() -> Result<()> {
    // As a stage's worker; RAYON_NUM_THREADS says how many.
    rayon::ThreadPoolBuilder::new().use_current_thread().build_global()?;
    let params = ViewParams::default();
    let mut patches = None;
    let mut epoch = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("open", path)) => {
                patches = Some(Patches::open(Path::new(path))?);
                "ready".to_owned()
            }
            Some(("make", pairs)) => {
                let patches = patches.as_ref().context("no patches are open")?;
                let indices: Vec<usize> = (0..pairs.parse()?).map(|i: usize| i % patches.len()).collect();
                let start = Instant::now();
                for batch in indices.chunks(BATCH) {
                    epoch += 1;
                    black_box(view_batch(patches, batch, &params, (0, epoch), 3));
                }
                format!("{}", start.elapsed().as_secs_f64())
            }
            _ => bail!("`{line}`"),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
