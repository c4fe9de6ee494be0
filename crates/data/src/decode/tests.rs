//! Files of every kind that is read, whole, damaged and of kinds that are refused.

mod files;

use super::*;
use crate::DataError;
use ::png::{BitDepth, ColorType};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};
use std::io::Cursor;
use std::path::Path;

fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("encodes");
    bytes.into_inner()
}

fn grey() -> GrayImage {
    GrayImage::from_fn(31, 17, |x, y| Luma([(x * 8 + y) as u8]))
}

fn image_error(bytes: &[u8]) -> String {
    decode_image(Path::new("a/b.png"), bytes, &ImageOptions::default()).unwrap_err().to_string()
}

fn mask_error(bytes: &[u8]) -> String {
    decode_mask(Path::new("m.png"), bytes, None).unwrap_err().to_string()
}

#[test]
fn grey_is_read_from_every_lossless_format_also_if_stored_as_rgb() {
    let rgb = DynamicImage::ImageLuma8(grey()).to_rgb8();
    let rgba = DynamicImage::ImageLuma8(grey()).to_rgba8();
    for image in [DynamicImage::from(grey()), rgb.into(), rgba.into()] {
        for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp] {
            let bytes = encode(&image, format);
            let found = decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap();
            assert_eq!((found.width, found.height, found.channels), (31, 17, 1), "{format:?}");
            assert_eq!(found.pixels, grey().into_raw());
            assert_eq!(decode_mask(Path::new("x"), &bytes, None).unwrap().labels, grey().into_raw());
        }
    }
}

#[test]
fn a_file_that_is_cut_short_is_an_error_wherever_it_is_cut() {
    let noise = GrayImage::from_fn(64, 64, |x, y| Luma([(x * x * 31 + y * y * 17 + x * y) as u8]));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 90).encode_image(&noise).unwrap();
    let noise = DynamicImage::from(noise);
    let files =
        [encode(&noise, ImageFormat::Png), encode(&noise, ImageFormat::Tiff), encode(&noise, ImageFormat::Bmp), jpeg];
    for whole in files {
        assert!(decode_image(Path::new("x"), &whole, &ImageOptions::default()).is_ok());
        for part in 1..16 {
            let error = decode_image(Path::new("x"), &whole[..whole.len() * part / 16], &ImageOptions::default());
            assert!(matches!(error, Err(DataError::Bad { .. })), "{:?} of {}", &whole[..4], whole.len());
        }
    }
    let png = encode(&noise, ImageFormat::Png);
    let error = image_error(&png[..png.len() / 2]);
    assert!(error.starts_with("a/b.png: damaged or cut short ("), "{error}");
    assert!(error.ends_with("); copy or download the file again"), "{error}");
}

/// A little-endian tif of 16×12 grey pixels: `pages` directories, each with `more` tags (in order with the usual
/// ones) that say how `data` holds the pixels. `OFFSET` stands for where that begins.
fn tif(pages: &[&[(u16, u32)]], data: &[u8]) -> Vec<u8> {
    let directory = |more: &[(u16, u32)]| -> Vec<(u16, u32)> {
        let mut entries = vec![(256, 16), (257, 12), (258, 8), (262, 1)];
        entries.extend(more);
        entries.sort_unstable();
        entries
    };
    let length: usize = pages.iter().map(|more| 6 + 12 * directory(more).len()).sum();
    let mut tif = b"II*\0\x08\0\0\0".to_vec();
    for (i, more) in pages.iter().enumerate() {
        let entries = directory(more);
        tif.extend((entries.len() as u16).to_le_bytes());
        for (tag, value) in entries {
            tif.extend(tag.to_le_bytes());
            tif.extend(4u16.to_le_bytes());
            tif.extend(1u32.to_le_bytes());
            tif.extend(if value == OFFSET { 8 + length as u32 } else { value }.to_le_bytes());
        }
        let next = if i + 1 < pages.len() { tif.len() as u32 + 4 } else { 0 };
        tif.extend(next.to_le_bytes());
    }
    tif.extend(data);
    tif
}

const OFFSET: u32 = u32::MAX;

/// Tags of one strip of `bytes` bytes.
fn strip(compression: u32, bytes: usize) -> [(u16, u32); 4] {
    [(259, compression), (273, OFFSET), (278, 12), (279, bytes as u32)]
}

fn ramp() -> Vec<u8> {
    (0..16 * 12).collect()
}

/// tifffile writes the directory first and the pixels last, unlike the encoder here.
#[test]
fn a_tif_that_lacks_its_last_pixels_is_an_error() {
    let tif = tif(&[&strip(1, 192)], &ramp());
    assert_eq!(decode_image(Path::new("x"), &tif, &ImageOptions::default()).unwrap().pixels, ramp());
    for cut in [1, 100, 191, 192] {
        let error = image_error(&tif[..tif.len() - cut]);
        assert!(error.contains("damaged or cut short"), "{cut}: {error}");
    }
}

#[test]
fn a_tif_may_be_compressed_by_lzw_or_deflate_or_be_tiled() {
    // LZW (TIFF 6.0, section 13) without any string: clear, each pixel as a code of 9 bits, end.
    let codes = std::iter::once(256).chain(ramp().into_iter().map(u32::from)).chain([257]);
    let bits: Vec<u8> = codes.flat_map(|code| (0..9).rev().map(move |bit| (code >> bit & 1) as u8)).collect();
    let lzw: Vec<u8> =
        bits.chunks(8).map(|byte| (0..8).fold(0, |sum, i| sum << 1 | byte.get(i).unwrap_or(&0))).collect();
    // zlib with one stored block.
    let (a, b) = ramp().iter().fold((1u32, 0u32), |(a, b), &v| (a + u32::from(v), b + a + u32::from(v)));
    let mut deflate = vec![0x78, 0x01, 1, 192, 0, 63, 255];
    deflate.extend(ramp());
    deflate.extend((((b % 65521) << 16) | (a % 65521)).to_be_bytes());
    for (compression, data) in [(5, lzw), (8, deflate)] {
        let bytes = tif(&[&strip(compression, data.len())], &data);
        assert_eq!(
            decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap().pixels,
            ramp(),
            "{compression}"
        );
        assert_eq!(decode_mask(Path::new("x"), &bytes, None).unwrap().labels, ramp(), "{compression}");
    }
    // One tile of 16×16, of which the image is the upper 12 rows.
    let tile: Vec<u8> = ramp().into_iter().chain([255; 64]).collect();
    let bytes = tif(&[&[(259, 1), (322, 16), (323, 16), (324, OFFSET), (325, 256)]], &tile);
    assert_eq!(decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap().pixels, ramp());
}

/// A camera of 12 bits in a file of 16: read as 16, 17 grey levels would be left.
#[test]
fn sixteen_bit_files_with_fewer_used_bits_need_the_parameter_bits() {
    let ramp: ImageBuffer<Luma<u16>, Vec<u16>> = ImageBuffer::from_fn(64, 64, |x, y| Luma([(y * 64 + x) as u16]));
    let bytes = encode(&DynamicImage::ImageLuma16(ramp), ImageFormat::Png);
    assert_eq!(
        image_error(&bytes),
        "a/b.png: 16 bits a pixel, and no value above 4095: few grey levels would be left; set `bits = 12` for the data \
         set, or `bits = 16` if it is that dark"
    );
    let read = |bits| {
        decode_image(Path::new("a/b.png"), &bytes, &ImageOptions { bits: Some(bits), ..ImageOptions::default() })
    };
    let image = read(12).unwrap();
    assert_eq!((image.pixels[0], image.pixels[2048], image.pixels[4095]), (0, 128, 255));
    assert_eq!(read(16).unwrap().pixels[4095], 16);
    let error = read(10).unwrap_err().to_string();
    assert_eq!(
        error,
        "a/b.png: holds the value 4095, and 1023 is the largest of 10 bits; correct the data set's `bits`, e.g. \
         `bits = 12`"
    );
}

/// ImageJ saves binary masks so.
#[test]
fn a_mask_whose_zero_is_white_keeps_its_stored_values() {
    let stored = ramp();
    let mut bytes = tif(&[&strip(1, stored.len())], &stored);
    let photometric = [&262u16.to_le_bytes()[..], &4u16.to_le_bytes(), &1u32.to_le_bytes()].concat();
    let at = bytes.windows(8).position(|window| window == photometric).unwrap();
    bytes[at + 8] = 0;
    assert_eq!(decode_mask(Path::new("x"), &bytes, None).unwrap().labels, stored);
    // An image is read as it is displayed.
    let shown: Vec<u8> = stored.iter().map(|value| 255 - value).collect();
    assert_eq!(decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap().pixels, shown);
}

#[test]
fn a_tif_of_several_pages_is_refused_but_one_with_a_thumbnail_is_read() {
    let page = strip(1, 192);
    let error = image_error(&tif(&[&page, &page, &page], &ramp()));
    assert_eq!(
        error,
        "a/b.png: a tif of 3 pages; set `page = 1` (or up to 3) for the data set, or save each page as an image of its own"
    );
    assert!(mask_error(&tif(&[&page, &page], &ramp())).contains("a tif of 2 pages"));
    let thumbnail: Vec<(u16, u32)> = page.into_iter().chain([(254, 1)]).collect();
    let with_thumbnail = tif(&[&page, &thumbnail], &ramp());
    assert_eq!(decode_image(Path::new("x"), &with_thumbnail, &ImageOptions::default()).unwrap().pixels, ramp());
    // The decoder refuses a chain that leads back to its start.
    let mut circle = tif(&[&page], &ramp());
    let next = 8 + 2 + 12 * 8;
    circle[next..next + 4].copy_from_slice(&8u32.to_le_bytes());
    assert!(image_error(&circle).contains("damaged or cut short"));
}

#[test]
fn sixteen_bits_are_scaled_in_images_and_must_be_small_in_masks() {
    let image: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_vec(4, 1, vec![0, 257, 386, 65535]).unwrap();
    let bytes = encode(&image.into(), ImageFormat::Png);
    assert_eq!(decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap().pixels, [0, 1, 2, 255]);
    assert_eq!(mask_error(&bytes), "m.png: a 16-bit mask with the value 257; save label values from 0 to 255, 8 bits");
    let mask: ImageBuffer<Luma<u16>, _> = ImageBuffer::from_vec(3, 1, vec![0, 1, 255]).unwrap();
    let mask = decode_mask(Path::new("x"), &encode(&mask.into(), ImageFormat::Tiff), None).unwrap();
    assert_eq!(mask.labels, [0, 1, 255]);
}

#[test]
fn transparency_and_colours_are_refused_with_the_reason() {
    let glass = RgbaImage::from_pixel(3, 2, Rgba([9, 9, 9, 128]));
    assert_eq!(
        image_error(&encode(&glass.into(), ImageFormat::Png)),
        "a/b.png: has an alpha channel with transparent pixels; flatten it onto its background and save it without alpha"
    );
    let opaque: ImageBuffer<LumaA<u8>, _> = ImageBuffer::from_pixel(3, 2, LumaA([7, 255]));
    assert_eq!(
        decode_image(Path::new("x"), &encode(&opaque.into(), ImageFormat::Png), &ImageOptions::default())
            .unwrap()
            .pixels,
        [7; 6]
    );
    let red = RgbImage::from_pixel(3, 2, Rgb([255, 0, 0]));
    let bytes = encode(&red.into(), ImageFormat::Png);
    assert_eq!(decode_image(Path::new("x"), &bytes, &ImageOptions::default()).unwrap().channels, 3);
    assert_eq!(
        mask_error(&bytes),
        "m.png: a mask in colours, such as (255, 0, 0); save one label value a pixel, grey, 8 bits; \
         format `folder` reads colours that `colors` names"
    );
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg).encode_image(&grey()).unwrap();
    assert!(mask_error(&jpeg).contains("a mask stored as jpg"));
}

#[test]
fn images_that_are_too_large_and_files_that_are_no_images_are_refused() {
    // A bmp header that promises 40,000 × 40,000 pixels, and nothing behind it.
    let mut giant = encode(&grey().into(), ImageFormat::Bmp);
    giant[18..22].copy_from_slice(&40_000i32.to_le_bytes());
    giant[22..26].copy_from_slice(&40_000i32.to_le_bytes());
    assert_eq!(image_error(&giant), "a/b.png: 40000×40000 is more than 400 megapixels; cut it into smaller images");
    assert_eq!(image_error(b""), "a/b.png: an empty file; png, tif, jpg and bmp are read");
    assert_eq!(image_error(b"hello"), "a/b.png: not an image that can be read; png, tif, jpg and bmp are read");
}

/// A png of 1, 2 or 4 bits a value, each of whose `rows` is one byte.
fn small_png(width: u32, depth: BitDepth, palette: Option<&[u8]>, rows: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, width, rows.len() as u32);
    encoder.set_depth(depth);
    encoder.set_color(if palette.is_some() { ColorType::Indexed } else { ColorType::Grayscale });
    if let Some(palette) = palette {
        encoder.set_palette(palette);
    }
    encoder.write_header().unwrap().write_image_data(rows).unwrap();
    bytes
}

#[test]
fn indexed_and_narrow_masks_give_their_stored_values() {
    let palette = [0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 255, 255];
    let indexed = small_png(4, BitDepth::Two, Some(&palette), &[0b00_01_10_11, 0b11_11_00_01]);
    assert_eq!(decode_mask(Path::new("x"), &indexed, None).unwrap().labels, [0, 1, 2, 3, 3, 3, 0, 1]);
    let twice = small_png(4, BitDepth::Two, Some(&[0, 0, 0, 9, 9, 9, 9, 9, 9]), &[0b00_01_10_00]);
    assert_eq!(decode_mask(Path::new("x"), &twice, None).unwrap().labels, [0, 1, 2, 0]);
    let short = small_png(4, BitDepth::Two, Some(&palette[..9]), &[0b00_01_10_11]);
    assert_eq!(decode_mask(Path::new("x"), &short, None).unwrap().labels, [0, 1, 2, 3], "an index without a colour");
    let bits = small_png(8, BitDepth::One, None, &[0b0101_0011]);
    assert_eq!(decode_mask(Path::new("x"), &bits, None).unwrap().labels, [0, 1, 0, 1, 0, 0, 1, 1]);
    assert_eq!(
        decode_image(Path::new("x"), &bits, &ImageOptions::default()).unwrap().pixels,
        [0, 255, 0, 255, 0, 0, 255, 255]
    );
    let nibbles = small_png(2, BitDepth::Four, None, &[0x2F]);
    assert_eq!(decode_mask(Path::new("x"), &nibbles, None).unwrap().labels, [2, 15]);
    // A row whose last byte is not full.
    let narrow = small_png(5, BitDepth::One, None, &[0b1011_0111, 0b0100_1000]);
    assert_eq!(decode_mask(Path::new("x"), &narrow, None).unwrap().labels, [1, 0, 1, 1, 0, 0, 1, 0, 0, 1]);
    for file in [&indexed, &narrow] {
        let error = mask_error(&file[..file.len() / 2 + 8]);
        assert!(error.starts_with("m.png: damaged or cut short ("), "{error}");
    }
}
