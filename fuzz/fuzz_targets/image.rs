//! Any bytes as an image and as a mask: read or refused with words, never a panic, a hang or memory without bound. Read in
//! bands, an image has the same pixels or is refused, too.

#![no_main]

use libfuzzer_sys::fuzz_target;
use matssl_run::data::decode::{ImageOptions, decode_image, decode_mask};
use matssl_run::data::{ImageFile, ReadAs, Rows};
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("fuzzed");
    for options in [ImageOptions::default(), ImageOptions { range: Some([0.0, 1.0]), page: Some(2), ..Default::default() }] {
        let image = decode_image(path, bytes, &options);
        if let Err(error) = &image {
            assert!(error.to_string().starts_with("fuzzed: "));
        }
        if let Err(error) = decode_mask(path, bytes, options.page) {
            assert!(error.to_string().starts_with("fuzzed: "));
        }
        let read_as = ReadAs { options, ..ReadAs::default() };
        let in_bands = ImageFile::of_bytes(path, bytes.to_vec(), &read_as).and_then(|mut file| {
            let height = file.height();
            if image.is_err() {
                // A few bytes may claim to be a gigapixel.
                file.rows(height / 2..height / 2 + 1)?;
                return Ok((file.channels(), Vec::new()));
            }
            // From below, so that the first band is not the one that is decoded already.
            let below = file.rows(height / 2..height)?;
            let above = file.rows(0..height / 2)?;
            Ok((file.channels(), [above.pixels, below.pixels].concat()))
        });
        match (image, in_bands) {
            (Ok(image), Ok(bands)) => assert_eq!((image.channels, image.pixels), bands),
            (Err(_), Err(error)) => assert!(error.to_string().starts_with("fuzzed: ")),
            // Too large to be read at once, or damaged where it was not read.
            (Err(_), Ok(_)) => (),
            (Ok(_), Err(error)) => panic!("refused in bands: {error}"),
        }
    }
});
