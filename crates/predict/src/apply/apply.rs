//! Predicts images and writes their files.

use super::unusual::Seen;
use super::{Item, Opened, Outcome};
use crate::engine::{CannotScale, Ensemble, PredictOptions};
use crate::output::{ImageOutputs, OutputOptions, Shrunk, Target, Watched};
use crate::results::ImageResult;
use anyhow::{Error, Result};
use matssl_base::exit_code;
use matssl_base::machine::Room;
use matssl_data::{DataError, Micrograph, Rows, fits};
use std::fmt::Display;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};

/// A signal asked to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// How images are predicted, and where their files go.
#[derive(Clone, Copy)]
pub struct Apply<'a> {
    /// The models.
    pub ensemble: &'a Ensemble,
    /// How they predict.
    pub predict: &'a PredictOptions,
    /// What is written.
    pub outputs: &'a OutputOptions,
    /// The folder of the results.
    pub root: &'a Path,
    /// A folder for unfinished files, on the same file system.
    pub work: &'a Path,
    /// The memory that there is, if images must fit into it that were not asked for before.
    pub room: Option<Room>,
    /// Hears of each band: rows that are done of the image, and its number of rows.
    pub rows: &'a (dyn Fn(usize, usize) + Sync),
    /// Whether to stop; asked at every band.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// An image whose labels are all there, and whose files are not finished.
struct Unfinished<'a> {
    outputs: ImageOutputs<'a>,
    picture: Option<Shrunk>,
    item: &'a Item,
    size: (usize, usize),
    pixel_size: Option<[f64; 2]>,
    unusual: Vec<String>,
}

/// What one thread hands to the next: the image's index, and its state or why it is lost.
type Step<T> = (usize, Result<T>);

/// An [`Unfinished`] image, or one that was known.
enum Predicted<'a> {
    Known(Box<ImageResult>),
    New(Box<Unfinished<'a>>),
}

impl<'a> Apply<'a> {
    /// Predicts `items`. `open` opens one by its index, on a thread of its own and one image ahead. `keep` is told each image's
    /// outcome when its files are finished. One outcome for each item, in their order.
    ///
    /// # Errors
    /// [`Interrupted`]; files that cannot be written, and models that fail. Then the outcomes until then were kept.
    pub fn all(
        self,
        items: &'a [Item],
        open: &(dyn Fn(usize) -> Result<Opened> + Sync),
        keep: &(dyn Fn(usize, &Outcome) -> Result<()> + Sync),
    ) -> Result<Vec<Outcome>> {
        // The caller's thread may be all of its pool, and it waits for these: their parallel work needs a pool of its own.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).build()?;
        let pool = &pool;
        std::thread::scope(|scope| {
            let (opened, images) = mpsc::sync_channel(1);
            let (predicted, finished) = mpsc::sync_channel(1);
            scope.spawn(move || {
                // Nobody receives any more after an error.
                let _ = (0..items.len())
                    .map(|index| opened.send((index, pool.install(|| open(index)))))
                    .find(Result::is_err);
            });
            let finisher = scope.spawn(move || finish_all(&finished, pool, keep));
            self.predict_all(items, &images, &predicted);
            drop((images, predicted));
            finisher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn predict_all(
        self,
        items: &'a [Item],
        images: &Receiver<Step<Opened>>,
        predicted: &SyncSender<Step<Predicted<'a>>>,
    ) {
        for (index, opened) in images {
            let step = match opened {
                _ if (self.stop)() => Err(Interrupted.into()),
                Ok(Opened::Known(result)) => Ok(Predicted::Known(result)),
                Ok(Opened::Image { rows, pixel_size }) => {
                    let item = &items[index];
                    let predicted = self.predict(item, rows, pixel_size);
                    predicted.map(|unfinished| Predicted::New(Box::new(unfinished))).map_err(|error| {
                        let error = error.downcast::<CannotScale>();
                        error.map_or_else(|other| other, |own| item.bad(&own, exit_code::BAD_DATA).into())
                    })
                }
                Err(error) => Err(error),
            };
            if predicted.send((index, step)).is_err() {
                break;
            }
        }
    }

    fn predict(self, item: &'a Item, mut rows: Box<dyn Rows>, pixel_size: Option<[f64; 2]>) -> Result<Unfinished<'a>> {
        let description = &self.ensemble.models()[0].description;
        let size = (rows.width(), rows.height());
        let (channels, taken) = (rows.channels(), description.network.encoder.in_channels());
        if !fits(channels, taken) {
            return Err(item.bad(&wrong_channels(channels, taken), exit_code::BAD_DATA).into());
        }
        if let Some(room) = self.room {
            let needs = self.ensemble.memory(std::iter::once((size, pixel_size)), self.predict)?;
            needs.fits(room).map_err(|error| item.bad(&error, exit_code::STAGE_FAILED))?;
        }
        let mut outputs = ImageOutputs::begin(Target {
            root: self.root,
            work: self.work,
            files: &item.files,
            options: self.outputs,
            classes: &description.classes,
            size,
            pixel_size,
        })?;
        let mut picture = item.files.overlay.is_some().then(|| Shrunk::new(size));
        let mut seen = Seen::default();
        let mut see = |rows: &Micrograph| {
            seen.add(rows);
            if let Some(picture) = &mut picture {
                picture.add(rows);
            }
        };
        let mut watched = Watched::new(rows.as_mut(), &mut see);
        let predicted = self.ensemble.predict(&mut watched, pixel_size, self.predict, &mut |band| {
            if (self.stop)() {
                return Err(Interrupted.into());
            }
            outputs.take(&band)?;
            (self.rows)(band.top + band.rows, size.1);
            Ok(())
        })?;
        watched.finish()?;
        let reference = self.ensemble.reference();
        let unusual = reference.map(|reference| seen.unusual(reference, &predicted)).unwrap_or_default();
        Ok(Unfinished { outputs, picture, item, size, pixel_size, unusual })
    }
}

impl Unfinished<'_> {
    fn finish(self) -> Result<ImageResult> {
        let written = self.outputs.finish(self.picture.as_ref())?;
        Ok(ImageResult {
            image: self.item.image.clone(),
            width: self.size.0,
            height: self.size.1,
            pixel_size_nm: self.pixel_size,
            measured: written.measured,
            files: self.item.files.clone(),
            outputs: written.outputs,
            unusual: self.unusual,
        })
    }
}

fn finish_all(
    finished: &Receiver<Step<Predicted<'_>>>,
    pool: &rayon::ThreadPool,
    keep: &(dyn Fn(usize, &Outcome) -> Result<()> + Sync),
) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for (index, step) in finished {
        let outcome = match step {
            Ok(Predicted::Known(result)) => Outcome::Done { result, known: true },
            Ok(Predicted::New(unfinished)) => {
                Outcome::Done { result: Box::new(pool.install(|| unfinished.finish())?), known: false }
            }
            Err(error) => failed(error)?,
        };
        keep(index, &outcome)?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// A problem of one image that no other has.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct OfImage {
    text: String,
    exit_code: u8,
}

impl Item {
    fn bad(&self, problem: &dyn Display, exit_code: u8) -> OfImage {
        OfImage { text: format!("{}: {problem}", self.shown), exit_code }
    }
}

/// What is wrong with an image that has `channels`, for a model that takes `taken`.
fn wrong_channels(channels: usize, taken: usize) -> String {
    let list: Vec<String> = (0..taken).map(|channel| channel.to_string()).collect();
    let word = if channels == 1 { "channel" } else { "channels" };
    format!(
        "has {channels} {word}, but the model takes {taken}; pick as many channels as the model takes with --channels, e.g. \
         --channels {}",
        list.join(",")
    )
}

/// The outcome of an image that cannot be predicted.
///
/// # Errors
/// `error` itself, if it is none of this image.
fn failed(error: Error) -> Result<Outcome> {
    let exit_code = match (error.downcast_ref::<DataError>(), error.downcast_ref::<OfImage>()) {
        (Some(DataError::Write { .. }), _) | (None, None) => return Err(error),
        (Some(_), _) => exit_code::BAD_DATA,
        (None, Some(own)) => own.exit_code,
    };
    Ok(Outcome::Failed { reason: error.to_string(), exit_code })
}
