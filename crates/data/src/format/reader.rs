//! The table of formats.

use super::aachen::Aachen;
use super::dataset::Dataset;
use super::ebc::Ebc;
use super::folder::Folder;
use super::metaldam::MetalDam;
use super::params::Format;
use super::uhcs::Uhcs;

/// The reader of a format.
pub(super) fn reader(format: Format) -> &'static dyn Dataset {
    match format {
        Format::Folder => &Folder,
        Format::Aachen => &Aachen,
        Format::Ebc => &Ebc,
        Format::Metaldam => &MetalDam,
        Format::Uhcs => &Uhcs,
    }
}
