//! The page of an experiment in a browser: what it shows, what a click does, and that it loads nothing.

mod common;
use common::browser::{after, chromium};
use common::steel::{bmp, micrograph, png, small_experiment, steel};
use common::{Project, TOY};

#[test]
fn the_page_shows_every_report_and_the_origin_of_numbers() {
    let project = Project::new(TOY);
    let both = "rows = { \"MatSSL\" = \"test.segment.matssl\", \"random\" = \"test.segment.random\" }";
    project.edit("rows = { \"MatSSL\" = \"test.segment.matssl\" }", both);
    project.run(&["experiment.toml"]).ok();
    let html = std::fs::read_to_string(project.path("reports/toy/index.html")).unwrap();
    for foreign in ["src=\"http", "href=\"http", "url(", "@import"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("reports/toy/run.json")).unwrap()).unwrap();
    assert_eq!(facts["name"], "toy");
    assert_eq!(facts["tables"][0]["rows"].as_array().unwrap().len(), 3, "two methods and the baseline: {facts:#}");
    let evaluation = &facts["stages"]["test.segment.matssl@0"];
    assert!(evaluation["metrics"]["miou"].is_f64() && evaluation["made"]["host"].is_string(), "{evaluation:#}");
    assert!(
        facts["timeline"].as_array().unwrap().iter().any(|span| span["kind"] == "finetune" && span["done"] == true)
    );
    let Some(chromium) = chromium() else { return };

    let said = after(
        &chromium,
        &html,
        r##"
        say([...document.querySelectorAll("h2")].map((heading) => heading.textContent).join(","));
        const table = document.querySelector("article.table table"), heading = table.tHead.rows[0].cells[1];
        const column = () => [...table.tBodies[0].rows].map((row) => parseFloat(row.cells[1].textContent));
        heading.click();
        say(column().every((value, i, all) => i === 0 || all[i - 1] >= value));
        heading.click();
        say(column().every((value, i, all) => i === 0 || all[i - 1] <= value));
        const row = [...table.tBodies[0].rows].find((row) => row.cells[0].textContent.includes("matssl"));
        row.cells[1].querySelector("button").click();
        const dialog = document.getElementById("origin");
        say(dialog.open);
        say(["test.segment.matssl@0", "test.segment.matssl@1", "ssl@0", "temperature", "seed"]
            .every((what) => dialog.textContent.includes(what)));
        dialog.close();
        // A line of a figure, a point of it, a picture.
        const behind = document.querySelector("#figures details.origins");
        const lines = [...behind.querySelectorAll("button.origin")].map((button) => button.dataset.stage);
        say(lines.join(" "));
        behind.querySelector("button.origin").click();
        say(["segment.matssl@0", "ssl@0", "micrographs", "records/"].every((what) => dialog.textContent.includes(what)));
        dialog.close();
        const points = document.querySelector("#figures article.points table");
        points.tBodies[0].rows[1].cells[2].querySelector("button").click();
        say(dialog.querySelector("h3").textContent);
        say(["segment.matssl@0", "segment.matssl@1"].every((what) => dialog.textContent.includes(what)));
        dialog.close();
        document.querySelector("#overlays figcaption button").click();
        say(dialog.textContent.includes("test.segment.matssl@0"));
        dialog.close();
        const inputs = document.querySelectorAll(".overlay input"), shown = () =>
            [...document.querySelectorAll(".pictures")].map((one) => getComputedStyle(one).display).join(",");
        say(shown());
        inputs[1].click();
        say(shown());
        say([...document.images].every((image) => image.src.startsWith("data:")));
        say(document.documentElement.scrollWidth <= window.innerWidth);
        "##,
    );
    let said: Vec<&str> = said.split('|').collect();
    assert_eq!(said[0], "Tables,Curves,Predictions,Data,Stages,Timeline of the last run that ran a stage");
    assert_eq!(&said[1..5], ["true", "true", "true", "true"], "sorting, and the origin of a number: {said:?}");
    let lines = "segment.matssl@0 ssl@0 segment.matssl@1 ssl@1 segment.random@0 segment.random@1";
    assert_eq!(said[5], lines, "the stages of each line, with their encoders");
    assert_eq!(said[6], "true", "the inputs of a line's stage, and its record in the cache");
    assert_eq!(said[7], "MatSSL, mean at epoch 2");
    assert_eq!(&said[8..10], ["true", "true"], "a point shows all its seeds, a picture its evaluation");
    assert_eq!(&said[10..12], ["grid,none", "none,grid"], "pictures of one method at a time");
    assert_eq!(&said[12..], ["true", "true"], "pictures are in the page, and it is no wider than the window");
}

/// A table of the evaluation.
const TABLE: &str = r#"
[[tables]]
file = "table"
rows = { "SimCLR" = "test" }
"#;

#[test]
fn the_page_shows_leaks_as_pairs_of_pictures_with_frames() {
    let project = steel(&(small_experiment() + TABLE));
    // A test image, and a part of another one, are among the images that are pretrained on.
    project.write("steel/unlabeled/u-8.bmp", bmp(&micrograph(0)));
    let part = image::imageops::crop_imm(&micrograph(1), 30, 50, 160, 150).to_image();
    project.write("steel/unlabeled/u-9.png", png(&part));
    project.run(&["experiment.toml"]).ok();
    let html = std::fs::read_to_string(project.path("reports/experiment/index.html")).unwrap();
    let Some(chromium) = chromium() else { return };
    let said = after(
        &chromium,
        &html,
        r##"
        const pairs = [...document.querySelectorAll("#leaks figure.pair")];
        say(pairs.length);
        const [scored, trained] = pairs[1].querySelectorAll("svg");
        const size = (of) => { const box = of.getBoundingClientRect(); return [box.width, box.height].map(Math.round).join("×"); };
        say([scored, trained].map(size).join(" "));
        say([scored, trained].map((of) => size(of.querySelector("rect"))).join(" "));
        say(scored.getBoundingClientRect().right < trained.getBoundingClientRect().left);
        const mark = document.querySelector("article.table td a.leak");
        say(mark.parentElement.textContent + " " + (document.querySelector(mark.getAttribute("href")).id));
        const marked = mark.closest("tr").cells[1].querySelector("button");
        marked.click();
        say(document.getElementById("origin").textContent.includes("test@0"));
        say(document.documentElement.scrollWidth <= window.innerWidth);
        "##,
    );
    let said: Vec<&str> = said.split('|').collect();
    assert_eq!(said[0], "2");
    assert_eq!(said[1], "160×160 160×150", "side by side, in proportion");
    assert_eq!(said[2], "107×100 160×150", "the shared part: 160×150 of 240×240, and all of the other image");
    assert_eq!(&said[3..], ["true", "SimCLR ⚠ leaks", "true", "true"]);
}

#[test]
fn reports_are_made_again_from_the_cache_without_training() {
    let project = Project::new(TOY);
    let nothing = project.run(&["report", "experiment.toml"]);
    assert_eq!(nothing.code, Some(3));
    assert!(nothing.stderr.contains("nothing to report yet on experiment.toml"), "{}", nothing.stderr);
    project.run(&["experiment.toml"]).ok();
    let reports = project.files("reports");
    std::fs::remove_dir_all(project.path("reports")).unwrap();
    let again = project.run(&["report", "experiment.toml"]).ok();
    assert_eq!(again.ran(), 0, "{}", again.stderr);
    assert_eq!(project.files("reports"), reports);
    // Another title, and a training that would have to run: the table is made of what is there, the rest is named.
    project.edit("title = \"A table\"", "title = \"Another table\"");
    project.edit("temperature = 0.07", "temperature = 0.1");
    let partly = project.run(&["report", "experiment.toml"]);
    assert!(partly.stderr.contains("not made: tables.table waits for"), "{}", partly.stderr);
    project.edit("temperature = 0.1", "temperature = 0.07");
    let titled = project.run(&["report", "experiment.toml"]).ok();
    assert_eq!(titled.ran(), 1, "only the table: {}", titled.stderr);
    assert!(titled.stdout.starts_with("Another table"), "{}", titled.stdout);
}

#[test]
fn confusion_matrices_and_files_of_stages_are_reports() {
    let more = r#"
[[figures]]
file = "confusion"
kind = "confusion"
rows = { "MatSSL" = "test.segment.matssl", "random" = "test.segment.random" }

[[files]]
file = "errors"
rows = { "MatSSL" = "test.segment.matssl", "trained" = "segment.matssl" }
"#;
    let project = Project::new(&(TOY.replace("seeds = [0, 1]", "seeds = [3]") + more));
    project.edit(
        "rows = { \"MatSSL\" = \"test.segment.matssl\", \"trained\"",
        "names = [\"per_imag.csv\"]\nrows = { \"trained\"",
    );
    let misspelt = project.run(&["experiment.toml"]);
    assert_eq!(misspelt.code, Some(5), "{}", misspelt.stderr);
    assert!(
        misspelt.stderr.contains("trained leaves no file per_imag.csv; it leaves model.safetensors"),
        "{}",
        misspelt.stderr
    );
    assert_eq!(project.outputs().len(), 0, "refused before anything runs: {}", misspelt.stderr);
    project.edit(
        "names = [\"per_imag.csv\"]\nrows = { \"trained\"",
        "rows = { \"MatSSL\" = \"test.segment.matssl\", \"trained\"",
    );
    project.run(&["experiment.toml"]).ok();

    let reports = project.files("reports/toy");
    let text = |wanted: &str| {
        let found = reports.iter().find(|(name, _)| name == wanted);
        let (_, bytes) =
            found.unwrap_or_else(|| panic!("{wanted}: {:?}", reports.iter().map(|file| &file.0).collect::<Vec<_>>()));
        String::from_utf8(bytes.clone()).unwrap()
    };
    // The figure counts the same pixels as the evaluation's own table, which was copied.
    let rows = |csv: &str| -> Vec<Vec<String>> {
        csv.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let of_stage: Vec<String> =
        rows(&text("errors/MatSSL@3/confusion.csv")).into_iter().flat_map(|row| row[1..].to_vec()).collect();
    let of_figure = rows(&text("confusion.csv")).into_iter().filter(|row| row[0] == "MatSSL").map(|row| row[3].clone());
    assert_eq!(of_figure.collect::<Vec<_>>(), of_stage);
    assert!(text("errors/trained@3/history.csv").starts_with("epoch,"));
    assert!(!reports.iter().any(|(name, _)| name.ends_with(".safetensors")), "weights are copied on request only");

    let facts: serde_json::Value =
        serde_json::from_slice(&std::fs::read(project.path("reports/toy/run.json")).unwrap()).unwrap();
    let copies = facts["files"][0]["copies"].as_array().unwrap();
    assert!(copies.iter().any(|copy| copy[0] == "errors/MatSSL@3/per_image.csv"), "{copies:?}");
    let html = std::fs::read_to_string(project.path("reports/toy/index.html")).unwrap();
    for words in ["<h2>Figures</h2>", "<h2>Files</h2>", "href=\"./errors/MatSSL%403/metrics.json\"", ">truth</text>"] {
        assert!(html.contains(words), "{words}");
    }
    assert_eq!(project.run(&["experiment.toml"]).ok().ran(), 0);
    let traced = project.run(&["explain", "experiment.toml", "--point", "confusion:MatSSL,1"]);
    assert!(traced.stderr.contains("figure confusion has no lines over epochs"), "{}", traced.stderr);
    kinds_name_all_their_files(&project);
}

/// `[[files]]` refuses names before the run by what a kind says that it leaves.
fn kinds_name_all_their_files(project: &Project) {
    for (_, record) in project.files("cache/records").iter().filter(|(name, _)| name.ends_with(".json")) {
        let record: serde_json::Value = serde_json::from_slice(record).unwrap();
        let kind = record["material"]["kind"].as_str().unwrap();
        let kind = matssl_run::stage::KINDS.iter().find(|known| known.name == kind).unwrap();
        for output in record["outputs"].as_array().unwrap() {
            let path = output["path"].as_str().unwrap();
            let is_known = path.contains('/') || kind.section.is_report() || kind.leaves(path);
            assert!(is_known, "{} leaves {path}, which is not among its LEAVES", kind.name);
        }
    }
}

#[test]
fn the_page_of_predictions_sorts_and_filters() {
    use matssl_run::metrics::{ClassFraction, Estimate};
    use matssl_run::report::{PredictedImage, PredictionsPage, predictions_page};
    let Some(chromium) = chromium() else { return };
    let image = |number: usize| {
        let value = (number * 7 % 50) as f64 / 100.0;
        let raw = Estimate { value, interval: Some([value - 0.01, value + 0.01]) };
        // The correction is not known for one image.
        let corrected = (number != 3).then_some(Estimate { value: 1.0 - value, interval: Some([0.0, 1.0]) });
        PredictedImage {
            image: format!("field {number}.tif"),
            thumbnail: format!("thumbnails/{number}.png"),
            overlay: format!("overlays/{number}.png"),
            size: (100 + number, 100),
            pixel_size_nm: None,
            fractions: vec![ClassFraction { raw, corrected }],
            unusual: if number == 5 { vec!["dark".into()] } else { Vec::new() },
        }
    };
    let page = PredictionsPage {
        title: "Predictions".into(),
        classes: vec![("pores".into(), [230, 159, 0])],
        images: (0..30).map(image).collect(),
        ..PredictionsPage::default()
    };
    let said = after(
        &chromium,
        &predictions_page(&page),
        r##"
        const table = document.querySelector("table.sortable"), rows = () => [...table.tBodies[0].rows];
        const heading = (column) => table.querySelector(`th[data-column="${column}"]`);
        const first = (count) => rows().slice(0, count).map((row) => row.dataset.name.slice(6, -4)).join(",");
        say([0, 1, 2, 3, 4].map((column) => heading(column).textContent).join(","));
        heading(0).querySelector("button").click();
        say(first(3));
        heading(0).querySelector("button").click();
        say(first(3));
        heading(2).querySelector("button").click();
        say(heading(2).getAttribute("aria-sort") + " " + first(2));
        heading(3).querySelector("button").click();
        say(first(2) + " " + rows()[29].dataset.name);
        heading(3).querySelector("button").click();
        say(first(2) + " " + rows()[29].dataset.name);
        heading(4).querySelector("button").click();
        say(first(1));
        say(document.querySelector(".scripted").style.display);
        say(document.documentElement.scrollWidth <= window.innerWidth);
        "##,
    );
    let said: Vec<&str> = said.split('|').collect();
    assert_eq!(said[0], "image,size,raw,corrected,unusual");
    assert_eq!(&said[1..3], ["0,1,2", "29,28,27"], "names sort by their numbers");
    // 7 · 7 = 49, 7 · 14 = 98 → 48.
    assert_eq!(said[3], "descending 7,14");
    assert_eq!(&said[4..6], ["0,29 field 3.tif", "7,14 field 3.tif"], "a missing value is always last");
    assert_eq!(&said[6..], ["5", "inline", "true"]);
}
