//! Names of what numbers in a tif stand for.

/// The name of a compression.
pub(super) fn compression(number: u16) -> String {
    let name = match number {
        1 => "no compression",
        2 => "CCITT Huffman",
        3 => "CCITT Group 3",
        4 => "CCITT Group 4",
        5 => "LZW",
        6 => "old-style JPEG",
        7 => "JPEG",
        8 | 32_946 => "deflate",
        9 => "JBIG (black and white)",
        10 => "JBIG (colour)",
        22_610 | 34_934 => "JPEG XR",
        32_766 => "NeXT RLE",
        32_771 => "CCITT RLE",
        32_773 => "PackBits",
        32_809 => "ThunderScan",
        33_003 | 33_004 | 33_005 | 34_712 => "JPEG 2000",
        34_661 => "JBIG",
        34_676 | 34_677 => "SGI LogLuv",
        34_887 => "LERC",
        34_892 => "lossy JPEG",
        34_925 => "LZMA",
        50_000 | 34_926 => "zstd",
        50_001 | 34_927 => "WebP",
        50_002 | 52_546 => "JPEG XL",
        other => return format!("compression {other}"),
    };
    name.to_owned()
}

/// Whether a compression may change values. Some of these also have a lossless mode, which a reader could not tell.
pub(super) fn is_lossy(compression: u16) -> bool {
    matches!(
        compression,
        6 | 7 | 22_610 | 33_003
            ..=33_005 | 34_676 | 34_677 | 34_712 | 34_887 | 34_892 | 34_927 | 34_934 | 50_001 | 50_002 | 52_546
    )
}

/// The name of a colour space (`PhotometricInterpretation`).
pub(super) fn photometric(number: u16) -> String {
    let name = match number {
        0 | 1 => "grey",
        2 => "RGB",
        3 => "a palette",
        4 => "a transparency mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "CIE L*a*b*",
        32_803 => "a camera's raw colour filter array",
        32_844 | 32_845 => "LogLuv",
        34_892 => "a camera's raw colours",
        other => return format!("colour space {other}"),
    };
    name.to_owned()
}
