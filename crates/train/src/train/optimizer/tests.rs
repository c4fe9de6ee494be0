use super::{Optimizer, OptimizerSpec};
use crate::train::norm::gradient_norm;
use candle_core::{DType, Device, Tensor};
use matssl_base::random::Stream;
use matssl_tensor::{Gradients, Parameters, Role, ops::gpu};

/// The values of `weight`, `norm` and `bias`, one after the other.
const STARTS: [f64; 6] = [0.5, -1.25, 2.0, 1.0, 0.75, -0.75];

fn spec(text: &str) -> OptimizerSpec {
    toml::from_str(&format!("learning_rate = 0.1\n{text}")).unwrap()
}

fn f64s(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

/// Five steps as in reference.py; a parameter without a gradient does not change. `norm` has none in the first `late` steps.
fn five_steps(spec: OptimizerSpec, starts: [f64; 6], dtype: DType, late: usize) -> Vec<f64> {
    let parts = [("weight", Role::LinearWeight, 0..3), ("norm", Role::NormWeight, 3..5), ("bias", Role::Bias, 5..6)];
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    let tensor = |values: &[f64]| Tensor::new(values, &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
    for (name, role, at) in parts.clone() {
        parameters.insert(name, tensor(&starts[at]), role).unwrap();
    }
    parameters.insert("still", tensor(&[3.0]), Role::Bias).unwrap();
    let mut optimizer = Optimizer::new(spec);
    let known = |name: &str, step: usize| name != "norm" || step >= late;
    for (step, learning_rate) in [0.1, 0.05, 0.02, 0.1, 0.03].into_iter().enumerate() {
        let mut gradients = Gradients::new();
        for (name, _, at) in parts.clone().into_iter().rev().filter(|(name, ..)| known(name, step)) {
            let gradient: Vec<f64> = at.map(|i| 2.0 * ((step + i) as f64).sin()).collect();
            gradients.add(name, tensor(&gradient)).unwrap();
        }
        let scale = spec.clipping(gradient_norm(&gradients).unwrap());
        optimizer.step(&parameters, &gradients, learning_rate, scale).unwrap();
        // As from a checkpoint.
        let state = optimizer.state().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
        let steps = optimizer.steps();
        optimizer = Optimizer::new(spec);
        optimizer.restore(steps, state).unwrap();
    }
    assert_eq!(f64s(parameters.tensor("still").unwrap()), [3.0]);
    parts.iter().flat_map(|(name, ..)| f64s(parameters.tensor(name).unwrap())).collect()
}

/// Compares the CPU and the GPU with the output of reference.py.
fn check(text: &str, starts: [f64; 6], reference: [f64; 6]) {
    check_late(text, starts, 0, reference);
}

fn check_late(text: &str, starts: [f64; 6], late: usize, reference: [f64; 6]) {
    for (dtype, tolerance) in [(DType::F64, 1e-15), (DType::F32, 1e-6)] {
        let close = |side: &str, ours: Vec<f64>| {
            for ((ours, reference), start) in ours.iter().zip(reference).zip(starts) {
                // Relative to the larger of start and end: a value near 0 has the rounding error of where it started.
                let error = (ours - reference).abs() / reference.abs().max(start.abs());
                assert!(error <= tolerance, "{text} on the {side} in {dtype:?}: {ours} {reference}: off by {error:e}");
            }
        };
        close("CPU", five_steps(spec(text), starts, dtype, late));
        if late == 0 {
            gpu::pretend::on(|| five_steps(spec(text), starts, dtype, late))
                .into_iter()
                .for_each(|found| close("GPU", found));
        }
    }
}

/// A parameter that is trained from the third step on has corrections of its own, also after a checkpoint.
#[test]
fn a_parameter_that_starts_late_is_corrected_by_its_own_steps() {
    check_late(
        "name = 'adam'\nweight_decay = 0.03",
        STARTS,
        2,
        [
            0.25998068469104024,
            -1.4391849366194849,
            1.8977172940215075,
            1.1098862628969155,
            0.7043320530176759,
            -0.6361844807612833,
        ],
    );
    check_late(
        "name = 'adamw'",
        STARTS,
        2,
        [
            0.35957999758147663,
            -1.4386408533674275,
            1.8982320492534415,
            1.1095585255945202,
            0.7053145880364322,
            -0.6362453060436762,
        ],
    );
}

#[test]
fn sgd_equals_pytorch() {
    check(
        "name = 'sgd'\nweight_decay = 0.03",
        STARTS,
        [
            -0.03159164224718235,
            -1.7450200025095672,
            1.9142828654792494,
            1.4539820938266954,
            1.2905751484272743,
            -0.6078430540357702,
        ],
    );
    check(
        "name = 'sgd'\nmomentum = 0\nweight_decay = 0.03",
        STARTS,
        [
            0.3927254170666856,
            -1.2934576830027869,
            2.0257717509615354,
            1.0929359163799515,
            0.8096803273472752,
            -0.7734176692464642,
        ],
    );
    check(
        "name = 'sgd'\nweight_decay = 0.03\ndecay_norms_and_biases = false",
        STARTS,
        [
            -0.03159164224718235,
            -1.7450200025095672,
            1.9142828654792494,
            1.4761213675295357,
            1.3106449089011007,
            -0.6202858934245397,
        ],
    );
    check(
        "name = 'sgd'\nnesterov = true\nweight_decay = 0.03",
        STARTS,
        [
            -0.08410785830712061,
            -1.7348386533840887,
            1.951837071196921,
            1.5006397601425057,
            1.292183402592608,
            -0.6489839320226997,
        ],
    );
    check(
        "name = 'sgd'\nweight_decay = 0.03\nclip_norm = 3.48",
        STARTS,
        [
            -0.02797841470390536,
            -1.7399242367580965,
            1.9161761459073392,
            1.450932215637129,
            1.2853861555623045,
            -0.6104004254663563,
        ],
    );
}

#[test]
fn adam_and_adamw_equal_pytorch() {
    check(
        "name = 'adam'\nweight_decay = 0.03",
        STARTS,
        [
            0.25998068469104024,
            -1.4391849366194849,
            1.8977172940215075,
            1.029317033342832,
            0.9521659432131888,
            -0.6361844807612833,
        ],
    );
    check(
        "name = 'adam'\nbetas = [0.5, 0.9]\nepsilon = 1e-4\nweight_decay = 0.03\ndecay_norms_and_biases = false",
        STARTS,
        [
            0.2725709522532348,
            -1.3608449903789461,
            1.9723614373905582,
            1.0349662978576786,
            0.8809814085285755,
            -0.7163258995515044,
        ],
    );
    check(
        "name = 'adamw'",
        STARTS,
        [
            0.35957999758147663,
            -1.4386408533674275,
            1.8982320492534415,
            1.0291785850141795,
            0.9517485159350058,
            -0.6362453060436762,
        ],
    );
    check(
        "name = 'adamw'\nweight_decay = 0.3\ndecay_norms_and_biases = false",
        STARTS,
        [
            0.3204548891350127,
            -1.3248396833894711,
            1.7372044895187242,
            1.032064517071095,
            0.9543054770731257,
            -0.6382313206963945,
        ],
    );
    check(
        "name = 'adamw'\nclip_norm = 2.7",
        STARTS,
        [
            0.35929883629789383,
            -1.4383652227263348,
            1.8995741721630326,
            1.0292625145612913,
            0.9517946740277613,
            -0.6377033784170911,
        ],
    );
}

#[test]
fn lars_equals_lightly() {
    check(
        "name = 'lars'\nweight_decay = 0.03\ndecay_norms_and_biases = true",
        STARTS,
        [
            0.49948811944461763,
            -1.2504705436536578,
            1.9999247020336017,
            1.0002570892463811,
            0.7503314343429263,
            -0.749893227963276,
        ],
    );
    check(
        "name = 'lars'\nweight_decay = 0.03",
        STARTS,
        [
            0.49948811944461763,
            -1.2504705436536578,
            1.9999247020336017,
            1.4761213675295357,
            1.3106449089011007,
            -0.6202858934245397,
        ],
    );
    check(
        "name = 'lars'\nmomentum = 0.8\nnesterov = true\ntrust_coefficient = 0.02\nepsilon = 1e-3\nweight_decay = 0.03",
        STARTS,
        [
            0.49086398355151056,
            -1.2567467571564637,
            2.000073187002368,
            1.436241832653454,
            1.1780479677797768,
            -0.7236912246262849,
        ],
    );
    check(
        "name = 'lars'\nweight_decay = 0.03\nclip_norm = 2.7",
        STARTS,
        [
            0.49948927978491886,
            -1.2504592735219757,
            1.9999138967656729,
            1.3734528694890307,
            1.1821580763478479,
            -0.6564608591884674,
        ],
    );
    // A parameter that is 0 is not adapted.
    check(
        "name = 'lars'\nweight_decay = 0.03\ndecay_norms_and_biases = true",
        [0.0, 0.0, 0.0, 1.0, 0.75, 0.0],
        [
            -6.050449069449756e-05,
            -0.42709376137675564,
            -0.46145898369682165,
            1.0002570892463811,
            0.7503314343429263,
            0.4866593803547797,
        ],
    );
}

/// As in lightly: without a gradient LARS does not apply weight decay, and its velocity decays to 0.
#[test]
fn lars_does_not_change_parameters_without_gradient() {
    let run = || {
        let start = Tensor::new(&[1.0f64, 2.0], &Device::Cpu).unwrap();
        let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
        parameters.insert("w", start.clone(), Role::LinearWeight).unwrap();
        let mut gradients = Gradients::new();
        gradients.add("w", start.zeros_like().unwrap()).unwrap();
        Optimizer::new(spec("name = 'lars'\nweight_decay = 0.5")).step(&parameters, &gradients, 0.1, 1.0).unwrap();
        assert_eq!(f64s(parameters.tensor("w").unwrap()), [1.0, 2.0]);
    };
    run();
    gpu::pretend::on(run);
}

/// Large tensors that are split into many tasks, and one of a few elements.
fn large(spec: OptimizerSpec, dtype: DType, scale: f64) -> Vec<f64> {
    let mut stream = Stream::new(1, "optimiser test", 0, 0);
    let mut normal = |count: usize| {
        let values: Vec<f64> = (0..count).map(|_| stream.normal()).collect();
        Tensor::from_vec(values, count, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    };
    let mut parameters = Parameters::new(dtype, &Device::Cpu);
    let names = [("w", 100_003, Role::ConvWeight), ("b", 5, Role::Bias), ("v", 70_000, Role::LinearWeight)];
    for (name, count, role) in names {
        parameters.insert(name, normal(count), role).unwrap();
    }
    let mut optimizer = Optimizer::new(spec);
    for _ in 0..3 {
        let mut gradients = Gradients::new();
        names.iter().for_each(|(name, count, _)| gradients.add(name, normal(*count)).unwrap());
        optimizer.step(&parameters, &gradients, 0.1, scale).unwrap();
    }
    names.iter().flat_map(|(name, ..)| f64s(parameters.tensor(name).unwrap())).collect()
}

const EACH: [&str; 4] = [
    "name = 'sgd'\nnesterov = true\nweight_decay = 0.1",
    "name = 'adam'\nweight_decay = 0.1",
    "name = 'adamw'\nweight_decay = 0.1\ndecay_norms_and_biases = false",
    "name = 'lars'\nweight_decay = 0.1\ntrust_coefficient = 0.1",
];

#[test]
fn bits_are_the_same_for_any_number_of_threads() {
    for text in EACH {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| large(spec(text), DType::F32, 0.5))
        };
        assert!(with(1) == with(3), "{text}");
    }
}

#[test]
fn a_gpu_updates_large_tensors_as_the_cpu_does() {
    for text in EACH {
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 1e-5)] {
            let expected = large(spec(text), dtype, 0.5);
            let Some(found) = gpu::pretend::on(|| large(spec(text), dtype, 0.5)) else { return };
            let error = expected.iter().zip(&found).map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f64::max);
            assert!(error <= tolerance, "{text} {dtype:?}: {error:e}");
        }
    }
}

#[test]
fn the_scale_multiplies_the_gradients() {
    let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
    parameters.insert("w", Tensor::new(&[1.0f64, 2.0], &Device::Cpu).unwrap(), Role::LinearWeight).unwrap();
    let mut gradients = Gradients::new();
    gradients.add("w", Tensor::new(&[4.0f64, -8.0], &Device::Cpu).unwrap()).unwrap();
    let spec = spec("name = 'sgd'\nmomentum = 0\nweight_decay = 0.5");
    Optimizer::new(spec).step(&parameters, &gradients, 0.125, 0.25).unwrap();
    assert_eq!(f64s(parameters.tensor("w").unwrap()), [0.8125, 2.125]);
    let mut wrong = Gradients::new();
    wrong.add("w", Tensor::new(&[4.0f64], &Device::Cpu).unwrap()).unwrap();
    let error = Optimizer::new(spec).step(&parameters, &wrong, 0.125, 1.0).unwrap_err().to_string();
    assert_eq!(error, "gradient of w: [1], not [2]");
}

/// What has no GPU side is refused there, not trained otherwise.
#[test]
fn a_gpu_refuses_rates_by_layer_and_parameters_that_start_late() {
    let refused = |factor: Option<f64>, late: bool| {
        gpu::pretend::on(|| {
            let mut parameters = Parameters::new(DType::F32, &Device::Cpu);
            for name in ["a", "b"] {
                parameters.insert(name, Tensor::new(&[0.5f32], &Device::Cpu).unwrap(), Role::LinearWeight).unwrap();
            }
            let gradients = |names: &[&str]| {
                let mut gradients = Gradients::new();
                names.iter().for_each(|name| gradients.add(name, Tensor::new(&[1f32], &Device::Cpu).unwrap()).unwrap());
                gradients
            };
            let factors = factor.map(|factor| ("a".to_owned(), factor)).into_iter().collect();
            let mut optimizer = Optimizer::new(spec("name = 'adam'")).with_factors(factors);
            let first: &[&str] = if late { &["a"] } else { &["a", "b"] };
            [first, &["a", "b"]]
                .into_iter()
                .find_map(|names| optimizer.step(&parameters, &gradients(names), 0.1, 1.0).err())
                .map(|error| error.to_string())
        })
    };
    let Some(none) = refused(None, false) else { return };
    assert_eq!(none, None);
    let expected = "learning rates that differ between layers have no GPU side yet";
    assert_eq!(refused(Some(0.5), false).flatten().as_deref(), Some(expected));
    let expected = "parameters that are trained from a later step on have no GPU side yet";
    assert_eq!(refused(None, true).flatten().as_deref(), Some(expected));
}

/// A parameter with a factor moves as one with that part of the learning rate; weight decay too.
#[test]
fn factors_multiply_the_learning_rate_of_a_parameter() {
    for text in ["name = 'sgd'\nweight_decay = 0.03", "name = 'adamw'", "name = 'lars'\nweight_decay = 0.1"] {
        let stepped = |factor: Option<f64>, learning_rate: f64| {
            let mut parameters = Parameters::new(DType::F64, &Device::Cpu);
            let mut gradients = Gradients::new();
            for name in ["a", "b"] {
                parameters.insert(name, Tensor::new(&[0.5, -1.25], &Device::Cpu).unwrap(), Role::LinearWeight).unwrap();
                gradients.add(name, Tensor::new(&[0.3, 0.7], &Device::Cpu).unwrap()).unwrap();
            }
            let factors = factor.map(|factor| ("a".to_owned(), factor)).into_iter().collect();
            let mut optimizer = Optimizer::new(spec(text)).with_factors(factors);
            for _ in 0..2 {
                optimizer.step(&parameters, &gradients, learning_rate, 1.0).unwrap();
            }
            ["a", "b"].map(|name| f64s(parameters.tensor(name).unwrap()))
        };
        let ([a, b], [whole, _], [half, _]) = (stepped(Some(0.5), 0.2), stepped(None, 0.2), stepped(None, 0.1));
        assert!(a == half && b == whole && a != b, "{text}");
    }
}
