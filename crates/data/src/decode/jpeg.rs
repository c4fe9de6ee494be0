//! JPEG: the header of a file, and pixels.

use super::header::checked_size;
use super::refusal::{Decoded, Refusal};
use super::stored::{Stored, Values};
use super::tif;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What the markers in front of the pixels say (ITU T.81, annex B).
#[derive(Debug)]
pub(super) struct Header {
    pub(super) size: (usize, usize),
    /// 1 (grey), 3 or 4.
    pub(super) components: u8,
    pub(super) orientation: u8,
}

/// What decoded components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// As the file says: grey or RGB.
    Shown,
    /// As they are stored.
    Stored,
}

/// The values of a jpg.
///
/// # Errors
/// Damaged, cut short, too large, or a kind of JPEG that is not read.
pub(super) fn stored(bytes: &[u8]) -> Decoded<Stored> {
    let header = header(bytes)?;
    if !has_end(bytes) {
        // The decoder would fill the missing part with grey.
        return Err(Refusal::damaged("no end marker"));
    }
    let channels = usize::from(header.components);
    let values = Values::U8(pixels(bytes, Colours::Shown)?);
    Ok(Stored {
        size: header.size,
        channels,
        colours: channels,
        has_alpha: false,
        bits: 8,
        values,
        is_inverted: false,
        palette: None,
        orientation: header.orientation,
    })
}

/// Decodes a stream of JPEG of 8 bits: `[height, width, components]`.
///
/// # Errors
/// The decoder's, as damage.
pub(super) fn pixels(bytes: &[u8], colours: Colours) -> Decoded<Vec<u8>> {
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(Refusal::damaged)?;
    let input = decoder.input_colorspace().ok_or_else(|| Refusal::damaged("no colours"))?;
    let output = match (colours, input) {
        (Colours::Stored, input) => input,
        (Colours::Shown, ColorSpace::Luma) => ColorSpace::Luma,
        (Colours::Shown, _) => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    decoder.decode().map_err(Refusal::damaged)
}

/// Reads the markers up to the first scan.
///
/// # Errors
/// Damaged, too large, or a kind of JPEG that is not read: not 8 bits, lossless, arithmetic, hierarchical, CMYK.
pub(super) fn header(bytes: &[u8]) -> Decoded<Header> {
    let cut = || Refusal::damaged("no image in it");
    let (mut at, mut orientation, mut frame) = (2, None, None);
    loop {
        let marker = loop {
            match bytes.get(at..at + 2).ok_or_else(cut)? {
                [0xFF, 0xFF] => at += 1,
                [0xFF, marker] => break *marker,
                _ => at += 1,
            }
        };
        at += 2;
        if matches!(marker, 0 | 0x01 | 0xD0..=0xD8) {
            continue;
        }
        if marker == 0xD9 {
            return Err(cut());
        }
        let length = bytes.get(at..at + 2).ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(cut)?;
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xF7 if frame.is_none() => {
                frame = Some(start_of_frame(marker, segment)?);
            }
            0xE1 if orientation.is_none() => {
                orientation = segment.strip_prefix(b"Exif\0").and_then(|exif| exif.get(1..)).map(tif::exif_orientation);
            }
            0xDA => break,
            _ => (),
        }
        at += length.max(2);
    }
    let (size, components) = frame.ok_or_else(cut)?;
    Ok(Header { size, components, orientation: orientation.unwrap_or(1) })
}

fn start_of_frame(marker: u8, segment: &[u8]) -> Decoded<((usize, usize), u8)> {
    let &[bits, h1, h0, w1, w0, components, ..] = segment else { return Err(Refusal::damaged("a short header")) };
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    let kind = match marker {
        0xF7 => Some("JPEG-LS file"),
        0xC3 => Some("lossless JPEG"),
        0xC5..=0xC7 | 0xCD..=0xCF => Some("hierarchical JPEG"),
        0xC9..=0xCB => Some("arithmetic-coded JPEG"),
        _ => None,
    };
    if let Some(kind) = kind {
        let article = if kind.starts_with('a') { "an" } else { "a" };
        return Err(Refusal::not_read(format!("{article} {kind} ({bits} bits, {width}×{height})")));
    }
    if bits != 8 {
        return Err(Refusal::not_read(format!("a {bits}-bit JPEG ({width}×{height})")));
    }
    if components == 4 {
        let problem = format!("a JPEG in CMYK ({width}×{height}), which is made for printing");
        return Err(Refusal::new(problem, "save it as RGB or grey png"));
    }
    if !matches!(components, 1 | 3) {
        return Err(Refusal::not_read(format!("a JPEG of {components} components ({width}×{height})")));
    }
    if height == 0 && width > 0 {
        return Err(Refusal::not_read("a JPEG whose height stands behind its pixels"));
    }
    Ok((checked_size(width.into(), height.into())?, components))
}

/// Follows the markers of a jpg; true if they lead to the end-of-image marker (ITU T.81, annex B).
pub(super) fn has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker; within a scan, `FF 00` is data and `FF D0`–`FF D7` are restarts.
        while !matches!(bytes.get(at..at + 2), Some([0xFF, m]) if !matches!(m, 0 | 0xD0..=0xD7 | 0xFF)) {
            at += 1;
            if at + 2 > bytes.len() {
                return false;
            }
        }
        if bytes[at + 1] == 0xD9 {
            return true;
        }
        let Some(length) = bytes.get(at + 2..at + 4) else { return false };
        at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
}
