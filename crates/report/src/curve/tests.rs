use super::*;
use crate::scene::{Shape, Text};
use std::collections::BTreeMap;

fn history(seed: u64, high: f64, epochs: u64) -> BTreeMap<u64, f64> {
    // Enough noise to look like a training.
    let noise = |epoch: u64| ((epoch * 7919 + seed * 104_729) % 1000) as f64 / 1000.0 - 0.5;
    (1..=epochs).map(|e| (e, high * (1.0 - (-(e as f64) / 30.0).exp()) + 0.05 * noise(e))).collect()
}

fn example(series: usize, seeds: u64, epochs: u64) -> Curve {
    let names =
        ["MatSSL, aachen + uhcs", "DenseCL, aachen + uhcs", "MoCo v2, aachen + uhcs", "ImageNet (partial)", "random"];
    let series = (0..series).map(|i| {
        let seeds: Vec<_> = (0..seeds).map(|s| history(s + 10 * i as u64, 0.70 - 0.05 * i as f64, epochs)).collect();
        Series::new(names[i], &seeds)
    });
    Curve { title: Some("MetalDAM".into()), metric: "val_miou".into(), over: Over::Epochs, series: series.collect() }
}

fn texts(curve: &Curve) -> (Vec<Text>, f64, f64) {
    let scene = curve.scene();
    let texts = scene.shapes.into_iter().filter_map(|s| if let Shape::Text(text) = s { Some(text) } else { None });
    (texts.collect(), scene.width, scene.height)
}

#[test]
fn texts_do_not_overlap_and_are_inside_the_figure() {
    let long = "a label that goes on and on until it has to be cut because nobody could fit it anywhere at all";
    let mut wild = example(5, 1, 40);
    wild.title = Some(long.repeat(2));
    wild.series[1].label = long.into();
    // A line over the whole plot leaves no corner free: the legend goes below.
    for (number, point) in wild.series[0].points.iter_mut().enumerate() {
        point.value.mean = (number % 2) as f64;
    }
    let mut tested = example(3, 1, 30);
    tested.series[1].on_test = true;
    tested.series[2].label = long.into();
    tested.series[2].on_test = true;
    let mut loss = example(2, 2, 30);
    loss.metric = "train_loss".into();
    let by_labels = Curve { over: Over::LabelledImages, metric: "miou".into(), ..example(2, 3, 4) };
    assert!(by_labels.csv().unwrap().starts_with("series,labelled_images,mean,std,n\n"));
    let svg = by_labels.svg();
    assert!(svg.contains(">labelled training images<") && svg.contains(">mIoU (%)<"), "{svg}");
    assert!(!svg.contains("epoch"), "no best epoch: {svg}");
    let empty = Curve { title: None, metric: "val_miou".into(), over: Over::Epochs, series: vec![] };
    for curve in [example(1, 1, 1), example(5, 3, 200), example(4, 2, 3), wild, tested, loss, empty] {
        let (texts, width, height) = texts(&curve);
        for (i, text) in texts.iter().enumerate() {
            let (left, top, right, bottom) = text.bounds();
            assert!(left >= 0.0 && top >= 0.0 && right <= width && bottom <= height, "{text:?} leaves the figure");
            for other in &texts[..i] {
                let (l, t, r, b) = other.bounds();
                assert!(right <= l || r <= left || bottom <= t || b <= top, "{text:?} overlaps {other:?}");
            }
        }
    }
}

#[test]
fn a_figure_has_the_same_bytes_each_time() {
    let curve = example(3, 3, 40);
    let digest = |bytes: &[u8]| blake3::hash(bytes);
    assert_eq!(digest(curve.svg().as_bytes()), digest(curve.clone().svg().as_bytes()));
    assert_eq!(digest(&curve.png().unwrap()), digest(&curve.clone().png().unwrap()));
    let picture = image::load_from_memory(&curve.png().unwrap()).unwrap();
    let scene = curve.scene();
    assert_eq!((f64::from(picture.width()), f64::from(picture.height())), (2.0 * scene.width, 2.0 * scene.height));
}

#[test]
fn svg_is_well_formed_and_its_text_is_text() {
    let mut curve = example(2, 2, 10);
    curve.series[0].label = "<MatSSL> & \"co\"".into();
    let svg = curve.svg();
    for text in ["&lt;MatSSL&gt; &amp;", "validation mIoU (%)", "epoch", "MetalDAM"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(!svg.contains("NaN") && !svg.contains("<MatSSL>"));
}

/// Writes pictures for people: `MATSSL_LOOK=/absolute/folder cargo test -p matssl-report -- --ignored`.
#[test]
#[ignore = "writes pictures for people"]
fn pictures_to_look_at() {
    let Ok(folder) = std::env::var("MATSSL_LOOK").map(std::path::PathBuf::from) else { return };
    let mut full = example(5, 1, 40);
    for (number, point) in full.series[0].points.iter_mut().enumerate() {
        point.value.mean = (number % 2) as f64;
    }
    let mut loss = example(2, 1, 30);
    loss.metric = "train_loss".into();
    loss.title = None;
    let figures = [
        ("many", example(5, 3, 200)),
        ("few", example(2, 1, 12)),
        ("full", full),
        ("loss", loss),
        ("one", example(1, 1, 1)),
    ];
    for (name, curve) in figures {
        std::fs::write(folder.join(format!("{name}.png")), curve.png().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.svg")), curve.svg()).unwrap();
    }
}
