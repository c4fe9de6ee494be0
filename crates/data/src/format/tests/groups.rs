//! Format `folder`: images of one specimen are in one split.

use super::*;
use proptest::prelude::*;

/// `sizes[i]` pairs of specimen `i`, and one unlabelled image of each.
fn specimens(sizes: &[usize]) -> (TempDir, DatasetParams) {
    let root = tempfile::tempdir().unwrap();
    for (i, &size) in sizes.iter().enumerate() {
        for j in 0..=size {
            grey(root.path(), &format!("images/steel{i}_{j}.png"), (4, 2), i as u8, 100 + j as u8);
            if j < size {
                grey(root.path(), &format!("masks/steel{i}_{j}.png"), (4, 2), 0, 1);
            }
        }
    }
    let mut params = folder(&["matrix", "pore"]);
    params.group = Some("^(.+)_".into());
    (root, params)
}

fn specimens_of(manifest: &Manifest, split: Split) -> std::collections::BTreeSet<&str> {
    let entries = manifest.entries(split);
    for entry in &entries {
        assert_eq!(entry.specimen.as_deref(), Some(entry.stem().split_once('_').unwrap().0), "the specimen is noted");
    }
    entries.iter().map(|entry| entry.stem().split_once('_').unwrap().0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn drawn_splits_take_whole_specimens_and_leave_their_unlabelled_images_out(
        sizes in prop::collection::vec(1usize..4, 4..7), seed in 0u64..50,
    ) {
        let (root, mut params) = specimens(&sizes);
        params.split = split(1.0, 2.0, seed);
        let Ok(manifest) = read(&params, root.path()) else {
            // One specimen may have most of the few images. Then the reason is given.
            prop_assert!(message(&params, root.path()).contains("specimens cannot be split into some train"));
            return Ok(());
        };
        let [train, val, test, unlabeled] = [Split::Train, Split::Val, Split::Test, Split::Unlabeled]
            .map(|split| specimens_of(&manifest, split));
        prop_assert!(!train.is_empty() && !val.is_empty() && !test.is_empty());
        prop_assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
        prop_assert_eq!(&unlabeled, &train);
        prop_assert_eq!(manifest.entries(Split::Train).len() + manifest.entries(Split::Val).len()
            + manifest.entries(Split::Test).len(), sizes.iter().sum::<usize>());
        prop_assert!((1..=3).contains(&manifest.entries(Split::Test).len()));
    }
}

#[test]
fn lists_and_folders_that_split_a_specimen_are_refused() {
    let (root, mut params) = specimens(&[2, 2, 2]);
    params.test_images = Some(vec!["steel1_0".into(), "steel1_1".into()]);
    let manifest = read(&params, root.path()).unwrap();
    assert_eq!((by_split(&manifest), specimens_of(&manifest, Split::Test).len()), ([4, 0, 2, 2], 1));
    params.test_images = Some(vec!["steel1_0".into()]);
    assert_eq!(
        message(&params, root.path()),
        "images/steel1_1.png: shows the specimen steel1, as images/steel1_0.png does, which is named; name all images of a \
         specimen or none"
    );
    params.test_images = Some(vec!["steel1_0".into()]);
    params.val_images = Some(vec!["steel1_1".into()]);
    assert_eq!(
        message(&params, root.path()),
        "images/steel1_1.png: in the split val, shows the specimen steel1, as images/steel1_0.png does in the split test; \
         keep each specimen in one split"
    );
    params.val_images = None;
    params.test_images = None;
    params.group = Some("^specimen-[0-9]+".into());
    params.split = split(0.0, 2.0, 0);
    assert_eq!(
        message(&params, root.path()),
        "images/steel0_0.png: `group` (^specimen-[0-9]+) finds no specimen in its name; correct `group`, or rename the image"
    );

    let root = tempfile::tempdir().unwrap();
    for (i, name) in ["train/images/a_1", "test/images/a_2", "val/images/b_1"].iter().enumerate() {
        grey(root.path(), &format!("{name}.png"), (4, 2), i as u8, 9);
        grey(root.path(), &format!("{}.png", name.replace("images", "masks")), (4, 2), 0, 1);
    }
    params = folder(&["matrix", "pore"]);
    assert_eq!(by_split(&read(&params, root.path()).unwrap()), [1, 1, 1, 0]);
    params.group = Some("^[^_]+".into());
    assert!(message(&params, root.path()).contains("test/images/a_2.png: in the split test, shows the specimen a, as"));
}
