// Predictions from a stored fit: the same closed forms as the Python program, on the draws that the page carries.
(function () {
  "use strict";

  // Rows of bootstrap draws from base64 of little-endian 32-bit floats; of a law, ln A and ln B in place of A and B.
  function unpack(text, columns, law) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const rows = [];
    for (let at = 0; at + 4 * columns <= bytes.length; at += 4 * columns) {
      const row = Array.from({ length: columns }, (_, i) => view.getFloat32(at + 4 * i, true));
      rows.push(law ? row.map((value, i) => (i === 1 || i === 2 ? Math.exp(value) : value)) : row);
    }
    return rows;
  }

  // ln N*, ln D*, L* of one row of parameters at ln C.
  function optimum(approach, row, logC) {
    if (approach.kind === "power") {
      const [logG, a, logH, b, floor, logScale, exponent] = row.map((v) => (v === null ? NaN : v));
      return [logG + a * logC, logH + b * logC, floor + Math.exp(logScale - exponent * logC)];
    }
    const [E, A, B, alpha, beta] = row;
    const p = approach.power;
    const logM = logC - Math.log(approach.kappa);
    const logN = (Math.log((alpha * A) / (p * beta * B)) + beta * logM) / (alpha + p * beta);
    const logD = logM - p * logN;
    return [logN, logD, E + A * Math.exp(-alpha * logN) + B * Math.exp(-beta * logD)];
  }

  // Linear interpolation between order statistics, at the quantile q.
  function quantile(sorted, q) {
    const at = q * (sorted.length - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  }

  // The central interval of the finite values; an end beyond all numbers of anything here is infinite.
  function interval(values, level) {
    const finite = values.filter(Number.isFinite).sort((x, y) => x - y);
    const end = (x) => (Math.abs(x) > 1e100 ? Math.sign(x) * Infinity : Math.abs(x) < 1e-100 ? 0 : x);
    return finite.length < 20 ? null : [(1 - level) / 2, (1 + level) / 2].map((q) => end(quantile(finite, q)));
  }

  // "1.1M to 1.4M", with "not bounded" for an infinite end, and for an interval that bounds nothing.
  function bounds([low, high], write) {
    if (low === high && (low === 0 || low === Infinity)) return "not bounded";
    return [low, high].map((end) => (Math.abs(end) === Infinity ? "not bounded" : write(end))).join(" to ");
  }

  // The bootstrap draws of an approach, unpacked once.
  const unpacked = new WeakMap();
  function draws(approach) {
    if (!unpacked.has(approach)) {
      const packed = approach.draws ? unpack(approach.draws, approach.columns, approach.kind === "law") : [];
      unpacked.set(approach, packed);
    }
    return unpacked.get(approach);
  }

  // N*, D*, D*/N* and L* at a budget, each {value, interval}.
  function predict(approach, flops, level) {
    const logC = Math.log(flops);
    // Within what a float can hold: a draw that diverges is the end of an interval, not left out of it.
    const exp = (x) => Math.exp(Math.min(700, Math.max(-700, x)));
    const four = ([n, d, l]) => [exp(n), exp(d), exp(d - n), l];
    const best = four(optimum(approach, approach.theta, logC));
    const drawn = draws(approach).map((row) => four(optimum(approach, row, logC)));
    const out = {};
    ["params", "tokens", "ratio", "loss"].forEach((name, i) => {
      out[name] = { value: best[i], interval: interval(drawn.map((row) => row[i]), level) };
    });
    if (floorless(approach, flops)) out.loss.interval = null;
    if (beyondRuns(approach, out.params.value, out.tokens.value)) {
      // An end that the law's own draws leave open is as open without them.
      for (const one of Object.values(out)) {
        if (one.interval && one.interval[1] !== Infinity) one.interval = null;
      }
    }
    return out;
  }

  // A loss law without a floor, beyond the runs: all its draws fall without limit, so they give no interval.
  const floorless = (approach, flops) => approach.floor === 0 && approach.largest && flops > approach.largest;

  // The most serious warning about a prediction, or "ok": those of the fit, and those that its extrapolation adds.
  function status(approach, flops, found, order) {
    const codes = approach.flags.slice();
    const beyond = beyondRuns(approach, found.params.value, found.tokens.value);
    for (const range of [found.params.interval, found.tokens.interval]) {
      if (!range) codes.push("no_interval");
      else if (range[1] > 10 * range[0]) codes.push("wide_interval");
    }
    if (beyond) codes.push("extrapolation");
    codes.push(...outOfRange(approach, flops));
    if (floorless(approach, flops)) codes.push("no_floor");
    const perPair = approach.kappa * Math.pow(found.params.value, approach.power - 1);
    if (approach.kind === "law" && approach.power !== 1 && perPair < 0.999 * approach.least) {
      codes.push("approximate_cost");
    }
    return worst(codes, order);
  }

  // The warning about a budget far beyond the runs, or far below them.
  function outOfRange(approach, flops) {
    const far = approach.largest && flops > approach.limit * approach.largest;
    return far || (approach.smallest && approach.limit * flops < approach.smallest) ? ["extrapolation"] : [];
  }

  // Whether N, D or D/N is so far beyond what was run that the law has no interval there.
  function beyondRuns(approach, params, tokens) {
    if (!approach.runs) return false;
    return [params, tokens, tokens / params].some((value, i) =>
      Math.max(value / approach.runs[2 * i + 1], approach.runs[2 * i] / value) > approach.model_limit * (1 + 1e-9));
  }

  const worst = (codes, order) => (codes.length ? order.find((code) => codes.includes(code)) : "ok");

  // The model of the optimum's loss that costs least when it also serves `served` tokens
  // (Sardana et al. 2024): one equation in D, whose left side falls; its root by bisection in ln D.
  function serve(approach, flops, served) {
    if (approach.kind !== "law") return null;
    const [E, A, B, alpha, beta] = approach.theta;
    const p = approach.power;
    const [logN, logD, loss] = optimum(approach, approach.theta, Math.log(flops));
    const ratio = (p * beta) / alpha;
    const extra = served / 3;
    const surplus = (x) => (B * Math.exp(-beta * x) * (1 + ratio * (1 + extra * Math.exp(-x)))) / (loss - E) - 1;
    let low = logD - 1e-9;
    let high = logD + 1;
    while (surplus(high) > 0) high += 2;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (surplus(middle) > 0) low = middle;
      else high = middle;
    }
    const tokens = Math.exp((low + high) / 2);
    const params = Math.pow(A / (ratio * B * Math.pow(tokens, -beta) * (1 + extra / tokens)), 1 / alpha);
    const perToken = (n) => approach.kappa * Math.pow(n, p);
    const cost = (n, d) => perToken(n) * d + (perToken(n) / 3) * served;
    return {
      params,
      tokens,
      loss,
      training: perToken(params) * tokens,
      saving: 1 - cost(params, tokens) / cost(Math.exp(logN), Math.exp(logD)),
    };
  }

  // "1e21", "3.5e21", "1 000 000", "1,000,000", "2T"; NaN for anything else, such as "6,5e12".
  function parse(text) {
    const plain = text.replace(/[\s_]/g, "").replace(/^[0-9]{1,3}(,[0-9]{3})+(?![0-9,])/, (x) => x.replaceAll(",", ""));
    const found = /^([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)([kMBT]?)$/i.exec(plain);
    return found ? Number(found[1]) * { "": 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[found[2].toUpperCase()] : NaN;
  }

  globalThis.isoflopCalculator = {
    predict, status, serve, optimum, interval, bounds, unpack, draws, outOfRange, beyondRuns, worst, parse,
  };
})();
