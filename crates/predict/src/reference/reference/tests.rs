use super::*;
use matssl_metrics::CalibrationSample;

fn grey(mean: f64) -> Vec<GreyStatistics> {
    vec![GreyStatistics { mean, contrast: 20.0 + mean / 100.0, dark: mean - 40.0, bright: mean + 40.0, noise: 3.0 }]
}

fn known(image: &str, mean: f64, embeddings: &[f32]) -> KnownImage {
    KnownImage { image: image.into(), statistics: grey(mean), embeddings: embeddings.into() }
}

fn reference() -> Reference {
    let training = vec![
        known("a.png", 80.0, &[1.0, 0.0, 0.9, 0.1]),
        known("b.png", 100.0, &[0.8, 0.2]),
        known("c.png", 131.0, &[0.9, 0.2]),
    ];
    let mut confusion = Confusion::new(2);
    confusion.add(&[0, 0, 0, 1], &[0, 0, 1, 1], None).unwrap();
    let validation = vec![(known("d.png", 105.0, &[0.7, 0.3]), confusion)];
    let mut sample = CalibrationSample::new(2, None);
    sample.add(&[0.9, 0.1, 0.8, 0.2, 0.7, 0.3].repeat(500), &[0, 0, 1].repeat(500));
    Reference::new(vec!["x".into(), "y".into()], &[], training, validation, sample.fit(), (32, 2))
}

#[test]
fn known_images_are_usual_and_others_are_described() {
    let reference = reference();
    for (mean, embedding) in [(80.0, [1.0, 0.0]), (131.0, [0.9, 0.2]), (105.0, [0.7, 0.3]), (100.0, [0.8, 0.2])] {
        assert_eq!(reference.judge(&grey(mean), Some(&embedding), false), [""; 0], "{mean}");
    }
    // n = 4, mean 104, s = 20.9921; t capped at 10: 104 ± 234.7. A narrower statistic: contrast.
    let bright = [GreyStatistics { contrast: 60.0, ..grey(130.0)[0] }];
    let [sentence] = &reference.judge(&bright, None, false)[..] else { panic!("one sentence") };
    assert!(
        sentence.starts_with("contrast (standard deviation of the grey levels) 60.0: the 4 training and validation images have 20.8 to 21.3, and "),
        "{sentence}"
    );
    let [sentence] = &reference.judge(&grey(100.0), Some(&[0.0, 1.0]), false)[..] else { panic!("one sentence") };
    assert!(sentence.starts_with("its features are ") && sentence.contains(" times as far from the training patches"));
    assert!(sentence.ends_with(" as those of the most unusual training or validation image"), "{sentence}");
    // The noise of a scaled image is not judged; all else is.
    let noisy = [GreyStatistics { noise: 9.0, ..grey(100.0)[0] }];
    assert!(reference.judge(&noisy, None, false)[0].starts_with("noise (standard deviation in grey levels) 9.0: "));
    assert_eq!(reference.judge(&noisy, None, true), [""; 0]);
    assert_eq!(reference.judge(&bright, None, true), reference.judge(&bright, None, false));
    // An embedding of another network is not compared.
    assert_eq!(reference.judge(&grey(100.0), Some(&[0.0, 1.0, 0.0]), false), [""; 0]);
    let rule = reference.rule();
    assert!(rule.contains("of the 3 training and 1 validation images, widened"), "{rule}");
    assert!(rule.contains("the farthest of 4 training and validation images is at "), "{rule}");
    let scores = reference.scores.as_ref().unwrap();
    assert_eq!((scores.images, scores.pixel_accuracy, &scores.iou), (1, Some(0.75), &vec![Some(2.0 / 3.0), Some(0.5)]));
}

#[test]
fn many_training_images_narrow_the_range() {
    let training = (0..20).map(|i| known(&format!("{i}.png"), 100.0 + f64::from(i % 5), &[1.0, 0.0])).collect();
    let reference = Reference::new(vec!["x".into()], &[], training, Vec::new(), None, (32, 2));
    assert_eq!(reference.judge(&grey(107.0), None, false), [""; 0]);
    let found = reference.judge(&grey(212.0), None, false);
    assert_eq!(found.len(), 3, "mean, dark and bright: {found:?}");
    assert_eq!(
        found[0],
        "mean grey level 212: the 20 training and validation images have 100 to 104, and 96.2 to 108 would be usual"
    );
    assert_eq!(reference.scores, None);
}

#[test]
fn a_file_is_read_back_and_damage_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(Reference::FILE);
    let reference = reference();
    assert!(reference.calibration.is_some());
    reference.write(&path).unwrap();
    assert_eq!(Reference::read(&path).unwrap(), reference);
    let whole = std::fs::read(&path).unwrap();
    reference.write(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    for length in (0..whole.len()).step_by(31) {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Reference::read(&path).unwrap_err().to_string();
        assert!(error.contains("reference.safetensors: ") && error.contains("the file is damaged"), "{error}");
    }
    // No flipped bit makes it panic.
    for at in (0..whole.len()).step_by(5) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&path, &changed).unwrap();
        let _ = Reference::read(&path);
    }
    let refused = |change: &dyn Fn(&mut Reference), expected: &str| {
        let mut other = reference.clone();
        change(&mut other);
        other.write(&path).unwrap();
        let error = Reference::read(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&|other| other.format_version = 2, "format version 2, newer than 1; use a newer matssl-run");
    refused(&|other| other.embeddings[1] = f32::NAN, "embeddings that are no numbers");
    refused(&|other| other.training[0].patches = 7, "9 patches, but 8 embedded values");
    refused(&|other| other.classes.truncate(1), "the matrix of d.png has 2 classes, not 1");
    refused(
        &|other| other.calibration.as_mut().unwrap().temperature = 0.0,
        "a temperature of 0, out of 0.05 to 20; the file is damaged",
    );
    assert!(Reference::read(&folder.path().join("gone")).unwrap_err().to_string().contains("run the training again"));
}
