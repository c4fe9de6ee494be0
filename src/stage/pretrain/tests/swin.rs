//! Pretraining of a Swin transformer.

use super::*;

/// `TOY` with a Swin transformer that drops paths.
fn swin(toy: &str) -> String {
    toy.replace(
        "{ arch = 'resnet18', width = 4, weights = 'random' }",
        "{ arch = 'swin-tiny', width = 6, heads = 1, depths = [1, 2, 1, 1], window = 2, drop_path = 0.3, weights = 'random' }",
    )
    .replace("{ name = 'sgd', learning_rate = 0.1 }", "{ name = 'adamw', learning_rate = 1e-2 }")
}

/// Paths are dropped by the numbers of the step alone, so threads and kills change no bit.
#[test]
fn methods_are_bit_identical_for_any_number_of_threads_and_after_a_kill() {
    for toy in each_method().filter(|toy| ["simclr", "mocov2", "matssl"].iter().any(|name| toy.contains(name))) {
        let toy = swin(&toy);
        let with = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| run(&toy)).unwrap()
        };
        let output = with(1);
        assert!(with(3) == output, "{toy}");
        let folder = tempfile::tempdir().unwrap();
        let stage = parse::<Pretrain>(&toy).unwrap();
        let attempt = || context(folder.path(), "patches", &[(Patches::FILE, patches(folder.path()))]);
        let mut killed = attempt();
        killed.on_progress = Box::new(|progress| assert!(progress.done < 2, "killed"));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stage.run(&mut killed))).is_err());
        let mut resumed = attempt();
        stage.run(&mut resumed).unwrap();
        assert_eq!(resumed.telemetry["resumed_epochs"], 1);
        for (file, bytes) in &output {
            assert!(std::fs::read(resumed.out.join(file)).unwrap() == *bytes, "{file}: {toy}");
        }
        // Recomputation changes no bit either, though paths are dropped.
        let again = run(&format!("{toy}recompute = true\n")).unwrap();
        assert!(again == output, "{toy}");
    }
}

#[test]
fn what_does_not_fit_is_refused_before_work_starts() {
    let toy = swin(TOY);
    for (text, expected) in [
        (
            toy.replace("window = 2", "variant = 'v1'"),
            "`variant` is no option of swin-tiny, which has `width`, `depths`, `heads`",
        ),
        (
            TOY.replace("width = 4", "window = 7"),
            "`window` is no option of resnet18, which has `width`, `variant` and `in_channels`",
        ),
        (toy.replace("heads = 1", "heads = 4"), "heads = 4; expected a divisor of the width, 6"),
        (toy.replace("drop_path = 0.3", "drop_path = 1.5"), "drop_path = 1.5; expected 0 to below 1"),
        (format!("{}crop_size = 96\n", toy.replace("window = 2", "window = 7")), "choose multiples of 224 pixels"),
        (
            toy.replace(
                "arch = 'swin-tiny', width = 6, heads = 1, depths = [1, 2, 1, 1], window = 2, drop_path = 0.3",
                "arch = 'dinov2-small'",
            ),
            "dinov2-small has one map of features: pretraining needs an encoder with four stages",
        ),
    ] {
        let error = refused::<Pretrain>(&text);
        assert!(error.contains(expected), "{error}");
    }
    let stage = parse::<Pretrain>(&toy).unwrap();
    assert_eq!(stage.needs_cpu().as_deref(), Some("arch = \"swin-tiny\""));
    assert_eq!(parse::<Pretrain>(TOY).unwrap().needs_cpu(), None);
}

/// The JSON of a ResNet, and so its keys, are those of before there were other encoders.
#[test]
fn a_resnets_parameters_are_written_as_they_were() {
    let stage = serde_json::to_value(parse::<Pretrain>(TOY).unwrap()).unwrap();
    let expected = r#"{"arch":"resnet18","width":4,"variant":"v1.5","weights":"random","allow_missing":false}"#;
    assert_eq!(serde_json::to_string(&stage["encoder"]).unwrap(), sorted(expected));
    let stage = serde_json::to_value(parse::<Pretrain>(&swin(TOY)).unwrap()).unwrap();
    let expected = r#"{"arch":"swin-tiny","width":6,"depths":[1,2,1,1],"heads":1,"window":2,"drop_path":0.3,"mlp":"plain",
        "weights":"random","allow_missing":false}"#;
    assert_eq!(stage["encoder"], serde_json::from_str::<serde_json::Value>(expected).unwrap());
    let again: Pretrain = serde_json::from_value(stage.clone()).unwrap();
    assert_eq!(serde_json::to_value(again).unwrap(), stage);
}

/// A JSON object as `serde_json::Value` writes it.
fn sorted(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text).unwrap().to_string()
}
