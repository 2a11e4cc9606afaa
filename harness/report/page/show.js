// What the calculator writes into the page: sentences, tables with their statuses, warnings, and the command line.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const LEFT = ["", "approach", "status", "smaller"];

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // Writers into `place`; `statuses` has the words and the meaning of every status by its code.
  function writer(place, statuses) {
    const say = (text, className) => place.append(element("p", text, className));

    // A status in words: a link to what it means where the page explains it, else its meaning as a title.
    function statusIn(cell, { status, notes }) {
      const [words, meaning] = statuses[status] || [status.replaceAll("_", " "), ""];
      const title = [meaning, ...notes].filter(Boolean).join(" ");
      const explained = document.getElementById("status-" + status);
      const made = element(explained ? "a" : "span", words);
      if (explained) made.href = "#status-" + status;
      if (title) made.title = title;
      cell.append(made);
    }

    function table({ headings, rows }, caption, strong) {
      const made = element("table");
      if (caption) made.append(element("caption", caption));
      const side = (i) => (LEFT.includes(headings[i]) ? "left" : "");
      const head = made.createTHead().insertRow();
      headings.forEach((text, i) => {
        const one = element("th", text, side(i));
        one.scope = "col";
        head.append(one);
      });
      const body = made.createTBody();
      rows.forEach((cells, at) => {
        const row = body.insertRow();
        if (at === strong) row.className = "strong";
        cells.forEach((content, i) => {
          const one = element("td", typeof content === "string" ? content : undefined, side(i));
          if (typeof content !== "string") statusIn(one, content);
          row.append(one);
        });
      });
      const scroll = element("div", undefined, "scroll");
      scroll.tabIndex = 0;
      scroll.append(made);
      place.append(scroll);
    }

    function list(texts) {
      if (!texts.length) return;
      const made = element("ul", undefined, "soft");
      for (const text of texts) made.append(element("li", text));
      place.append(made);
    }

    return { say, table, list };
  }

  // Copy a text, with the older way where a browser has no clipboard for a page that is read from a disk.
  async function copy(node) {
    try {
      await navigator.clipboard.writeText(node.textContent);
      return true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(node);
      const selection = globalThis.getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      return document.execCommand("copy");
    }
  }

  Object.assign(calc, { writer, copy, element });
})();
