//! `data FILE --preview DIR`: a picture of each labelled image with its classes in colour, and a page of all.

use super::super::outcome::{Ending, Stop};
use super::super::wording::plural;
use super::counter::Counter;
use super::preview_folder::PreviewFolder;
use super::sets::{Set, SetState};
use crate::data::{DataError, Entry, IGNORE, OpenDataset, Split};
use crate::report::overlay::{Preview, Scale};
use crate::report::{PreviewPicture, PreviewSet, png_rgb, preview_page, safe_names};
use crate::stage::picture_files;
use rayon::prelude::*;
use serde::Serialize;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What was drawn.
#[derive(Serialize)]
pub(super) struct PreviewReport {
    /// The page of all pictures.
    pub(super) page: String,
    /// Number of pictures.
    pub(super) pictures: usize,
    pub(super) datasets: Vec<PreviewLine>,
}

#[derive(Serialize)]
pub(super) struct PreviewLine {
    pub(super) name: String,
    pub(super) pictures: usize,
    /// How many of the images were drawn, or why none.
    pub(super) note: String,
}

/// The picture of one image, not drawn yet.
struct Job<'a> {
    entry: &'a Entry,
    picture: PreviewPicture,
}

/// Draws at most `count` images of each data set into `folder`, and writes the page.
///
/// # Errors
/// If an image has changed since it was checked, or a file cannot be written.
pub(super) fn write(
    folder: &PreviewFolder,
    title: &str,
    sets: &[Set],
    count: NonZeroUsize,
    counter: &Counter,
) -> Result<PreviewReport, Stop> {
    let folders = safe_names(sets.iter().map(|set| set.name.as_str()));
    let all: Vec<(&Set, String, Vec<Job<'_>>)> = sets
        .iter()
        .zip(&folders)
        .map(|(set, name)| {
            let (note, jobs) = chosen(set, name, count);
            (set, note, jobs)
        })
        .collect();
    let files = all.iter().flat_map(|(_, _, jobs)| jobs).map(|job| job.picture.file.as_str());
    folder.begin(files).map_err(stopped)?;
    for (set, _, jobs) in all.iter().filter(|(_, _, jobs)| !jobs.is_empty()) {
        let Some(open) = set.open() else { continue };
        counter.during(&format!("drawing {}", set.name), |progress| {
            let done = AtomicUsize::new(0);
            let drawn: Vec<Result<(), Stop>> = jobs
                .par_iter()
                .map(|job| {
                    let drawn = draw(folder, set, open, job);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
                    drawn
                })
                .collect();
            drawn.into_iter().collect::<Result<(), Stop>>()
        })?;
    }
    let line = |(set, note, jobs): &(&Set, String, Vec<Job<'_>>)| PreviewLine {
        name: set.name.clone(),
        pictures: jobs.len(),
        note: note.clone(),
    };
    let datasets: Vec<PreviewLine> = all.iter().map(line).collect();
    let listed = |(set, note, jobs): (&Set, String, Vec<Job<'_>>)| PreviewSet {
        name: set.name.clone(),
        note,
        pictures: jobs.into_iter().map(|job| job.picture).collect(),
    };
    let sets: Vec<PreviewSet> = all.into_iter().map(listed).collect();
    folder.write(PreviewFolder::PAGE, preview_page(title, &sets).as_bytes()).map_err(stopped)?;
    Ok(PreviewReport {
        page: folder.path(PreviewFolder::PAGE).display().to_string(),
        pictures: datasets.iter().map(|line| line.pictures).sum(),
        datasets,
    })
}

/// The images of a data set that are drawn, and a sentence about their number.
fn chosen<'a>(set: &'a Set, folder: &str, count: NonZeroUsize) -> (String, Vec<Job<'a>>) {
    let open = match &set.state {
        SetState::Found(found) => &found.open,
        SetState::Drawn => return ("not there yet: a run draws it; afterwards it can be shown".into(), Vec::new()),
        SetState::Wrong { .. } => return ("cannot be shown: it is missing or wrong".into(), Vec::new()),
    };
    let mut jobs = Vec::new();
    for split in Split::ALL {
        let mut entries = open.entries(split);
        entries.retain(|entry| entry.mask.is_some());
        let names = picture_files(&entries);
        jobs.extend(entries.into_iter().zip(names).map(|(entry, name)| {
            let file = format!("{folder}/{}/{name}", split.name());
            Job { entry, picture: PreviewPicture { image: entry.image.clone(), split, file } }
        }));
    }
    let (all, most) = (jobs.len(), count.get());
    if all == 0 {
        return ("no labelled images".into(), jobs);
    }
    if all <= most {
        return (plural(all, "labelled image"), jobs);
    }
    let mut number = 0;
    jobs.retain(|_| {
        number += 1;
        // Whether a multiple of all/most lies in this image's place.
        number * most / all > (number - 1) * most / all
    });
    (format!("{most} of {all} labelled images, evenly spaced (--preview-count)"), jobs)
}

fn draw(folder: &PreviewFolder, set: &Set, open: &OpenDataset, job: &Job<'_>) -> Result<(), Stop> {
    let (image, mask) = open.read(job.entry).map_err(stopped)?;
    let image = image.visible();
    let Some(mask) = mask else { return Ok(()) };
    let title = format!("{}: {}: {}", set.name, job.picture.split.name(), job.picture.image);
    let preview = Preview {
        width: image.width,
        height: image.height,
        image: &image.pixels,
        channels: image.channels,
        labels: &mask.labels,
        ignore: Some(IGNORE),
        classes: &open.manifest.classes,
        title: &title,
        scale: job.entry.pixel_size.map(|[across, down]| Scale { across: across / 1e3, down: down / 1e3 }),
    };
    let png = png_rgb(&preview.render()?)?;
    folder.write(&job.picture.file, &png).map_err(stopped)
}

fn stopped(error: DataError) -> Stop {
    let ending = Ending::from(&error);
    Stop::new(ending, format!("error: --preview: {:#}", anyhow::Error::from(error)))
}
