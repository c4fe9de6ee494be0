use super::canvas::{CAPTION, GAP, panel_size};
use super::errors::{CONFUSED, FALSE, FOUND, MISSED, OPACITY, UNKNOWN};
use super::legend::{ROW, indent};
use super::panels::PANEL;
use super::*;
use crate::palette::{self, INK, blend};
use image::RgbImage;

const GREY_LEVEL: u8 = 100;

/// 8 × 4 of mid-grey; each column of the truth and of the prediction as given.
fn picture(truth: [u8; 8], prediction: [u8; 8], classes: &[&str]) -> RgbImage {
    let classes: Vec<String> = classes.iter().map(|c| (*c).to_string()).collect();
    Panels {
        width: 8,
        height: 4,
        image: &[GREY_LEVEL; 32],
        channels: 1,
        truth: &truth.repeat(4),
        prediction: &prediction.repeat(4),
        ignore: Some(255),
        classes: &classes,
        scale: None,
    }
    .render()
    .unwrap()
}

#[test]
fn each_panel_shows_its_colours() {
    let picture = picture([0, 1, 0, 1, 1, 2, 255, 0], [0, 1, 1, 0, 2, 2, 1, 0], &["matrix", "austenite", "defect"]);
    // 8 pixels across are shown 32 times as large.
    let at = |panel: u32, column: u32| picture.get_pixel(GAP + panel * (256 + GAP) + column * 32 + 16, 26 + 64).0;
    let grey = [GREY_LEVEL; 3];
    assert_eq!([at(0, 0), at(0, 7)], [grey, grey]);
    assert_eq!([at(1, 0), at(1, 1), at(1, 5)], [0, 1, 2].map(palette::class));
    assert!(UNKNOWN.contains(&at(1, 6)) && UNKNOWN.contains(&at(3, 6)));
    assert_eq!([at(2, 0), at(2, 4), at(2, 6)], [0, 2, 1].map(palette::class));
    let over = |colour| blend(grey, colour, OPACITY);
    assert_eq!(
        [at(3, 0), at(3, 1), at(3, 2), at(3, 3), at(3, 4), at(3, 5)],
        [grey, over(FOUND), over(FALSE), over(MISSED), over(CONFUSED), over(FOUND)]
    );
}

#[test]
fn a_scale_bar_is_below_the_panels() {
    let classes = ["matrix".to_owned()];
    let picture = |scale| {
        let panels = Panels {
            width: 8,
            height: 4,
            image: &[GREY_LEVEL; 32],
            channels: 1,
            truth: &[0; 32],
            prediction: &[0; 32],
            ignore: None,
            classes: &classes,
            scale,
        };
        let legend = panels.legend().scene(1064.0, 256.0);
        let mut words = legend.shapes.iter().filter_map(|shape| match shape {
            crate::scene::Shape::Text(text) => Some(text.text.clone()),
            _ => None,
        });
        (words.next_back().unwrap_or_default(), panels.render().unwrap())
    };
    // Two of eight pixels in a panel of 256.
    let (words, pixels) = picture(None);
    assert_eq!(words, "2 px");
    let start = indent();
    let row = 26 + 128 + (6.0 + 2.0 * ROW + ROW / 2.0) as u32;
    let dark = (0..pixels.width()).filter(|&x| x > start as u32 - 3 && pixels.get_pixel(x, row).0 == INK).count();
    assert!((64..=68).contains(&dark), "{dark}");
    assert_eq!(picture(Some(Scale { across: 0.5, down: 0.5 })).0, "1 µm");
    let stretched = picture(Some(Scale { across: 0.5, down: 0.75 })).0;
    assert_eq!(stretched, "1 µm across, 1.5 µm down");
}

#[test]
fn a_picture_has_the_same_bytes_each_time_and_sizes_are_checked() {
    let one = picture([0; 8], [1; 8], &["background", "crack"]);
    assert_eq!(one, picture([0; 8], [1; 8], &["background", "crack"]));
    let classes = ["a".to_owned()];
    let wrong = Panels {
        width: 2,
        height: 1,
        image: &[0, 0],
        channels: 1,
        truth: &[0],
        prediction: &[0, 0],
        ignore: None,
        classes: &classes,
        scale: None,
    };
    assert!(wrong.render().unwrap_err().to_string().contains("truth (1)"));
}

#[test]
fn large_images_are_scaled_down_and_small_ones_up() {
    let size = |width, height| panel_size(width, height, PANEL / 2, PANEL);
    assert_eq!(size(1280, 895), (512, 358));
    assert_eq!(size(512, 100), (512, 100));
    assert_eq!(size(64, 48), (256, 192));
    assert_eq!(size(4000, 1), (512, 1));
}

/// See `curve::tests::pictures_to_look_at`.
#[test]
#[ignore = "writes pictures for people"]
fn pictures_to_look_at() {
    let Ok(folder) = std::env::var("MATSSL_LOOK").map(std::path::PathBuf::from) else { return };
    for (name, side, classes) in [("overlay-small", 128usize, 2u8), ("overlay-big", 1024, 5)] {
        let disc = |x: usize, y: usize, shift: usize| {
            let (cx, cy) =
                ((x % (side / 3)) as f64 - side as f64 / 6.0, ((y + shift) % (side / 3)) as f64 - side as f64 / 6.0);
            let cell = (x / (side / 3) + y / (side / 3)) as u8;
            if cx.hypot(cy) < side as f64 / 9.0 { 1 + cell % (classes - 1) } else { 0 }
        };
        let mask = |shift: usize| (0..side * side).map(|i| disc(i % side, i / side, shift)).collect::<Vec<u8>>();
        let (mut truth, prediction) = (mask(0), mask(side / 24));
        truth[..side * side / 8].fill(255);
        let image: Vec<u8> = truth.iter().enumerate().map(|(i, t)| 60 + 25 * (t % 6) + (i * 7919 % 31) as u8).collect();
        let classes: Vec<String> = ["matrix", "austenite", "martensite/austenite", "precipitate", "defect"]
            [..usize::from(classes)]
            .iter()
            .map(|c| (*c).to_string())
            .collect();
        let panels = Panels {
            width: side,
            height: side,
            image: &image,
            channels: 1,
            truth: &truth,
            prediction: &prediction,
            ignore: Some(255),
            classes: &classes,
            scale: (side > 500).then_some(Scale { across: 1.0 / 34.0, down: 1.2 / 34.0 }),
        };
        let picture = panels.render().unwrap();
        std::fs::write(folder.join(format!("{name}.png")), crate::png_rgb(&picture).unwrap()).unwrap();
    }
}

#[test]
fn a_preview_shows_the_micrograph_beside_its_classes_with_shares() {
    let classes = ["matrix".to_owned(), "pore".to_owned(), "crack".to_owned()];
    let labels = [0u8, 0, 0, 1, 1, 1, 255, 255].repeat(4);
    let mut preview = Preview {
        width: 8,
        height: 4,
        image: &[GREY_LEVEL; 32],
        channels: 1,
        labels: &labels,
        ignore: Some(255),
        classes: &classes,
        title: "steel: train: a.png",
        scale: None,
    };
    let picture = preview.render().unwrap();
    // 8 pixels across are shown 32 times as large, below the title and the captions.
    let at = |panel: u32, x: u32| picture.get_pixel(GAP + panel * (256 + GAP) + x, 2 * CAPTION as u32 + 64).0;
    let over = |label| blend([GREY_LEVEL; 3], palette::class(label), preview::OPACITY);
    assert_eq!([at(0, 16), at(0, 112), at(0, 240)], [[GREY_LEVEL; 3]; 3]);
    assert_eq!([at(1, 16), at(1, 112)], [over(0), over(1)]);
    assert!(UNKNOWN.contains(&at(1, 240)));
    // Where classes meet, the colours are full.
    assert_eq!([at(1, 95), at(1, 96)], [0, 1].map(palette::class));
    let words: Vec<String> = preview.legend().rows[0].1.iter().map(|(_, words)| words.to_string()).collect();
    assert_eq!(words, ["matrix 37.5 %", "pore 37.5 %", "crack 0 %", "ignored 25.0 %"]);
    assert_eq!(picture, preview.render().unwrap());
    // In colour, and larger than a panel; rows of one pixel are no error.
    let (width, height) = (3000usize, 2usize);
    let colours: Vec<u8> = [200u8, 10, 10].repeat(width * height);
    let zeros = vec![0; width * height];
    (preview.width, preview.height, preview.image, preview.channels) = (width, height, &colours, 3);
    preview.labels = &zeros;
    let picture = preview.render().unwrap();
    assert_eq!(picture.width(), 2 * preview::PANEL + 3 * GAP);
    assert_eq!(picture.get_pixel(GAP + 100, 2 * CAPTION as u32).0, [200, 10, 10]);
    preview.width = 7;
    assert!(preview.render().unwrap_err().to_string().contains("7×2"));
}
