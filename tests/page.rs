//! The page of an experiment, in a browser: what is there, what a click does, that it needs nothing from elsewhere.

mod common;
use common::{Project, TOY};
use std::path::PathBuf;
use std::process::Command;

/// Chromium, if this machine has it.
fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        println!("skipped: there is no chromium on this machine");
    }
    found
}

/// What the page says of itself after `script` has run in it: the text of the element that the script appends.
fn after(chromium: &std::path::Path, html: &str, script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let tail = format!(
        "<script>{{ const said = []; const say = (what) => said.push(String(what)); {script}; \
         const out = document.createElement('pre'); out.id = 'said'; out.textContent = said.join('|'); \
         document.body.append(out); }}</script></body>"
    );
    std::fs::write(&page, html.replace("</body>", &tail)).unwrap();
    let flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ];
    let done = Command::new(chromium)
        .args(flags)
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&done.stdout).into_owned();
    let said = dom.split("<pre id=\"said\">").nth(1).and_then(|rest| rest.split("</pre>").next());
    said.unwrap_or_else(|| panic!("{dom}\n{}", String::from_utf8_lossy(&done.stderr))).to_owned()
}

#[test]
fn the_page_shows_every_report_and_where_numbers_come_from() {
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
        r#"
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
        const inputs = document.querySelectorAll(".overlay input"), shown = () =>
            [...document.querySelectorAll(".pictures")].map((one) => getComputedStyle(one).display).join(",");
        say(shown());
        inputs[1].click();
        say(shown());
        say([...document.images].every((image) => image.src.startsWith("data:")));
        say(document.documentElement.scrollWidth <= window.innerWidth);
        "#,
    );
    let said: Vec<&str> = said.split('|').collect();
    assert_eq!(said[0], "Tables,Curves,Predictions,Data,Stages,The last run that did something");
    assert_eq!(&said[1..5], ["true", "true", "true", "true"], "sorting, and the origin of a number: {said:?}");
    assert_eq!(&said[5..7], ["grid,none", "none,grid"], "pictures of one method at a time");
    assert_eq!(&said[7..], ["true", "true"], "pictures are in the page, and it is no wider than the window");
}

#[test]
fn reports_are_made_anew_from_the_cache_without_training() {
    let project = Project::new(TOY);
    let nothing = project.run(&["report", "experiment.toml"]);
    assert_eq!(nothing.code, Some(3));
    assert!(nothing.stderr.contains("has nothing to report on yet"), "{}", nothing.stderr);
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
    assert!(partly.stderr.contains("not made: tables.table waits on"), "{}", partly.stderr);
    project.edit("temperature = 0.1", "temperature = 0.07");
    let titled = project.run(&["report", "experiment.toml"]).ok();
    assert_eq!(titled.ran(), 1, "only the table: {}", titled.stderr);
    assert!(titled.stdout.starts_with("Another table"), "{}", titled.stdout);
}
