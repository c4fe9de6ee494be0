use super::*;
use crate::scene::{Shape, Text};

fn history(seed: u64, high: f64, epochs: u64) -> BTreeMap<u64, f64> {
    // Enough noise to look like training; no generator of this file's own.
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
    Curve { title: Some("MetalDAM".into()), metric: "val_miou".into(), series: series.collect() }
}

fn texts(curve: &Curve) -> (Vec<Text>, f64, f64) {
    let scene = curve.scene();
    let texts = scene.shapes.into_iter().filter_map(|s| if let Shape::Text(text) = s { Some(text) } else { None });
    (texts.collect(), scene.width, scene.height)
}

#[test]
fn reads_a_history_and_names_the_columns_there_are() {
    let csv = "epoch,train_loss,val_miou\n1,0.9,\n2,0.8,0.5\n3,NaN,0.6\n";
    assert_eq!(read_history(csv, "val_miou").unwrap(), BTreeMap::from([(2, 0.5), (3, 0.6)]));
    assert_eq!(read_history(csv, "train_loss").unwrap(), BTreeMap::from([(1, 0.9), (2, 0.8)]));
    let error = read_history(csv, "val_mIoU").unwrap_err().to_string();
    assert_eq!(error, "there is no column \"val_mIoU\"; there are train_loss, val_miou");
    let error = read_history("epoch,a\n1,x\n", "a").unwrap_err().to_string();
    assert_eq!(error, "line 2: \"x\" is no number");
}

#[test]
fn csv_holds_mean_deviation_and_count() {
    let seeds = [BTreeMap::from([(1, 0.5), (2, 0.6)]), BTreeMap::from([(1, 0.7)])];
    let series = vec![Series::new("a, b", &seeds), Series::new("c", &[BTreeMap::from([(2, 0.6)])])];
    let curve = Curve { title: None, metric: "val_miou".into(), series };
    assert_eq!(curve.csv().unwrap(), "series,epoch,mean,std,n\n\"a, b\",1,0.6,0.14142135623730948,2\nc,2,0.6,,1\n");
}

#[test]
fn a_curve_ends_where_the_first_of_its_seeds_has_stopped() {
    let seed = |epochs: u64| (0..epochs).map(|epoch| (epoch, epoch as f64 / 10.0)).collect();
    let series = Series::new("patience", &[seed(4), seed(9), BTreeMap::new()]);
    assert_eq!(series.points.iter().map(|point| point.epoch).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(series.best("val_miou").unwrap().epoch, 3);
}

#[test]
fn the_best_epoch_is_the_first_of_the_best() {
    let series = Series::new("a", &[BTreeMap::from([(1, 0.5), (2, 0.7), (3, 0.7), (4, 0.1)])]);
    assert_eq!(series.best("val_miou").map(|p| p.epoch), Some(2));
    assert_eq!(series.best("val_loss").map(|p| p.epoch), Some(4));
    assert_eq!(series.best("val_dice_loss").map(|p| p.epoch), Some(4));
    assert_eq!(series.best("learning_rate"), None);
}

#[test]
fn axes_say_what_and_in_which_unit() {
    let labels =
        ["val_miou", "iou_austenite", "train_loss", "learning_rate", "test_dice"].map(|m| axis_label(m, "validation "));
    let expected = ["validation mIoU (%)", "IoU of austenite (%)", "training loss", "learning rate", "test Dice (%)"];
    assert_eq!(labels, expected);
}

#[test]
fn no_text_overlaps_another_or_leaves_the_figure() {
    let long = "a label that goes on and on until it has to be cut because nobody could fit it anywhere at all";
    let mut wild = example(5, 1, 40);
    wild.title = Some(long.repeat(2));
    wild.series[1].label = long.into();
    // Noise over the whole plot leaves no corner free: the legend goes below.
    for (number, point) in wild.series[0].points.iter_mut().enumerate() {
        point.value.mean = (number % 2) as f64;
    }
    let mut tested = example(3, 1, 30);
    tested.series[1].on_test = true;
    tested.series[2].label = long.into();
    tested.series[2].on_test = true;
    let mut loss = example(2, 2, 30);
    loss.metric = "train_loss".into();
    let empty = Curve { title: None, metric: "val_miou".into(), series: vec![] };
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
fn the_same_bytes_each_time() {
    let curve = example(3, 3, 40);
    let digest = |bytes: &[u8]| blake3::hash(bytes);
    assert_eq!(digest(curve.svg().unwrap().as_bytes()), digest(curve.clone().svg().unwrap().as_bytes()));
    assert_eq!(digest(&curve.png().unwrap()), digest(&curve.clone().png().unwrap()));
    let picture = image::load_from_memory(&curve.png().unwrap()).unwrap();
    let scene = curve.scene();
    assert_eq!((f64::from(picture.width()), f64::from(picture.height())), (2.0 * scene.width, 2.0 * scene.height));
}

#[test]
fn svg_is_well_formed_and_its_text_is_text() {
    let mut curve = example(2, 2, 10);
    curve.series[0].label = "<MatSSL> & \"co\"".into();
    let svg = curve.svg().unwrap();
    for text in ["&lt;MatSSL&gt; &amp;", "validation mIoU (%)", "epoch", "MetalDAM"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    assert!(!svg.contains("NaN") && !svg.contains("<MatSSL>"));
}

/// Writes what a person should look at: `MATSSL_LOOK=folder cargo test --release --lib report -- --ignored`.
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
        std::fs::write(folder.join(format!("{name}.svg")), curve.svg().unwrap()).unwrap();
    }
}
