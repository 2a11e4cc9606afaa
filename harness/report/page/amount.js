// Amounts as people write them, by the command line's own patterns (harness/amounts.py), and the numbers it takes.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻";
  const EXAMPLES = "such as 1e13, 2.5T or 6 × 10¹²";

  // The number that a text stands for by a `rule` of the page's data; NaN where it is no such amount.
  function parse(text, rule) {
    const found = new RegExp("^(?:" + rule.pattern + ")$", "i").exec(text);
    if (!found) return NaN;
    const [sign, digits, ...rest] = found.slice(1);
    const [scale, unit] = rest.slice(-2);
    const written = rest.slice(0, -2).find((one) => one) || "0";
    const plain = written.replace(new RegExp(`[${SUPERSCRIPTS}]`, "g"), (c) => "0123456789+-"[SUPERSCRIPTS.indexOf(c)]);
    const exponent = Number(plain) + (rule.scales[(scale || "").toLowerCase()] || 0);
    const value = Number(sign + (digits || "1").replace(/[,_\s]/g, "") + "e" + exponent);
    return unit === "%" ? value / 100 : value;
  }

  const shown = (value) => (Math.abs(value) < 1e7 && Number.isInteger(value) ? calc.grouped(String(value)) : calc.general(value));

  // {value}, or {problem}: one sentence. `what` begins it: "The budget".
  function read(text, rule, what) {
    const value = parse(text, rule);
    if (Number.isNaN(value)) {
      const typed = text.trim();
      return { problem: typed ? `${what} must be a number, ${EXAMPLES}; got “${typed}”.` : `${what}: enter a number, ${EXAMPLES}.` };
    }
    if (value < rule.least || (value === rule.least && rule.above)) {
      const how = rule.least === 0 ? (rule.above ? "be positive" : "not be negative") : `be above ${shown(rule.least)}`;
      return { problem: `${what} must ${how}; got ${shown(value)}.` };
    }
    if (value > rule.most || value === Infinity) {
      const most = rule.share ? calc.general(100 * rule.most) + "%" : shown(rule.most);
      return { problem: `${what} must be at most ${most}; got ${rule.share ? calc.general(100 * value) + "%" : shown(value)}.` };
    }
    return { value };
  }

  Object.assign(calc, { parse, read });
})();
