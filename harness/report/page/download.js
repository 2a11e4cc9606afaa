// What a reader takes away: a text as a file, and rows as CSV (RFC 4180).
(function () {
  "use strict";

  function save(name, kind, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: kind }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value ?? "");

  // Rows of values, the headings first.
  const csv = (rows) => rows.map((row) => row.map(quoted).join(",") + "\r\n").join("");

  globalThis.isoflopDownload = { save, csv };
})();
