//! From what masks hold to classes.

use super::found::FoundLabels;
use super::labels::{Contents, FoundColor, FoundValue, MOST_COLORS};
use crate::{Color, DataError};
use std::path::Path;

/// More values than this are no classes.
const MOST_VALUES: usize = 64;
/// Values above this are no numbers of classes: then 255 is a grey value like others.
const NUMBERS: u8 = 64;
/// From so many values on, two that hold nearly all pixels are a smoothed mask of two classes.
const SMOOTHED: usize = 12;
/// More values than this with wider gaps than those of numbers are grey levels.
const MOST_SCATTERED: usize = 32;
/// The share of pixels that is nearly all.
const NEARLY_ALL: f64 = 0.9;

/// The classes of masks in `folder` with these contents.
///
/// # Errors
/// [`DataError::Bad`] if no mask can be read, or what they hold cannot be classes.
pub(super) fn classes(folder: &Path, mut contents: Contents) -> Result<FoundLabels, DataError> {
    if contents.read == 0 {
        return Err(contents.errors.pop().unwrap_or_else(|| DataError::bad(folder, "holds no masks", "add some")));
    }
    if contents.colors.is_empty() { by_value(folder, contents.values) } else { by_color(folder, contents.colors) }
}

fn by_value(folder: &Path, mut values: Vec<FoundValue>) -> Result<FoundLabels, DataError> {
    let mut shares: Vec<f64> = values.iter().map(|found| found.share).collect();
    shares.sort_by(|a, b| b.total_cmp(a));
    let two: f64 = shares.iter().take(2).sum();
    if values.len() > SMOOTHED && two >= NEARLY_ALL {
        let problem = format!(
            "its masks hold {} values, two of which have {:.1} % of the pixels: edges that were smoothed or \
             compressed",
            values.len(),
            100.0 * two
        );
        return Err(DataError::bad(folder, problem, "export the masks without smoothing, or threshold them"));
    }
    if values.len() > MOST_SCATTERED && is_scattered(&values) {
        let shown: Vec<String> = values.iter().take(3).map(|found| found.value.to_string()).collect();
        let problem = format!(
            "its masks hold {} values ({}, …): grey levels of images or of smoothed edges, not classes",
            values.len(),
            shown.join(", ")
        );
        return Err(DataError::bad(folder, problem, "save one value for each class, e.g. 0, 1, 2, without smoothing"));
    }
    if values.len() > MOST_VALUES {
        let problem =
            format!("its masks hold {} values: numbers of objects, or grey levels, not classes", values.len());
        return Err(DataError::bad(folder, problem, "save one value for each class, e.g. 0, 1, 2"));
    }
    let numbers = values.iter().filter(|found| found.value <= NUMBERS).count();
    let ignore = values.pop_if(|found| found.value == u8::MAX && numbers >= 2 && numbers + 1 == shares.len());
    if let [only] = values[..] {
        values.push(FoundValue { value: u8::from(only.value == 0), share: 0.0, masks: 0 });
        values.sort_by_key(|found| found.value);
    }
    Ok(FoundLabels::Values { classes: values, ignore })
}

/// Whether between values are more gaps than values; 255 does not count.
fn is_scattered(values: &[FoundValue]) -> bool {
    let plain: Vec<usize> =
        values.iter().map(|found| usize::from(found.value)).filter(|&value| value < usize::from(u8::MAX)).collect();
    let (Some(first), Some(last)) = (plain.first(), plain.last()) else { return false };
    last - first + 1 > 2 * plain.len()
}

/// A warning about labels that are probably no classes.
pub(super) fn doubt(labels: &FoundLabels) -> Option<String> {
    let (count, what) = match labels {
        FoundLabels::Values { classes, .. } => (if is_scattered(classes) { classes.len() } else { 0 }, "values"),
        FoundLabels::Colors { classes, .. } => (classes.len(), "colours"),
    };
    (count > SMOOTHED).then(|| {
        format!(
            "masks hold {count} {what}: if there are not so many classes, their edges were smoothed or compressed, or they are \
             no masks of classes: export them again, without smoothing, as png"
        )
    })
}

fn by_color(folder: &Path, mut colors: Vec<FoundColor>) -> Result<FoundLabels, DataError> {
    const BLACK: Color = Color([0; 3]);
    const WHITE: Color = Color([255; 3]);
    let is_grey = |found: &FoundColor| found.color.0.iter().all(|&channel| channel == found.color.0[0]);
    let mut other = None;
    if colors.len() > MOST_COLORS / 2 {
        // Classes that are painted onto a grey micrograph: all of its greys are one class.
        let (greys, painted): (Vec<FoundColor>, Vec<FoundColor>) = colors.iter().partition(|found| is_grey(found));
        if greys.len() < 16 || painted.is_empty() || painted.len() > 16 {
            let problem = format!(
                "its masks hold {} colours or more: photographs, or edges that were smoothed or compressed",
                colors.len()
            );
            return Err(DataError::bad(folder, problem, "export the masks as png without smoothing"));
        }
        other = Some(greys.iter().map(|found| found.share).sum());
        colors = painted;
    }
    if other.is_none()
        && let [only] = colors[..]
    {
        let color = if only.color == BLACK { WHITE } else { BLACK };
        colors.push(FoundColor { color, share: 0.0, masks: 0 });
    }
    // Black is the background, if it is there. The sort is stable.
    colors.sort_by_key(|found| found.color != BLACK);
    Ok(FoundLabels::Colors { classes: colors, other })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(found: &[(u8, f64)]) -> Result<FoundLabels, DataError> {
        let values = found.iter().map(|&(value, share)| FoundValue { value, share, masks: 1 });
        classes(Path::new("masks"), Contents { values: values.collect(), read: 1, ..Contents::default() })
    }

    fn shown(found: &[(u8, f64)]) -> (Vec<u8>, Option<u8>) {
        match values(found).unwrap() {
            FoundLabels::Values { classes, ignore } => {
                (classes.iter().map(|found| found.value).collect(), ignore.map(|found| found.value))
            }
            FoundLabels::Colors { .. } => panic!("colours"),
        }
    }

    #[test]
    fn values_become_classes_and_255_beside_small_numbers_is_ignored() {
        assert_eq!(shown(&[(0, 0.7), (255, 0.3)]), (vec![0, 255], None));
        assert_eq!(shown(&[(0, 0.7), (1, 0.2), (255, 0.1)]), (vec![0, 1], Some(255)));
        assert_eq!(shown(&[(0, 0.7), (128, 0.2), (255, 0.1)]), (vec![0, 128, 255], None));
        assert_eq!(shown(&[(0, 1.0)]), (vec![0, 1], None));
        assert_eq!(shown(&[(255, 1.0)]), (vec![0, 255], None));
    }

    #[test]
    fn what_cannot_be_classes_is_refused_with_the_cause() {
        let mut smoothed: Vec<(u8, f64)> = (0..40).map(|i| (i * 6, 0.001)).collect();
        (smoothed[0].1, smoothed[39].1) = (0.6, 0.36);
        assert!(values(&smoothed).unwrap_err().to_string().contains("smoothed"));
        let objects: Vec<(u8, f64)> = (0..90).map(|i| (i, 1.0 / 90.0)).collect();
        assert!(values(&objects).unwrap_err().to_string().contains("numbers of objects"));
        let steps: Vec<(u8, f64)> = (7..52).map(|i| (i * 5, 1.0 / 45.0)).collect();
        let said = values(&steps).unwrap_err().to_string();
        assert!(said.contains("its masks hold 45 values (35, 40, 45, …): grey levels"), "{said}");
        // Numbers of classes with few gaps are classes; fewer scattered ones are doubted.
        let numbers: Vec<(u8, f64)> = (0..40).map(|i| (i, 1.0 / 40.0)).collect();
        assert_eq!(doubt(&values(&numbers).unwrap()), None);
        let few: Vec<(u8, f64)> = (0..13).map(|i| (i * 20, 1.0 / 13.0)).collect();
        assert!(doubt(&values(&few).unwrap()).unwrap().starts_with("masks hold 13 values: if there are not so many"));
        let color = |r: u8, g: u8, b: u8| FoundColor { color: Color([r, g, b]), share: 0.001, masks: 1 };
        let of =
            |colors: Vec<FoundColor>| classes(Path::new("masks"), Contents { colors, read: 1, ..Contents::default() });
        let photograph = (0..200).map(|i| color(i, 255 - i, 9)).collect();
        assert!(of(photograph).unwrap_err().to_string().contains("photographs"));
        // Red and blue on a grey micrograph.
        let painted = (0..200).map(|i| color(i, i, i)).chain([color(255, 0, 0), color(0, 0, 255)]).collect();
        let FoundLabels::Colors { classes, other } = of(painted).unwrap() else { panic!() };
        assert_eq!((classes.len(), other.map(|share| (share * 1000.0).round())), (2, Some(200.0)));
        let FoundLabels::Colors { classes, .. } = of(vec![color(255, 0, 0), color(0, 0, 0)]).unwrap() else { panic!() };
        assert_eq!(classes[0].color, Color([0; 3]));
    }
}
