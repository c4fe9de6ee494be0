//! `resize`: every image and mask at one size.

use super::*;
use crate::{OpenDataset, Root};

#[test]
fn images_and_masks_are_read_at_the_size_that_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    for i in 0..2 {
        grey(root.path(), &format!("images/s{i}.png"), (20, 10), 100, i);
        // The left half is class 1.
        fs::create_dir_all(root.path().join("masks")).unwrap();
        let mask = image::GrayImage::from_fn(20, 10, |x, _| image::Luma([u8::from(x < 10)]));
        mask.save(root.path().join(format!("masks/s{i}.png"))).unwrap();
    }
    let mut params = folder(&["matrix", "pore"]);
    params.split = split(0.0, 1.0, 0);
    let as_they_are = read(&params, root.path()).unwrap();
    assert!(as_they_are.images.iter().all(|entry| (entry.width, entry.height) == (20, 10)));
    params.resize = std::num::NonZeroUsize::new(8);
    assert_eq!(params.check(), Ok(()));
    let manifest = read(&params, root.path()).unwrap();
    let open = OpenDataset::new(manifest.clone(), Root::Folder(root.path().into()));
    for entry in &manifest.images {
        assert_eq!((entry.width, entry.height, entry.resized_from), (8, 8, Some((20, 10))));
        assert_eq!(entry.class_pixels, [32, 32]);
        let (image, mask) = open.read(entry).unwrap();
        let mask = mask.unwrap();
        assert_eq!((image.width, image.height, mask.width, mask.height), (8, 8, 8, 8));
        assert!(mask.labels.chunks(8).all(|row| row == [1, 1, 1, 1, 0, 0, 0, 0]));
    }
    params.resize = std::num::NonZeroUsize::new(4);
    assert_eq!(params.check().unwrap_err().param, "resize");
}
