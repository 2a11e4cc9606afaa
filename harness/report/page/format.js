// Numbers as texts: digit for digit what harness/text.py and harness/report/text.py write.
(function () {
  "use strict";

  // A positive finite number to so many significant digits, as [digits, exponent]: exact halves go to the even digit, as
  // in Python; JavaScript's own functions take them up.
  function rounded(value, digits) {
    const [mantissa, exponent] = value.toExponential(100).split("e");
    const all = mantissa.replace(".", "");
    let kept = BigInt(all.slice(0, Math.max(0, digits)) || "0");
    const rest = all.slice(Math.max(0, digits));
    const half = "5" + "0".repeat(rest.length - 1);
    if (digits >= 0 && (rest > half || (rest === half && kept % 2n === 1n))) kept += 1n;
    const text = kept.toString();
    return text.length > Math.max(1, digits) ? [text.slice(0, Math.max(1, digits)), Number(exponent) + 1] : [text, Number(exponent)];
  }

  const negative = (value) => value < 0 || Object.is(value, -0);

  // Python's f"{value:.{decimals}f}".
  function decimals(value, places) {
    if (Number.isNaN(value)) return "nan";
    const sign = negative(value) ? "-" : "";
    const size = Math.abs(value);
    if (size === Infinity) return sign + "inf";
    let digits = "0";
    if (size > 0) {
      const exponent = Number(size.toExponential(100).split("e")[1]);
      const significant = exponent + 1 + places;
      const [found, at] = significant > 100 ? [BigInt(size).toString() + "0".repeat(places), exponent] : rounded(size, significant);
      // Where nothing but the digit after the last is left, it may have been rounded up to one at the last place.
      digits = significant <= 0 ? found : found.padEnd(at + 1 + places, "0");
    }
    digits = digits.padStart(places + 1, "0");
    const whole = digits.slice(0, digits.length - places);
    return sign + whole + (places ? "." + digits.slice(digits.length - places) : "");
  }

  // Python's f"{value:.{digits}e}" as [mantissa, exponent].
  function scientific(value, digits) {
    const sign = negative(value) ? "-" : "";
    if (value === 0) return [sign + "0" + (digits ? "." + "0".repeat(digits) : ""), 0];
    const [found, exponent] = rounded(Math.abs(value), digits + 1);
    return [sign + found[0] + (digits ? "." + found.slice(1) : ""), exponent];
  }

  const withoutZeros = (text) => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);

  // Python's f"{value:.{digits}g}"; f"{value:g}" has six.
  function general(value, digits = 6) {
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
    const [mantissa, exponent] = scientific(value, digits - 1);
    if (exponent < -4 || exponent >= digits) {
      const power = String(Math.abs(exponent)).padStart(2, "0");
      return withoutZeros(mantissa) + "e" + (exponent < 0 ? "-" : "+") + power;
    }
    return withoutZeros(decimals(value, digits - 1 - exponent));
  }

  const grouped = (digits) => digits.replace(/(?<!\.\d*)\B(?=(\d{3})+(?!\d))/g, ",");
  const NOTHING = "–";
  const known = (value) => typeof value === "number" && Number.isFinite(value);

  // harness.text.count
  function count(value) {
    if (!known(value)) return NOTHING;
    for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (size * 0.9995 <= Math.abs(value) && Math.abs(value) < 9999.5e12) {
        const scaled = value / size;
        return decimals(scaled, scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2) + unit;
      }
    }
    return general(value, 3);
  }

  // harness.text.duration
  function duration(seconds) {
    if (seconds < 60) return decimals(seconds, 0) + " s";
    const minutes = Number(decimals(seconds / 60, 0));
    if (minutes < 60) return minutes + " min";
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? hours + " h " + String(minutes % 60).padStart(2, "0") + " min" : decimals(hours / 24, 1) + " days";
  }

  const raised = (exponent) => String(exponent).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);

  // harness.report.text.power
  function power(value, digits = 2) {
    if (!known(value)) return NOTHING;
    const size = Math.abs(value);
    if (value === 0 || (1e-3 <= size && size < 1e4)) return size >= 1000 ? decimals(value, 0) : general(value, digits + 1);
    const [mantissa, exponent] = scientific(value, digits - 1);
    const plain = withoutZeros(mantissa);
    return plain === "1" ? "10" + raised(exponent) : plain + " × 10" + raised(exponent);
  }

  // harness.report.text.significant
  function significant(value, digits = 3) {
    if (!known(value)) return NOTHING;
    const near = Number(scientific(value, digits - 1).join("e"));
    if (near === 0 || (1e-3 <= Math.abs(near) && Math.abs(near) < 1e4)) {
      const whole = near === 0 ? 1 : Number(Math.abs(near).toExponential().split("e")[1]) + 1;
      return decimals(near, Math.max(0, digits - whole));
    }
    return power(value, digits);
  }

  // harness.report.text.ratio
  function ratio(value) {
    if (!known(value)) return NOTHING;
    if (9.95 <= value && value < 9999) return decimals(value, 0);
    return value < 9.95 ? significant(value, 2) : count(value);
  }

  // harness.report.text.fixed
  const fixed = (value, places) => (known(value) ? decimals(value, places) : NOTHING);

  // harness.report.text.times
  function times(value) {
    const text = value < 99.5 ? general(value, 2) : power(value);
    return value >= 1e4 ? text + " times" : text + "×";
  }

  // harness.report.text.dollars
  function dollars(value) {
    if (value >= 99.5) return "$" + grouped(decimals(value, 0));
    return value >= 0.005 ? "$" + decimals(value, 2) : "under 1 cent";
  }

  const NOT_BOUNDED = "not bounded";

  // harness.report.text.interval: `write` writes an end; of counts and ratios, both ends at zero bound nothing.
  function interval(bounds, write, isLoss = false) {
    if (!bounds) return "";
    const [low, high] = bounds;
    const infinite = (end) => Math.abs(end) === Infinity;
    if ((infinite(low) && infinite(high)) || (!isLoss && low === 0 && high === 0)) return NOT_BOUNDED;
    return [low, high].map((end) => (infinite(end) ? NOT_BOUNDED : write(end))).join(" to ");
  }

  // harness.report.text.with_interval
  const withInterval = (value, bounds) => (bounds ? value + " (" + bounds + ")" : value);

  globalThis.isoflopCalculator = {
    decimals, general, grouped, count, duration, power, significant, ratio, fixed, times, dollars, interval,
    withInterval, known, NOTHING,
  };
})();
