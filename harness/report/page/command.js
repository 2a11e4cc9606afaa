// The line of `isoflop predict` that asks what the form asks.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;

  // A number as the shortest text that is read as the same one.
  function exact(value) {
    const plain = String(value);
    const short = value.toExponential().replace("e+", "e");
    return plain.length <= 7 || plain.length <= short.length ? plain : short;
  }

  // A word of a shell's line, in quotes where it needs them.
  const word = (text) => (/^[\w./=:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

  // `asked` holds the keys of predict with their numbers or texts; those that are null or undefined are left out.
  function command(asked) {
    const given = Object.entries(asked).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return ["isoflop predict", ...given.map(([key, value]) => word(`${key}=${typeof value === "number" ? exact(value) : value}`))].join(" ");
  }

  // The folder of the fit: that of this page where it is read from a disk, for the fit lies beside it.
  function fitOf({ protocol, pathname }, name) {
    if (protocol !== "file:") return name;
    return decodeURIComponent(pathname).replace(/\/[^/]*$/, "") || "/";
  }

  Object.assign(calc, { command, fitOf, exact });
})();
