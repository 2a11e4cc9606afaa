// Tables that are sorted by their headings, filtered and downloaded; and boxes that scroll, reached by the keyboard.
(function () {
  "use strict";
  const { save, csv } = globalThis.isoflopDownload;
  const UNITS = { k: 1e3, M: 1e6, B: 1e9, T: 1e12, "%": 1e-2 };
  const SECONDS = { s: 1, min: 60, h: 3600, d: 86400, days: 86400, day: 86400 };
  const DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

  // The number that a cell begins with: "1.2M", "3 × 10¹²", "2 h 5 min"; NaN where there is none.
  function number(text) {
    const times = [...text.matchAll(/([\d.]+) (s|min|h|days?|d)\b/g)];
    if (times.length && /^[\d.]/.test(text)) return times.reduce((sum, [, n, unit]) => sum + n * SECONDS[unit], 0);
    const found = /^([-−]?[\d.,]+)?(?: × )?(10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?([kMBT%])?/.exec(text.trim());
    if (!found[1] && !found[2]) return NaN;
    const plain = (found[1] ?? "1").replaceAll(",", "").replace("−", "-");
    const power = [...(found[2] ?? "").slice(2)].map((c) => (c === "⁻" ? "-" : DIGITS.indexOf(c))).join("");
    // "10¹²" alone: the first group has taken its 10
    if (!found[2]) {
      const alone = /^10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)/.exec(text.trim());
      if (alone) return 10 ** Number([...alone[1]].map((c) => (c === "⁻" ? "-" : DIGITS.indexOf(c))).join(""));
    }
    return Number(plain) * 10 ** Number(power || 0) * (UNITS[found[3]] ?? 1);
  }

  const cellsOf = (row) => Array.from(row.cells, (cell) => cell.textContent.trim());

  function sort(table, column, heading) {
    const down = heading.ariaSort === "ascending";
    for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
    heading.ariaSort = down ? "descending" : "ascending";
    const rows = Array.from(table.tBodies[0].rows, (row) => [row, row.cells[column].textContent.trim()]);
    const numeric = rows.filter(([, text]) => text && text !== "–").every(([, text]) => !Number.isNaN(number(text)));
    const compare = numeric
      ? (x, y) => number(x) - number(y)
      : (x, y) => x.localeCompare(y, "en", { numeric: true });
    const unknown = (text) => !text || text === "–";
    rows.sort(([, x], [, y]) => {
      if (unknown(x) || unknown(y)) return unknown(x) - unknown(y); // last, whichever the direction
      return down ? compare(y, x) : compare(x, y);
    });
    table.tBodies[0].append(...rows.map(([row]) => row));
  }

  function filter(table, input, said) {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let kept = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      kept += !row.hidden;
    }
    said.textContent = words.length ? `${kept} of ${table.tBodies[0].rows.length} rows` : "";
  }

  function equip(box) {
    const table = box.querySelector("table");
    const name = box.id.replace("table-", "");
    Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      button.title = "sort by this column";
      button.addEventListener("click", () => sort(table, column, heading));
      heading.append(button);
    });
    const tools = document.createElement("div");
    tools.className = "tools";
    for (const kind of ["csv", "json"]) {
      const button = document.createElement("button");
      button.textContent = kind.toUpperCase();
      button.ariaLabel = `Download the table ${name} as ${kind.toUpperCase()}`;
      button.addEventListener("click", () => {
        const headings = cellsOf(table.tHead.rows[0]);
        const rows = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden).map(cellsOf);
        const made = rows.map((row) => Object.fromEntries(headings.map((heading, i) => [heading, row[i]])));
        const text = kind === "json" ? JSON.stringify(made, null, 1) : csv([headings, ...rows]);
        save(`${name}.${kind}`, kind === "json" ? "application/json" : "text/csv", text);
      });
      tools.append(button);
    }
    if (name === "runs") {
      const label = document.createElement("label");
      const input = document.createElement("input");
      const said = document.createElement("span");
      said.setAttribute("role", "status");
      input.type = "search";
      input.placeholder = "words that a row has";
      input.addEventListener("input", () => filter(table, input, said));
      label.append("Filter ", input);
      tools.prepend(label, said);
      follow(table, input, () => filter(table, input, said));
    }
    box.before(tools);
  }

  // A click on a figure's point leads to the run's row; a row that is pointed at stands out in the figures.
  function follow(table, input, refresh) {
    document.addEventListener("isoflop:run", ({ detail: run }) => {
      const row = document.getElementById(`run-${run}`);
      if (!row) return;
      if (row.hidden) {
        input.value = "";
        refresh();
      }
      location.hash = row.id;
      row.scrollIntoView({ block: "center" });
    });
    const point = (run) => document.dispatchEvent(new CustomEvent("isoflop:point", { detail: run }));
    let last = "";
    table.tBodies[0].addEventListener("pointerover", ({ target }) => {
      const run = (target.closest("tr")?.id ?? "").replace(/^run-/, "");
      if (run !== last) point((last = run));
    });
    table.tBodies[0].addEventListener("pointerleave", () => point((last = "")));
  }

  for (const box of document.querySelectorAll(".scroll[id^=table-]")) equip(box);
  const reach = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("resize", reach);
  document.addEventListener("contentvisibilityautostatechange", reach, true); // a table of many rows is laid out now
  addEventListener("load", reach);
})();
