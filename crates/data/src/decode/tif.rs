//! Properties of a tif that the image decoder does not report: its pages, and whether 0 is white.

use std::collections::BTreeSet;
use std::io::Cursor;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

/// Bits of `NewSubfileType` (TIFF 6.0, section 8) of a page that is a smaller version of another one (a thumbnail), or
/// the transparency mask of another one.
const REDUCED_OR_TRANSPARENCY: u32 = 1 | 4;

/// Number of pages, without thumbnails and transparency masks. The chain of pages ends at a directory that cannot be
/// read. A tif whose first page cannot be read has one page here: the image decoder then reports what is wrong with it.
pub(super) fn pages(bytes: &[u8]) -> usize {
    let Ok(mut decoder) = Decoder::new(Cursor::new(bytes)) else { return 1 };
    let (mut pages, mut seen) = (0, BTreeSet::new());
    let mut next = decoder.ifd_pointer();
    while let Some(pointer) = next.filter(|pointer| seen.insert(pointer.0)) {
        let Ok(directory) = decoder.read_directory(pointer) else { break };
        let kind = decoder.read_directory_tags(&directory).find_tag_unsigned::<u32>(Tag::NewSubfileType);
        let kind = kind.ok().flatten().unwrap_or(0);
        pages += usize::from(kind & REDUCED_OR_TRANSPARENCY == 0);
        next = directory.next();
    }
    pages
}

/// Whether 0 stands for white and the largest value for black.
pub(super) fn white_is_zero(bytes: &[u8]) -> bool {
    const WHITE_IS_ZERO: u16 = 0;
    let interpretation = Decoder::new(Cursor::new(bytes))
        .and_then(|mut decoder| decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation));
    interpretation.is_ok_and(|found| found == Some(WHITE_IS_ZERO))
}
