//! What the software of a microscope writes beside the pixels: the size of a pixel, and the rows of the info bar. One
//! vendor or convention a file; [`read()`] tries them in turn.

mod fei;
mod hitachi;
mod imagej;
mod instrument;
mod jeol;
mod ome;
mod read;
mod settings;
mod side_files;
mod tescan;
#[cfg(test)]
mod tests;
mod text;
mod tiff_resolution;
mod tiff_tags;
mod zeiss;

pub(crate) use instrument::{Bar, Instrument};
pub(crate) use read::read;
pub(crate) use side_files::{SideFiles, is_side_file, side_files};
