//! Annotations published as polygons in a table, as those of Aachen–Heerlen are: `;` between columns, a column
//! `image_url` (the image's file name) and a column `polygon` (a Python list: `[(720, 288), (725, 294), …]`).
//! Other columns are ignored.

use super::rasterize::fill_polygon;
use super::stem::stem;
use super::{DataError, Mask};
use std::collections::BTreeMap;
use std::path::Path;

/// Largest distance in pixels of a corner outside of its image (published corners reach from −2 to 768 in 1024×768). With a
/// larger distance, image and annotation do not belong together.
const OVERSHOOT: f64 = 8.0;

/// Corners (x, y) in pixels.
type Polygon = Vec<(f64, f64)>;

/// The polygons of each image.
#[derive(Debug)]
pub(super) struct Polygons(BTreeMap<String, Vec<Polygon>>);

impl Polygons {
    /// Reads the table's `bytes`; `path` is for messages.
    ///
    /// # Errors
    /// [`DataError::Bad`] with the line that cannot be read.
    pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        const CURE: &str = "download the annotations again";
        let unreadable = |error: csv::Error| DataError::bad(path, format!("cannot be read ({error})"), CURE);
        let mut table = csv::ReaderBuilder::new().delimiter(b';').from_reader(bytes);
        let header = table.headers().map_err(unreadable)?;
        let column = |name: &str| {
            header.iter().position(|column| column.trim_start_matches('\u{feff}') == name).ok_or_else(|| {
                DataError::bad(path, format!("has no column `{name}`"), "it must be `image_url;point;polygon`")
            })
        };
        let (image, polygon) = (column("image_url")?, column("polygon")?);
        let mut polygons: BTreeMap<String, Vec<Polygon>> = BTreeMap::new();
        for (i, record) in table.records().enumerate() {
            let record = record.map_err(unreadable)?;
            let text = record.get(polygon).unwrap_or_default();
            let Some(corners) = corners(text).filter(|corners| corners.len() > 2) else {
                let start: String = text.chars().take(40).collect();
                // The csv reader miscounts lines that end in CR LF, as the published ones do.
                let problem = format!("line {}: no polygon of three or more (x, y): {start}", i + 2);
                return Err(DataError::bad(path, problem, CURE));
            };
            let name = record.get(image).unwrap_or_default();
            polygons.entry(stem(name).to_owned()).or_default().push(corners);
        }
        Ok(Polygons(polygons))
    }

    /// The stems of all annotated images, in order.
    pub(super) fn stems(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The mask `[height, width]` of the image `name` (a path or file name; its stem counts), `size` = (width,
    /// height): 1 in the union of its polygons, 0 elsewhere. [`super::rasterize`] describes the rule.
    ///
    /// # Errors
    /// [`DataError::Bad`] if the image has no polygon, or a polygon reaches far outside of it.
    pub(super) fn mask(&self, path: &Path, name: &str, size: (usize, usize)) -> Result<Mask, DataError> {
        let (width, height) = size;
        let Some(polygons) = self.0.get(stem(name)) else {
            return Err(DataError::bad(
                path,
                format!("has no polygon for {name}"),
                "run the experiment again, which lists the data set again",
            ));
        };
        let mut mask = Mask { width, height, labels: vec![0; width * height] };
        let far = |v: f64, length: usize| v < -OVERSHOOT || v > length as f64 + OVERSHOOT;
        for polygon in polygons {
            if let Some((x, y)) = polygon.iter().find(|(x, y)| far(*x, width) || far(*y, height)) {
                let problem = format!("a corner at ({x}, {y}) is far outside of {name}, which is {width}×{height}");
                return Err(DataError::bad(path, problem, "use the images at their published size"));
            }
            fill_polygon(&mut mask, polygon, 1);
        }
        Ok(mask)
    }

    #[cfg(test)]
    pub(super) fn of(&self, image: &str) -> &[Polygon] {
        self.0.get(image).map_or(&[], Vec::as_slice)
    }
}

/// A Python list of pairs of numbers.
fn corners(text: &str) -> Option<Polygon> {
    let mut rest = text.trim().strip_prefix('[')?.strip_suffix(']')?.trim();
    let mut corners = Vec::new();
    while !rest.is_empty() {
        let (pair, after) = rest.strip_prefix('(')?.split_once(')')?;
        let (x, y) = pair.split_once(',')?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.abs() < 1e6);
        corners.push((number(x)?, number(y)?));
        rest = match after.trim_start() {
            "" => "",
            after => after.strip_prefix(',')?.trim_start(),
        };
    }
    Some(corners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rasterize::tests::is_inside;
    use rayon::prelude::*;

    fn parse(text: &str) -> Result<Polygons, String> {
        Polygons::parse(Path::new("a.csv"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_table_is_read_as_published_and_a_bad_line_is_named() {
        let table = "image_url;point;polygon\r\nIMG_1.png;(3, 4);[(-2, 0), (3.5, 0.0), (3,2),(0 , 2)]\r\n\
                     IMG_1.png;(0, 0);[(7, 7), (8, 7), (8, 8)]\r\n";
        let polygons = parse(table).unwrap();
        assert_eq!(polygons.of("IMG_1")[0], [(-2.0, 0.0), (3.5, 0.0), (3.0, 2.0), (0.0, 2.0)]);
        assert_eq!(polygons.stems().collect::<Vec<_>>(), ["IMG_1"]);
        let mask = polygons.mask(Path::new("a.csv"), "PNG/IMG_1.tif", (9, 9)).unwrap();
        assert_eq!(mask.labels.iter().map(|&v| usize::from(v)).sum::<usize>(), 4 + 4 + 4 + 3);
        for bad in [
            "[(1, 2), (3, 4)]",
            "[(1, 2), (3, 4), (5)]",
            "(1, 2)",
            "[(1, 2) (3, 4), (5, 6)]",
            "[(1,nan),(2,3),(4,5)]",
            "",
        ] {
            let error = parse(&format!("{table}IMG_2.png;(1, 1);{bad}\n")).unwrap_err();
            let expected =
                format!("a.csv: line 4: no polygon of three or more (x, y): {bad}; download the annotations again");
            assert_eq!(error, expected);
        }
        assert_eq!(
            parse("image;polygon\n").unwrap_err(),
            "a.csv: has no column `image_url`; it must be `image_url;point;polygon`"
        );
        assert!(parse("image_url;polygon\na;b;c\n").unwrap_err().starts_with("a.csv: cannot be read (CSV error"));
    }

    #[test]
    fn a_polygon_far_outside_of_its_image_is_refused() {
        let polygons = parse("image_url;polygon\na.png;[(0, 0), (40, 0), (40, 3)]\n").unwrap();
        assert!(polygons.mask(Path::new("a.csv"), "a.png", (32, 3)).is_ok());
        let error = polygons.mask(Path::new("a.csv"), "a.png", (31, 3)).unwrap_err().to_string();
        assert_eq!(
            error,
            "a.csv: a corner at (40, 0) is far outside of a.png, which is 31×3; use the images at their published size"
        );
    }

    /// Every published polygon is drawn; of every eighth image, each pixel near one is tested by itself.
    #[test]
    fn published_polygons_agree_with_a_test_of_each_point() {
        let Ok(data) = std::env::var("MATSSL_DATA") else {
            println!("skipped: MATSSL_DATA is not set");
            return;
        };
        let path = Path::new(&data).join("aachen/nature_scidata_heerlen_aachen_steel_annotations_polygon.csv");
        let polygons = Polygons::parse(&path, &std::fs::read(&path).unwrap()).unwrap();
        let stems: Vec<&str> = polygons.stems().collect();
        assert_eq!((stems.len(), polygons.0.values().map(Vec::len).sum::<usize>()), (1705, 8909));
        let counts: Vec<(usize, usize)> = stems
            .par_iter()
            .enumerate()
            .map(|(i, stem)| {
                let mask = polygons.mask(&path, stem, (1024, 768)).unwrap();
                let object = mask.labels.iter().filter(|&&v| v == 1).count();
                if i % 8 != 0 {
                    return (0, object);
                }
                let mut expected = vec![0u8; 1024 * 768];
                for polygon in polygons.of(stem) {
                    let bound = |v: f64, most: usize| (v.max(0.0) as usize).min(most);
                    let fold = |pick: fn(&(f64, f64)) -> f64| {
                        polygon.iter().map(pick).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)))
                    };
                    let (columns, rows) = (fold(|c| c.0), fold(|c| c.1));
                    for y in bound(rows.0 - 2.0, 767)..=bound(rows.1 + 2.0, 767) {
                        for x in bound(columns.0 - 2.0, 1023)..=bound(columns.1 + 2.0, 1023) {
                            expected[y * 1024 + x] |= u8::from(is_inside(polygon, x, y));
                        }
                    }
                }
                let other = expected.iter().zip(&mask.labels).filter(|(a, b)| a != b).count();
                (other, object)
            })
            .collect();
        let (other, object) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        println!("aachen: {object} object pixels of {}, {other} differ by the test of each point", 1705 * 1024 * 768);
        // scikit-image 0.26 (`draw.polygon`, each polygon by itself) differs in 22; PIL and OpenCV, which draw the
        // outline, find 1.1 % and 1.9 % more.
        assert_eq!((object, other), (92_284_757, 0));
    }
}
