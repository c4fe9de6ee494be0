//! The kind of processor: results are equal to the bit only on one kind.

use std::fs;
use std::sync::OnceLock;

/// The kind of processor, e.g. `AMD EPYC 9R14 (family 25, model 17)`; the architecture if the system does not say.
pub fn cpu_model() -> String {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| model_in(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default())).clone()
}

fn model_in(info: &str) -> String {
    let field = |name: &str| {
        let mut fields = info.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.trim_end() == name).map(|(_, value)| value.trim().to_owned())
    };
    match (field("model name"), field("cpu family"), field("model")) {
        (Some(name), Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        (Some(name), ..) => name,
        _ => std::env::consts::ARCH.to_owned(),
    }
}

/// Vector instructions of this processor, as far as our kernels or the matrix products choose by them at run time. Two
/// processors that differ in them may give results that differ in the last bits.
pub fn vector_features() -> Vec<String> {
    #[cfg(target_arch = "x86_64")]
    let known = {
        macro_rules! known {
            ($($name:tt),*) => { [$(($name, std::arch::is_x86_feature_detected!($name))),*] };
        }
        known!("avx", "avx2", "fma", "f16c", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx512vnni")
    };
    #[cfg(target_arch = "aarch64")]
    let known = {
        use std::arch::is_aarch64_feature_detected;
        [
            ("neon", is_aarch64_feature_detected!("neon")),
            ("fp16", is_aarch64_feature_detected!("fp16")),
            ("sve", is_aarch64_feature_detected!("sve")),
        ]
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let known: [(&str, bool); 0] = [];
    known.iter().filter(|(_, there)| *there).map(|(name, _)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_by_what_the_system_says() {
        let info = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9R14: x\nprocessor\t: 1\nmodel\t\t: 3\n";
        assert_eq!(model_in(info), "AMD EPYC 9R14: x (family 25, model 17)");
        assert_eq!(model_in("model name\t: Some Arm\n"), "Some Arm");
        assert_eq!(model_in(""), std::env::consts::ARCH);
    }

    /// The system's list and the processor's own agree where both exist.
    #[test]
    fn features_are_those_the_system_lists() {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let Some(flags) = info.lines().find(|line| line.starts_with("flags")) else { return };
        let flags: Vec<&str> = flags.split_whitespace().collect();
        for feature in vector_features() {
            let name = if feature == "avx512vnni" { "avx512_vnni" } else { &feature };
            assert!(flags.contains(&name), "{feature}");
        }
        assert_eq!(flags.contains(&"avx2"), vector_features().iter().any(|feature| feature == "avx2"));
    }
}
