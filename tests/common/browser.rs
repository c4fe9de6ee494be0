//! A page in headless Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Chromium, if this machine has it.
pub fn chromium() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser", "google-chrome"].map(|name| folder.join(name)))
        .find(|program| program.is_file());
    // CI installs it, so there nothing may be skipped.
    assert!(found.is_some() || std::env::var_os("CI").is_none(), "there is no chromium on this machine");
    if found.is_none() {
        println!("skipped: there is no chromium on this machine");
    }
    found
}

/// What the page says of itself after `script` has run in it: the text of the element that the script appends.
pub fn after(chromium: &Path, html: &str, script: &str) -> String {
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
