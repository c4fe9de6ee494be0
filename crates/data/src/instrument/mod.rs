//! What the software of a microscope writes beside the pixels: the size of a pixel, and the rows of the info bar. One
//! vendor or convention a file; [`read()`] tries them in turn.

mod fei;
mod hitachi;
mod imagej;
mod jeol;
mod ome;
mod read;
mod settings;
mod side_files;
mod statements;
mod tescan;
#[cfg(test)]
mod tests;
mod text;
mod tiff_resolution;
mod tiff_tags;
mod zeiss;

pub(crate) use read::{read, read_at};
pub(crate) use side_files::{SideFiles, is_side_file, side_files};
pub(crate) use statements::{Bar, Instrument};
