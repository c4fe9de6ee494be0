//! The main job through the command line: what runs, what does not run again, and the results.

mod common;
use common::{Project, TOY};

#[test]
fn an_experiment_goes_from_nothing_to_reports_and_then_stays_cached() {
    let project = Project::new(TOY);
    let first = project.run(&["experiment.toml"]).ok();
    // 1 data set, 1 patches, 2 ssl, 4 segment, 4 test, 3 reports
    assert_eq!(first.ran(), 15, "{}", first.stderr);
    assert!(first.stdout.starts_with("A table") && first.stdout.contains("mIoU"), "{}", first.stdout);
    assert!(first.stdout.contains("majority"), "{}", first.stdout);
    let reports: Vec<String> = project.files("reports/toy").into_iter().map(|(name, _)| name).collect();
    for wanted in ["table.csv", "table.md", "curve.svg", "curve.png", "curve.csv"] {
        assert!(reports.iter().any(|name| name == wanted), "{wanted} is not among {reports:?}");
    }
    assert_eq!(reports.iter().filter(|name| name.starts_with("pictures/")).count(), 2, "{reports:?}");

    let again = project.run(&["experiment.toml"]).ok();
    assert_eq!((again.ran(), again.stdout), (0, first.stdout.clone()));

    project.edit(
        "kind = \"patchify\"\ndataset = \"micrographs\"\nsize = 32",
        "# a comment\nsize = 32\ndataset = \"micrographs\"\nkind = \"patchify\"",
    );
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0, "order and comments do not matter");

    project.edit("title = \"A table\"", "title = \"Another title\"");
    let titled = project.run(&["experiment.toml"]).ok();
    assert_eq!(titled.ran(), 1, "only the table may run for its title: {}", titled.stderr);
    assert!(titled.stdout.starts_with("Another title"), "{}", titled.stdout);

    let before = project.run(&["explain", "experiment.toml", "ssl"]).ok().stdout;
    assert!(before.contains("ssl@0 is cached") && before.contains("ssl@1 is cached"), "{before}");
    project.edit("temperature = 0.07", "temperature = 0.1");
    let explained = project.run(&["explain", "experiment.toml", "ssl@0"]).ok().stdout;
    assert!(explained.contains("method.temperature: 0.07 → 0.1"), "{explained}");
    let plan = project.run(&["plan", "experiment.toml"]).ok().stdout;
    assert!(plan.contains("2 to run"), "{plan}");
    let changed = project.run(&["experiment.toml"]).ok();
    // 2 ssl, 2 segment.matssl, 2 test.segment.matssl, 3 reports; the random side stays.
    assert_eq!(changed.ran(), 9, "{}", changed.stderr);
    assert!(!changed.stderr.contains("random@"), "{}", changed.stderr);

    project.edit("temperature = 0.1", "temperature = 0.07");
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0, "the old outputs are still there");
}

#[test]
fn plan_works_before_the_first_run_and_names_the_stages_that_others_wait_for() {
    let project = Project::new(TOY);
    let plan = project.run(&["plan", "experiment.toml"]).ok().stdout;
    assert!(plan.starts_with("toy: 15 stages, 1 to run, 14 waiting for these\n"), "{plan}");
    assert!(plan.contains("for patches"), "{plan}");
    let json: serde_json::Value =
        serde_json::from_str(&project.run(&["plan", "experiment.toml", "--json"]).ok().stdout).unwrap();
    let stages = json["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 15);
    let ssl = stages.iter().find(|stage| stage["stage"] == "ssl@1").unwrap();
    assert_eq!(ssl["params"]["method"]["temperature"], 0.07);
    assert_eq!(ssl["params"]["optimizer"]["momentum"], 0.9);
    let explained = project.run(&["explain", "experiment.toml", "micrographs"]).ok().stdout;
    assert_eq!(explained, "micrographs would run: no stage of this name has finished in this cache\n");
    // Nor where no cache can be made; a run needs one.
    project.run(&["plan", "experiment.toml", "--cache", "/proc/none"]).ok();
    let run = project.run(&["experiment.toml", "--cache", "/proc/none"]);
    assert!(run.code != Some(0) && run.stderr.contains("cannot make the cache folder /proc/none"), "{}", run.stderr);
}

#[test]
fn only_and_force_and_set_do_what_they_say() {
    let project = Project::new(TOY);
    assert_eq!(project.run(&["experiment.toml", "--only", "patches"]).ok().ran(), 2);
    assert_eq!(project.run(&["experiment.toml", "--only", "patches"]).ok().ran(), 0);
    let forced = project.run(&["experiment.toml", "--only", "patches", "--force", "micrographs"]).ok();
    // The forced stage leaves the same bytes, so what reads it does not run: early cutoff.
    assert_eq!(forced.ran(), 1, "{}", forced.stderr);
    let set = project.run(&["experiment.toml", "--only", "patches", "--set", "stages.patches.size=16"]).ok();
    assert_eq!(set.ran(), 1);
    let outside = project.run(&["experiment.toml", "--only", "patches", "--force", "ssl"]);
    assert_eq!(outside.code, Some(2));
    assert_eq!(outside.stderr, "error: --force: `ssl` is not among the stages that --only asks for\n");
    let wrong = project.run(&["experiment.toml", "--only", "patchs"]);
    assert_eq!(wrong.code, Some(2));
    assert_eq!(wrong.stderr, "error: --only: no stage is called `patchs`\nhelp: did you mean `patches`?\n");
}

#[test]
fn a_damaged_object_is_named_on_use_and_force_cures_it() {
    let project = Project::new(TOY);
    project.run(&["experiment.toml", "--only", "micrographs"]).ok();
    let outputs = project.outputs();
    let (_, name, digest) = outputs.iter().find(|(_, name, _)| name.ends_with(".png")).unwrap();
    let object = project.path(&format!("cache/objects/{}/{}", &digest[..2], &digest[2..]));
    let whole = std::fs::read(&object).unwrap();
    let mut torn = whole.clone();
    *torn.last_mut().unwrap() ^= 1;
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, torn).unwrap();
    let failed = project.run(&["experiment.toml", "--only", "patches"]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    assert!(failed.stderr.contains(name) && failed.stderr.contains("`--force micrographs`"), "{}", failed.stderr);
    project.run(&["experiment.toml", "--only", "patches", "--force", "micrographs"]).ok();
    assert_eq!(std::fs::read(&object).unwrap(), whole);
}

#[test]
fn results_do_not_depend_on_the_number_of_jobs() {
    let (one, many) = (Project::new(TOY), Project::new(TOY));
    one.run(&["experiment.toml", "--jobs", "1"]).ok();
    many.run(&["experiment.toml", "--jobs", "4"]).ok();
    assert_eq!(one.outputs(), many.outputs());
}

#[test]
fn a_missing_device_is_reported_before_anything_runs() {
    let project = Project::new(TOY);
    let done = project.run(&["experiment.toml", "--device", "cuda"]);
    assert_eq!(done.code, Some(4));
    assert!(done.stderr.contains("no CUDA"), "{}", done.stderr);
    assert!(!project.path("cache").exists());
}

#[test]
fn the_doctor_continues_after_a_failure_and_reports_each_step() {
    let project = Project::new("");
    let lines = |file: &str| {
        let report = std::fs::read_to_string(project.path(file)).unwrap();
        report.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect::<Vec<Vec<String>>>()
    };
    // The checks themselves, tried on a CPU.
    let done = project.run(&["doctor", "--gpu", "--device", "cpu", "--only", "context,launch", "--report", "cpu.tsv"]);
    assert_eq!(done.code, Some(0), "{}", done.stdout);
    let report = lines("cpu.tsv");
    assert_eq!(report[0][..2], ["context", "skipped"]);
    assert_eq!([&report[1][1], &report[1][3]], ["ok", "bit-identical to the CPU at all sizes"]);
    // A build without CUDA, or a machine without a GPU, cannot pass the first step.
    let done = project.run(&["doctor", "--gpu", "--only", "libraries,launch", "--report", "gpu.tsv"]);
    let report = lines("gpu.tsv");
    if report[0][1] != "ok" {
        assert_eq!(done.code, Some(4), "{}", done.stdout);
        assert_eq!(report[1][..2], ["launch", "skipped"]);
        assert!(done.stdout.contains("`libraries` failed"), "{}", done.stdout);
    }
    let wrong = project.run(&["doctor", "--gpu", "--only", "launch,nonsense"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("no step `nonsense`; its steps are libraries, context"), "{}", wrong.stderr);
    assert_eq!(project.run(&["doctor"]).code, Some(2));
}

#[test]
fn a_precision_that_needs_a_gpu_is_refused_before_anything_runs_and_is_part_of_the_key() {
    let half = TOY.replace("kind = \"pretrain\"", "kind = \"pretrain\"\nprecision = \"bf16\"");
    let project = Project::new(&half);
    for device in ["auto", "cpu"] {
        let done = project.run(&["experiment.toml", "--device", device]);
        assert_eq!(done.code, Some(4), "{}", done.stderr);
        assert!(done.stderr.contains("`precision = \"bf16\"` needs a GPU"), "{}", done.stderr);
        assert_eq!(std::fs::read_dir(project.path("cache/records")).unwrap().count(), 0);
    }
    let written = |text: &str| {
        let plan = Project::new(text).run(&["plan", "experiment.toml", "--json"]).stdout;
        plan.contains("\"precision\":") || plan.contains("\"precision\": ")
    };
    assert!(written(&half));
    // What it was before there was a choice keeps its key.
    assert!(!written(TOY) && !written(&half.replace("bf16", "float32")));
}

/// All of an experiment with a Swin transformer on the CPU, and none of it on a GPU; its encoder does not fit a U-Net++.
#[test]
fn a_transformer_runs_on_the_cpu_and_is_refused_elsewhere_before_anything_runs() {
    let swin = r#"{ arch = "swin-tiny", width = 6, heads = 1, depths = [1, 1, 1, 1], window = 2, weights = "random" }"#;
    let resnet = r#"{ arch = "resnet18", width = 8, weights = "random" }"#;
    let text = TOY.replace("seeds = [0, 1]", "seeds = [0]").replace(resnet, swin);
    let text = text.replace("decoder_channels = [16, 16, 8, 8, 8]", "architecture = \"swin-unet\"");
    let project = Project::new(&text);
    let done = project.run_with(&[("MATSSL_PRETENDED_GPUS", "1")], &["experiment.toml"]);
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    for expected in [
        "error: ssl@0: `arch = \"swin-tiny\"` does not run on a GPU yet",
        "error: segment.matssl@0: `architecture = \"swin-unet\"` does not run on a GPU yet",
        "error: test.segment.matssl@0: `architecture = \"swin-unet\"` does not run on a GPU yet",
        "help: use `--device cpu`",
    ] {
        assert!(done.stderr.contains(expected), "{}", done.stderr);
    }
    assert_eq!(std::fs::read_dir(project.path("cache/records")).unwrap().count(), 0);
    project.run(&["experiment.toml"]).ok();
    let (_, table) = project.files("reports").into_iter().find(|(name, _)| name.ends_with("table.csv")).unwrap();
    assert_eq!(String::from_utf8(table).unwrap().lines().count(), 4);

    // Known only with the encoder that another stage pretrains.
    let text = text.replace("architecture = \"swin-unet\"", "architecture = \"unet\"");
    let project = Project::new(&text.replace(&format!("random = {swin}"), &format!("random = {resnet}")));
    let done = project.run(&["experiment.toml"]);
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("U-Net needs an encoder with a feature of half the image's size"), "{}", done.stderr);
    assert_eq!(std::fs::read_dir(project.path("cache/records")).map_or(0, Iterator::count), 0, "{}", done.stderr);
}

#[test]
fn tensorboard_gets_a_file_for_each_training_and_changes_no_result() {
    let toy = TOY.replace("seeds = [0, 1]", "seeds = [0]");
    let (plain, watched) = (Project::new(&toy), Project::new(&toy));
    plain.run(&["experiment.toml"]).ok();
    watched.run(&["experiment.toml", "--tensorboard", "board"]).ok();
    assert_eq!(plain.outputs(), watched.outputs());
    assert_eq!(plain.files("reports"), watched.files("reports"));
    let stages = |folder: &str| -> Vec<String> {
        let files = watched.files(folder).into_iter().filter(|(_, file)| !file.is_empty());
        files.map(|(name, _)| name.split_once("/events.out.tfevents.").unwrap().0.to_owned()).collect()
    };
    assert_eq!(stages("board"), ["toy/segment.matssl@0", "toy/segment.random@0", "toy/ssl@0"]);
    for (name, file) in watched.files("board") {
        let column: &[u8] =
            if name.contains("ssl@0/") && !name.contains("segment") { b"retrieval" } else { b"val_miou" };
        let points = file.windows(column.len()).filter(|word| *word == column).count();
        assert_eq!(points, 3, "{name}: one an epoch");
    }
    // What is cached writes nothing; what is forced takes the place of its earlier file.
    let before = watched.files("board");
    watched.run_with(&[("MATSSL_TENSORBOARD", "other")], &["experiment.toml"]).ok();
    assert!(!watched.path("other").exists());
    watched.run_with(&[("MATSSL_TENSORBOARD", "board")], &["experiment.toml", "--force", "ssl"]).ok();
    let after = watched.files("board");
    assert_eq!(after.iter().filter(|file| !file.1.is_empty() && !before.contains(file)).count(), 1);
    assert_eq!(stages("board").len(), 3);
}

/// `batch_size = "auto"`: the plan, the key and the records hold the number that the memory allows.
#[test]
fn a_batch_size_that_the_memory_decides_is_a_number_in_plans_keys_and_explanations() {
    let text =
        TOY.replace("batch_size = 8", "batch_size = \"auto\"").replace("batch_size = 2", "batch_size = \"auto\"");
    // Patches enough for the largest batch.
    let text = text.replace("unlabeled = 4", "unlabeled = 64");
    let project = Project::new(&text);
    let with = |limit: &str, args: &[&str]| project.run_with(&[("MATSSL_MEMORY_LIMIT", limit)], args);
    let planned = |limit: &str, stage: &str| -> u64 {
        let plan = with(limit, &["plan", "experiment.toml", "--json"]).ok().stdout;
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        let stages = plan["stages"].as_array().unwrap();
        let stage = stages.iter().find(|planned| planned["stage"] == stage).unwrap();
        stage["params"]["batch_size"].as_u64().unwrap_or_else(|| panic!("{stage}"))
    };
    assert_eq!(planned("64G", "ssl@0"), 256);
    // The encoder of one comes from its own table, of the other from the pretraining.
    assert_eq!(planned("64G", "segment.random@0"), 32);
    assert_eq!(planned("64G", "segment.matssl@1"), 32);
    assert_eq!((planned("130M", "ssl@0"), planned("130M", "segment.matssl@0")), (16, 16));

    let stage = "segment.random@0";
    let done = with("64G", &["experiment.toml", "--only", stage]).ok();
    let said = format!("{stage}: batch_size = 32, by the memory of this machine");
    assert!(done.stderr.contains(&said), "{}", done.stderr);
    let again = with("64G", &["experiment.toml", "--only", stage]).ok();
    assert!(!again.stderr.contains("batch_size"), "{}", again.stderr);
    let why = with("130M", &["explain", "experiment.toml", stage]).ok().stdout;
    assert!(why.contains("batch_size: 32 → 16"), "{why}");

    let refused = with("1M", &["plan", "experiment.toml"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    for expected in ["experiment.toml:25:14", "even a batch of 2 would need", "MATSSL_MEMORY_LIMIT allows 1.0 MiB"] {
        assert!(refused.stderr.contains(expected), "{expected}: {}", refused.stderr);
    }
    let wrong = with("plenty", &["plan", "experiment.toml"]);
    assert!(wrong.stderr.contains("MATSSL_MEMORY_LIMIT=plenty is not a size of memory"), "{}", wrong.stderr);
    let other = Project::new(&text.replacen("batch_size = \"auto\"", "batch_size = \"automatic\"", 1));
    let other = other.run(&["plan", "experiment.toml"]);
    assert!(other.code == Some(2) && other.stderr.contains("automatic"), "{}", other.stderr);
}

/// A loss without a GPU side keeps a training off a GPU, but not what its model is used for.
#[test]
fn a_model_whose_training_needed_the_cpu_is_evaluated_on_a_gpu() {
    let text =
        TOY.replace("seeds = [0, 1]", "seeds = [0]").replace("crop_size = 32", "crop_size = 32\nloss = \"jaccard\"");
    let project = Project::new(&text);
    let on_gpu = |only: &str| project.run_with(&[("MATSSL_PRETENDED_GPUS", "1")], &["experiment.toml", "--only", only]);
    let refused = on_gpu("test.segment.random@0");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    let setting = "error: segment.random@0: `loss = \"jaccard\"` does not run on a GPU yet";
    assert!(refused.stderr.contains(setting) && !refused.stderr.contains("error: test."), "{}", refused.stderr);
    project.run(&["experiment.toml", "--only", "segment.random@0"]).ok();
    assert_eq!(on_gpu("test.segment.random@0").ok().ran(), 1);
}
