"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const stages = read("facts"), behind = read("behind");
  const dialog = document.getElementById("origin"), body = dialog.querySelector("div");

  const element = (name, text, ...children) => {
    const made = document.createElement(name);
    if (text !== undefined && text !== null) made.textContent = text;
    made.append(...children);
    return made;
  };

  const facts = (pairs) => {
    const list = element("dl");
    for (const [name, value] of pairs) {
      if (value === undefined || value === null || value === "") continue;
      list.append(element("dt", name), element("dd", typeof value === "object" ? JSON.stringify(value) : String(value)));
    }
    return list;
  };

  const when = (seconds) => new Date(seconds * 1000).toISOString().replace("T", " ").slice(0, 16) + " UTC";
  const percent = (share) => (share === null || share === undefined ? undefined : (100 * share).toFixed(2) + " %");

  // A stage, and below it its inputs. A stage that several others read is described once.
  const describe = (name, seen, open) => {
    const stage = stages[name];
    if (!stage) return element("p", name);
    if (seen.has(name)) return element("p", name + " (above)");
    seen.add(name);
    const box = element("details", null, element("summary", name + " · " + stage.kind));
    box.open = open;
    const made = stage.made || {};
    const scores = stage.metrics || {};
    box.append(facts([
      ["mIoU", percent(scores.miou)],
      ...(scores.classes || []).map((one) => ["IoU " + one.name + (one.ignored ? " (left out of means)" : ""), percent(one.iou)]),
      ["seed", stage.seed], ["key", stage.key], ["record", stage.record],
      ["made", made.finished_at ? when(made.finished_at) + " on " + made.host + " (" + made.device + ", threads: "
        + made.threads + ") in " + made.seconds.toFixed(1) + " s" : stage.state],
      ["program", made.program], ["commit", (made.build || {}).commit],
      ["files", stage.files ? stage.files.count + " files, hash " + stage.files.digest.slice(0, 10) : undefined],
      ...Object.entries(stage.differing || {}),
    ]));
    const all = element("details", null, element("summary", "all parameters"), element("pre", JSON.stringify(stage.params, null, 2)));
    box.append(all);
    for (const [role, input] of stage.inputs || []) {
      box.append(element("p", role + " ← " + input));
      if (!seen.has(input)) box.append(describe(input, seen, false));
    }
    return box;
  };

  const show = (label, heading, names) => {
    const seen = new Set();
    body.replaceChildren(element("h3", label + ", " + heading), ...names.map((name) => describe(name, seen, names.length === 1)));
    dialog.showModal();
  };

  // Labels in tables may be followed by marks: the longest label that the cell begins with, if only marks follow.
  const stagesOf = (table, text) => {
    const known = (behind[table] || [])
      .filter(([label]) => text.startsWith(label) && !/[\p{L}\p{N}]/u.test(text.slice(label.length)));
    return known.sort((a, b) => b[0].length - a[0].length)[0];
  };

  const value = (cell) => {
    const number = parseFloat(cell.textContent.replace("−", "-"));
    return Number.isNaN(number) ? cell.textContent : number;
  };

  for (const article of document.querySelectorAll("article.table")) {
    for (const table of article.querySelectorAll("table")) {
      const rows = table.tBodies[0], headings = [...table.tHead.rows[0].cells];
      headings.forEach((heading, column) => {
        heading.tabIndex = 0;
        const sort = () => {
          const down = heading.getAttribute("aria-sort") !== "descending";
          headings.forEach((other) => other.removeAttribute("aria-sort"));
          heading.setAttribute("aria-sort", down ? "descending" : "ascending");
          const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
            : typeof a === "number" ? 1 : typeof b === "number" ? -1 : a.localeCompare(b));
          [...rows.rows].sort((a, b) => (down ? -1 : 1) * order(value(a.cells[column]), value(b.cells[column])))
            .forEach((row) => rows.append(row));
        };
        heading.addEventListener("click", sort);
        heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
      });
      for (const row of rows.rows) {
        const found = stagesOf(article.dataset.table, row.cells[0].textContent);
        if (!found) continue;
        [...row.cells].slice(1).forEach((cell, index) => {
          const heading = headings[index + 1].textContent;
          // Published values come from no stage.
          if (!/\d/.test(cell.textContent) || /^published/.test(heading)) return;
          const button = element("button");
          button.type = "button";
          button.append(...cell.childNodes);
          // Each point of a curve belongs to an epoch.
          const epoch = article.classList.contains("points") ? " at epoch " + row.cells[1].textContent : "";
          button.addEventListener("click", () => show(found[0], heading + epoch, found[1]));
          cell.append(button);
        });
      }
    }
  }

  for (const button of document.querySelectorAll("button[data-stage]")) {
    button.addEventListener("click", () => show(button.dataset.stage, "details", [button.dataset.stage]));
  }

  for (const overlay of document.querySelectorAll("article.overlay")) {
    const inputs = [...overlay.querySelectorAll(":scope > input")], pictures = [...overlay.querySelectorAll(".pictures")];
    const choose = () => inputs.forEach((input, index) => pictures[index].classList.toggle("shown", input.checked));
    inputs.forEach((input) => input.addEventListener("change", choose));
    choose();
  }
})();
