"use strict";
(() => {
  // Sorting: numbers before texts, what is missing last, equal rows in their order.
  const value = (cell) => {
    if (cell.dataset.value !== undefined) return parseFloat(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "" || text === "–" ? undefined : text;
  };
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true }));

  for (const table of document.querySelectorAll("table.sortable")) {
    const rows = table.tBodies[0], headings = [...table.querySelectorAll("th[data-column]")];
    // The preview is no column of its own.
    const first = rows.rows.length > 0 && rows.rows[0].cells[0].classList.contains("preview") ? 1 : 0;
    for (const heading of headings) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      const column = Number(heading.dataset.column) + first;
      button.addEventListener("click", () => {
        const up = heading.getAttribute("aria-sort") === "descending"
          || (heading.getAttribute("aria-sort") === null && typeof value(rows.rows[0].cells[column]) === "string");
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", up ? "ascending" : "descending");
        const keyed = [...rows.rows].map((row) => [value(row.cells[column]), row]);
        keyed.sort(([a], [b]) => (a === undefined ? (b === undefined ? 0 : 1) : b === undefined ? -1 : (up ? 1 : -1) * order(a, b)));
        rows.append(...keyed.map(([, row]) => row));
      });
    }
  }
  document.querySelectorAll(".scripted").forEach((one) => { one.style.display = "inline"; });

  // A filter by name, where there are many images.
  const named = [...document.querySelectorAll("#images tr[data-name], .gallery figure[data-name]")];
  if (named.length > 40) {
    const filter = document.createElement("input");
    filter.type = "search";
    filter.placeholder = "show images whose name contains …";
    filter.setAttribute("aria-label", filter.placeholder);
    filter.addEventListener("input", () => {
      const wanted = filter.value.toLowerCase();
      named.forEach((one) => { one.hidden = !one.dataset.name.toLowerCase().includes(wanted); });
    });
    document.querySelector("#images > .hint").after(filter);
  }
})();
