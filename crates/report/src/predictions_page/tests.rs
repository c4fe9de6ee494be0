use super::*;
use matssl_metrics::{Calibration, ClassFraction, Estimate, Object, Reliability};

fn fraction(raw: f64, corrected: Option<f64>) -> ClassFraction {
    let around = |value: f64| Estimate { value, interval: Some([value - 0.01, value + 0.015]) };
    ClassFraction { raw: around(raw), corrected: corrected.map(around) }
}

fn image(name: &str, second: f64) -> PredictedImage {
    PredictedImage {
        image: name.into(),
        thumbnail: format!("thumbnails/{name}.png"),
        overlay: format!("overlays/{name}.png"),
        size: (1280, 960),
        pixel_size_nm: Some(65.0),
        fractions: vec![fraction(1.0 - second, None), fraction(second, Some(second * 0.9))],
        unusual: Vec::new(),
    }
}

fn small() -> PredictionsPage {
    PredictionsPage {
        title: "Predictions of <model>".into(),
        facts: vec![("model".into(), "models/a & b".into())],
        classes: vec![("matrix".into(), [43, 47, 54]), ("<i>pores</i>".into(), [230, 159, 0])],
        images: vec![image("a b#1.tif", 0.25), image("c\"<script>.tif", 0.031)],
        ..PredictionsPage::default()
    }
}

/// What is between the tags `open` and `close`, the first time.
fn part<'a>(page: &'a str, open: &str, close: &str) -> &'a str {
    let rest = &page[page.find(open).unwrap_or_else(|| panic!("{open}: {page}"))..];
    &rest[..rest.find(close).unwrap() + close.len()]
}

#[test]
fn the_table_of_images_has_values_to_sort_by() {
    let page = predictions_page(&small());
    let table = part(&page, "<table class=\"sortable\">", "</table>");
    let lines = table.replace("<tr", "\n<tr").replace("<td", "\n  <td").replace("<th ", "\n  <th ");
    insta::assert_snapshot!(lines);
}

#[test]
fn names_are_text_and_nothing_is_loaded_from_elsewhere() {
    let mut small = small();
    small.failed = vec![("<b>x</b>.tif".into(), "no <image>".into())];
    small.images[1].unusual = vec!["darker than <all>".into()];
    small.notes = vec!["sizes are < unknown".into()];
    let page = predictions_page(&small);
    for wrong in ["<i>pores", "<b>x", "<model>", "<image>", "<all>", "http:", "https:", "url(", "@import", "<link"] {
        assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(wrong), "{wrong}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    for words in [
        "src=\"./thumbnails/a%20b%231.tif.png\"",
        "href=\"./overlays/c%22%3Cscript%3E.tif.png\"",
        "data-name=\"c&quot;&lt;script&gt;.tif\"",
        "2 images predicted, 1 failed, 1 unlike the training images",
        "<h3>1 image failed</h3>",
        "<p class=\"note\">sizes are &lt; unknown</p>",
        "<li>darker than &lt;all&gt;</li>",
        "⚠ 1 reason",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[test]
fn sections_are_there_for_what_there_is() {
    let sections = |page: &PredictionsPage| -> Vec<String> {
        let html = predictions_page(page);
        html.split("<section id=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    assert_eq!(sections(&PredictionsPage::default()), [""; 0]);
    let mut page = small();
    assert_eq!(sections(&page), ["images", "fractions", "overlays"]);
    page.images.truncate(1);
    assert_eq!(sections(&page), ["images", "overlays"], "one image has no distribution");
    let spread = (fraction(0.75, None), Some(0.02));
    page.specimens =
        vec![SpecimenRow { specimen: "A".into(), fields: 3, fractions: vec![spread, (fraction(0.25, None), None)] }];
    page.objects = vec![ClassObjects { class: 1, unit: "µm".into(), objects: Vec::new(), mean_intercept: None }];
    page.calibrations = vec![(
        "m".into(),
        Calibration {
            temperature: 1.5,
            pixels: 10,
            log_loss: [0.5, 0.25],
            expected_error: [0.1, 0.01],
            before: Reliability::default(),
            after: Reliability::default(),
        },
    )];
    assert_eq!(sections(&page), ["images", "specimens", "objects", "overlays", "calibration"]);
    let html = predictions_page(&page);
    assert!(
        html.contains(
            "Temperature 1.500, fitted on 10 pixels. Expected calibration error 10.00 % before, 1.00 % after"
        )
    );
    assert!(
        html.contains("75.00<br><small class=\"soft\">74.00 – 76.50</small><br><small class=\"soft\">s = 2.00</small>")
    );
    assert!(html.contains("0 objects, of which 0 at the edge"));
}

#[test]
fn objects_at_the_edge_are_counted_but_are_in_no_distribution() {
    let object = |equivalent_diameter: f64, touches_edge: bool| Object {
        area: 1,
        centroid: [0.0; 2],
        equivalent_diameter,
        aspect_ratio: 2.0,
        nearest: None,
        touches_edge,
    };
    let mut page = small();
    let objects = vec![object(1.0, false), object(2.0, false), object(6.0, false), object(500.0, true)];
    page.objects = vec![ClassObjects { class: 1, unit: "µm".into(), objects, mean_intercept: Some(1.25) }];
    let html = predictions_page(&page);
    assert!(html.contains("4 objects, of which 1 at the edge of an image. Mean intercept length 1.25 µm."), "{html}");
    let cells = |numbers: [&str; 4]| numbers.map(|number| format!("<td class=\"number\">{number}</td>")).concat();
    assert!(
        html.contains(&format!("<td>equivalent diameter (µm)</td>{}", cells(["3", "3.00", "2.00", "2.65"]))),
        "{html}"
    );
    assert!(html.contains(&format!("<td>aspect ratio</td>{}", cells(["3", "2.00", "2.00", "0.000"]))), "{html}");
    assert!(!html.contains("nearest neighbour ("), "no object has a neighbour");
}

#[test]
fn a_page_of_thousands_of_images_loads_them_only_when_they_are_seen() {
    let images: Vec<PredictedImage> = (0..3000).map(|i| image(&format!("{i}.tif"), 0.2)).collect();
    let html = predictions_page(&PredictionsPage { images, ..small() });
    assert_eq!(html.matches("<img ").count(), 6000);
    assert_eq!(html.matches("<img loading=\"lazy\"").count(), 6000);
    assert!(html.contains("<details><summary>3000 overlays"), "the gallery is closed");
    assert!(html.contains("class=\"scroll boxed\""));
    assert!(html.len() < 6_000_000, "{} bytes", html.len());
}
