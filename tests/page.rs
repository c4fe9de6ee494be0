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
