use super::*;
use crate::nn::SegmentationConfig;
use crate::nn::ops::gpu::pretend;
use crate::stage::pretraining::tests::{close, doubles};
use candle_core::DType;

/// An image of noise and a mask with three classes and ignored pixels.
fn sample(index: u64, width: usize, height: usize, channels: usize) -> (Micrograph, Mask) {
    let mut stream = Stream::new(index, "segmentation test", 0, 0);
    let pixels = (0..width * height * channels).map(|_| stream.next_u32() as u8).collect();
    let labels = (0..width * height).map(|_| [0, 1, 2, IGNORE][stream.below(4) as usize]).collect();
    (Micrograph { width, height, channels, pixels }, Mask { width, height, labels })
}

/// A task in float64, so that only faults make large differences. `channels` are those of three images.
fn task(augment: &FinetuneAugment, channels: [usize; 3], in_channels: usize) -> Segmentation {
    let text = format!(
        r#"{{"encoder":{{"arch":"resnet18","width":4,"in_channels":{in_channels}}},"decoder_channels":[8,8,4,4,4],"classes":3}}"#
    );
    let network = SegmentationNetwork::new(serde_json::from_str::<SegmentationConfig>(&text).unwrap());
    let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
    network.init(&mut parameters, &Stream::new(1, "segmentation test", 0, 9)).unwrap();
    let samples = (0..).zip(channels).map(|(i, channels)| sample(i, 50, 41, channels)).collect();
    Segmentation {
        parameters,
        network,
        rate_factors: Default::default(),
        freeze_epochs: 0,
        loss: LossSpec::default(),
        class_weights: None,
        samples: Arc::new(samples),
        augment: FinetuneAugment { crop_size: Some(32), ..augment.clone() },
        rare: None,
        batch_size: 4,
        // Batches of 4 and 5 crops, because a single crop joins the previous batch.
        crops_per_epoch: 9,
        seed: 5,
        class_names: ["a", "b", "c"].map(str::to_owned).into(),
        validation: Validation {
            samples: vec![sample(7, 70, 45, channels[0]), sample(8, 33, 90, channels[2])],
            ignore_classes: Vec::new(),
            every: 1,
            epochs: 1,
            overlap: 0.5,
            selects: true,
        },
    }
}

/// The images, masks, losses and gradients of all steps of two epochs, and the validation.
fn epoch(augment: &FinetuneAugment, channels: [usize; 3], in_channels: usize) -> Vec<(String, Vec<f64>)> {
    let mut task = task(augment, channels, in_channels);
    let mut found = Vec::new();
    for round in [0, 1] {
        for batch in task.batches(round, 0).unwrap() {
            let Crops { images, masks, stream, epoch } = batch.unwrap();
            let images = images.normalized(&task.parameters, normalization()).unwrap();
            found.push(("images".to_owned(), doubles(&images)));
            found.push(("masks".to_owned(), doubles(&masks)));
            let step = task.step(Crops { images: Images::Ready(images), masks, stream, epoch }).unwrap();
            found.push(("loss".to_owned(), vec![step.loss]));
            found.extend(step.gradients.iter().map(|(name, gradient)| (name.to_owned(), doubles(gradient))));
        }
    }
    let end = task.end_of_epoch(0).unwrap();
    found.push(("validation".to_owned(), end.values.into_iter().flatten().collect()));
    found
}

#[test]
fn batches_and_steps_on_a_gpu_equal_those_on_the_cpu() {
    // If augmentation keeps values, the CPU still multiplies by a contrast of 1, which rounds the last digits.
    for (augment, digits) in [(FinetuneAugment::default(), 0.0), (FinetuneAugment::none(), 1e-6)] {
        for (channels, in_channels) in [([1; 3], 3), ([3; 3], 3), ([1, 3, 1], 3), ([1; 3], 1), ([2; 3], 2)] {
            let Some(on_gpu) = pretend::on(|| epoch(&augment, channels, in_channels)) else { return };
            let on_cpu = epoch(&augment, channels, in_channels);
            assert_eq!(on_cpu.iter().filter(|(name, _)| name == "images").count(), 4);
            for ((name, cpu), (other, gpu)) in on_cpu.iter().zip(&on_gpu) {
                let limit = if matches!(name.as_str(), "images" | "masks") { digits } else { 1e-9 + 1e3 * digits };
                assert!(name == other && close(cpu, gpu, limit), "{name} of {channels:?}, {augment:?}");
            }
            assert_eq!(on_cpu.len(), on_gpu.len());
        }
    }
}

#[test]
fn several_channels_are_trained_on_and_validated() {
    let mut task = task(&FinetuneAugment::default(), [5; 3], 5);
    let batch = task.batches(0, 0).unwrap().next().unwrap().unwrap();
    let step = task.step(batch).unwrap();
    assert!(step.loss.is_finite());
    assert_eq!(step.gradients.get("encoder.conv1.weight").unwrap().dims(), [7, 7, 5, 4]);
    assert!(task.end_of_epoch(0).unwrap().values.into_iter().flatten().all(f64::is_finite));
    let needs = task.memory(OptimizerSpec::adam(1e-3, 0.0)).unwrap();
    assert_eq!(needs.batch, 4 * 32 * 32 * (5 * 4 + 1));
}

#[test]
fn a_class_that_no_validation_image_has_does_not_count() {
    let mut predicted = 0;
    for absent in 0..3usize {
        let mut task = task(&FinetuneAugment::default(), [1; 3], 3);
        for (_, mask) in &mut task.validation.samples {
            let other = (absent as u8 + 1) % 3;
            mask.labels.iter_mut().filter(|label| usize::from(**label) == absent).for_each(|label| *label = other);
        }
        // val_loss, val_miou, and the IoU of each class.
        let values = task.end_of_epoch(0).unwrap().values;
        predicted += usize::from(values[2 + absent] == Some(0.0));
        let present = (0..3).filter(|class| *class != absent).map(|class| values[2 + class].unwrap());
        assert_eq!(values[1], Some(present.sum::<f64>() / 2.0), "{values:?}");
    }
    assert!(predicted > 0, "some class that is absent is predicted");
}

/// The numbers of a step follow from its epoch and its place in it, wherever a training is resumed.
#[test]
fn a_resumed_epoch_draws_as_if_it_had_not_stopped() {
    let task = task(&FinetuneAugment::default(), [1, 1, 1], 3);
    let drawn = |epoch: u64, from: u64| -> Vec<u64> {
        task.batches(epoch, from).unwrap().map(|batch| batch.unwrap().stream.next_u64()).collect()
    };
    let whole = drawn(1, 0);
    assert!(whole.len() > 1 && drawn(1, 1) == whole[1..] && drawn(0, 0) != whole);
}

/// Epochs that do not end with a round over the images go on with it: nothing is drawn twice or left out.
#[test]
fn crops_go_on_from_one_epoch_to_the_next() {
    let drawn = |crops_per_epoch: usize, epochs: u64| -> Vec<Vec<f64>> {
        let task = Segmentation { crops_per_epoch, ..task(&FinetuneAugment::default(), [1, 1, 1], 3) };
        let batches = (0..epochs).flat_map(|epoch| task.batches(epoch, 0).unwrap());
        let images = batches.map(|batch| batch.unwrap().images.normalized(&task.parameters, normalization()).unwrap());
        images.map(|images| doubles(&images)).collect()
    };
    let whole = drawn(12, 1);
    assert!(whole.len() == 3 && whole == drawn(4, 3));
}
