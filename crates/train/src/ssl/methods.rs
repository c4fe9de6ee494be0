//! The table of methods.

use super::barlow_twins::BarlowTwins;
use super::byol::Byol;
use super::densecl::DenseCl;
use super::matssl::MatSsl;
use super::method_entry::{MethodEntry, entry};
use super::mocov2::MoCoV2;
use super::simclr::SimClr;
use super::simsiam::SimSiam;
use super::vicreg::VicReg;

/// All methods. A new one is a file with its [`MethodParameters`](super::MethodParameters), and a line here.
static METHODS: &[MethodEntry] = &[
    entry::<MatSsl>(),
    entry::<SimClr>(),
    entry::<MoCoV2>(),
    entry::<DenseCl>(),
    entry::<Byol>(),
    entry::<SimSiam>(),
    entry::<BarlowTwins>(),
    entry::<VicReg>(),
];

/// The method `name`, if there is one.
pub(super) fn find(name: &str) -> Option<&'static MethodEntry> {
    METHODS.iter().find(|method| method.name == name)
}

/// The names of all methods.
pub fn names() -> Vec<&'static str> {
    METHODS.iter().map(|method| method.name).collect()
}

/// All columns that methods may add to a history.
pub fn columns() -> Vec<&'static str> {
    METHODS.iter().flat_map(|method| method.columns).copied().collect()
}

/// All entries.
pub(super) fn entries() -> impl Iterator<Item = &'static MethodEntry> {
    METHODS.iter()
}
