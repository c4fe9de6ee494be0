use super::*;
use crate::train::optimizer::Optimizer;
use candle_core::{DType, Device, Tensor};
use matssl_tensor::{Gradients, Role};
use proptest::prelude::*;

const GIB: u64 = 1 << 30;
const SGD: OptimizerSpec = OptimizerSpec::sgd(0.1, 0.9, 0.0);
const ADAM: OptimizerSpec = OptimizerSpec::adam(0.1, 0.0);

fn needs() -> Needs {
    Needs {
        gpu: false,
        recomputes: false,
        work: Work::Pretraining,
        batch_size: 128,
        size: 256,
        loaded: GIB / 8,
        parameters: GIB / 8,
        trainable: GIB / 8,
        optimizer: Some(SGD),
        accumulates: false,
        averages: false,
        keeps_best: false,
        batch: GIB / 10,
        activations: 8 * GIB,
        between_steps: 0,
    }
}

fn room(bytes: u64, bound: Bound) -> Room {
    Room { bytes, bound }
}

#[test]
fn a_training_that_cannot_fit_is_rejected_with_the_numbers_and_the_remedy() {
    let refused = |needs: &Needs, bytes, bound| needs.fits(room(bytes, bound)).unwrap_err().to_string();
    assert_eq!(
        refused(&needs(), 5 * GIB + GIB / 5, Bound::Machine),
        "the training needs about 9.3 GiB of memory (activations 8.0 GiB for a batch of 128 pairs of views at 256 × 256, \
         weights 128.0 MiB, gradients 128.0 MiB, optimiser 128.0 MiB, prefetched batches 512.0 MiB, copies for \
         checkpoints 256.0 MiB, already loaded 128.0 MiB, workspace 48.0 MiB), and 5.2 GiB are free: a batch of 63 \
         would need about 5.0 GiB; use `batch_size = 63` (it counts pairs), `recompute = true`, a smaller `crop_size` \
         or an encoder of smaller `width`, or more memory (MATSSL_MEMORY_LIMIT overrides the detected limit)"
    );
    let text = refused(&needs(), GIB / 2, Bound::User);
    assert!(
        text.ends_with(
            "and MATSSL_MEMORY_LIMIT allows 512.0 MiB: even a batch of 2 would need about 952.0 MiB; use \
         `recompute = true`, a smaller `crop_size` or an encoder of smaller `width`"
        ),
        "{text}"
    );
    let finetuning = Needs { work: Work::Finetuning, batch_size: 1, ..needs() };
    let text = refused(&finetuning, GIB, Bound::ControlGroup);
    assert!(text.contains("a batch of 1 crops at 256 × 256"), "{text}");
    assert!(
        text.contains("the memory limit of this job or container leaves 1.0 GiB: use `recompute = true`, a smaller"),
        "{text}"
    );
    let prediction = Needs { work: Work::Prediction, optimizer: None, ..needs() };
    let text = refused(&prediction, GIB, Bound::Machine);
    assert!(text.starts_with("the prediction needs about 8.4 GiB"), "{text}");
    assert!(!text.contains("gradients") && !text.contains("optimiser") && !text.contains("checkpoints"), "{text}");
    assert!(text.contains("are free: use a model that was trained with"), "{text}");
}

#[test]
fn every_part_is_counted_once() {
    let small = || Needs { keeps_best: true, optimizer: Some(ADAM), parameters: 110, trainable: 100, ..needs() };
    let estimate = small().estimate();
    assert_eq!(
        estimate,
        Estimate {
            loaded: GIB / 8,
            workspace: WORKSPACE,
            parameters: 110,
            gradients: 100,
            optimizer_state: 200,
            activations: 8 * GIB,
            batches: BATCHES_HELD * (GIB / 10),
            // The best epoch's; and a checkpoint of parameters, moments and the best epoch's.
            copies: 110 + (110 + 200 + 110),
        }
    );
    let more = Needs { accumulates: true, averages: true, ..small() }.estimate();
    assert_eq!((more.gradients, more.parameters, more.copies), (200, 210, 630), "and a checkpoint of the averages");
    assert_eq!(estimate.total(), WORKSPACE + GIB / 8 + 110 + 100 + 200 + 8 * GIB + BATCHES_HELD * (GIB / 10) + 530);
}

/// The estimated bytes of parameters and optimiser equal those of the objects.
#[test]
fn parameters_and_optimiser_state_are_as_large_as_the_real_ones() {
    let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    parameters.insert("w", zeros(&[3, 5], DType::F32), Role::LinearWeight).unwrap();
    parameters.insert("b", zeros(&[7], DType::F32), Role::Bias).unwrap();
    parameters.insert("count", zeros(&[], DType::I64), Role::Buffer).unwrap();
    let (all, trainable) = parameter_bytes(&parameters);
    assert_eq!((all, trainable), (22 * 4 + 8, 22 * 4));
    let lars: OptimizerSpec = toml::from_str("name = 'lars'\nlearning_rate = 1\nweight_decay = 1").unwrap();
    let adamw: OptimizerSpec = toml::from_str("name = 'adamw'\nlearning_rate = 1").unwrap();
    for spec in [SGD, OptimizerSpec::sgd(0.1, 0.0, 0.0), ADAM, lars, adamw] {
        let mut optimizer = Optimizer::new(spec);
        let mut gradients = Gradients::new();
        for (name, parameter) in parameters.trainable() {
            gradients.add(name, parameter.var.as_tensor().ones_like().unwrap()).unwrap();
        }
        optimizer.step(&parameters, &gradients, 0.1, 1.0).unwrap();
        let held: usize = optimizer.state().map(|(_, t)| t.elem_count() * t.dtype().size_in_bytes()).sum();
        assert_eq!(held as u64, spec.state_copies() * trainable, "{spec:?}");
    }
}

proptest! {
    /// The recommended batch fits, the next larger one does not, and a batch that fits is never rejected.
    #[test]
    fn the_recommended_batch_is_the_largest_that_fits(
        batch_size in 1u64..300,
        activations in 1u64..1 << 40,
        batch in 0u64..1 << 34,
        fixed in 0u64..1 << 34,
        between_steps in 0u64..1 << 36,
        bytes in 1u64..1 << 41,
        pretraining: bool,
    ) {
        let work = if pretraining { Work::Pretraining } else { Work::Finetuning };
        let needs =
            Needs { work, batch_size, activations, batch, parameters: fixed, trainable: fixed, between_steps, ..needs() };
        let total = |batch| needs.at(batch).total();
        match needs.fits(room(bytes, Bound::Machine)) {
            Ok(()) => prop_assert!(needs.estimate().total() <= bytes),
            Err(error) => {
                prop_assert!(needs.estimate().total() > bytes);
                let bytes = bytes.saturating_sub(headroom(bytes));
                match error.cure {
                    Cure::Batch { fits, total: named } => {
                        prop_assert!(fits < batch_size && total(fits) <= bytes && total(fits + 1) > bytes);
                        prop_assert_eq!(named, total(fits));
                    }
                    Cure::NoBatch { least, total: named } => {
                        prop_assert!(named > bytes && named == total(least) && least < batch_size);
                    }
                    Cure::OtherThanBatch => prop_assert!(batch_size <= 2),
                }
            }
        }
    }

    /// Activations of twice the batch are twice those of the batch.
    #[test]
    fn activations_grow_with_the_batch(activations in 0u64..1 << 50, batch_size in 1u64..1000) {
        let needs = Needs { activations, batch_size, ..needs() };
        prop_assert_eq!(needs.at(2 * batch_size).activations, 2 * activations);
        prop_assert_eq!(needs.at(batch_size).activations, activations);
        prop_assert_eq!(needs.at(0).activations, 0);
    }
}

#[test]
fn the_memory_decides_on_a_power_of_two_in_half_of_the_room() {
    let needs = Needs { batch_size: 256, activations: 16 * GIB, batch: GIB / 5, ..needs() };
    let chosen = |bytes| needs.automatic_batch(Some(room(bytes, Bound::User))).map_err(|error| error.to_string());
    assert_eq!(needs.automatic_batch(None).unwrap(), 256);
    assert_eq!(chosen(1000 * GIB), Ok(256));
    for batch in [2, 32, 256] {
        let total = needs.at(batch).total();
        assert_eq!(chosen(2 * total), Ok(batch));
        assert_eq!(chosen(2 * total - 1), Ok((batch / 2).max(2)));
    }
    // The smallest may have all of it.
    let least = needs.at(2).total();
    assert_eq!(chosen(least), Ok(2));
    let refused = chosen(least - 1).unwrap_err();
    assert!(
        refused.contains("for a batch of 256 pairs") && refused.contains("even a batch of 2 would need"),
        "{refused}"
    );
}
