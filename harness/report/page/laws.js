// The fitted laws and their bootstrap draws: the closed forms of harness/fit/laws.py, and intervals by its bootstrap.py.
(function () {
  "use strict";

  const ENOUGH = 20; // fewer usable draws give no interval
  const BEYOND_NUMBERS = 1e100; // an end beyond this is not bounded
  const LARGEST_LOG = 700; // of a number that a float can hold

  // Numbers from base64 of little-endian 64-bit floats: those of the fit, bit for bit.
  function floats(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 8 }, (_, i) => view.getFloat64(8 * i, true));
  }

  // The law of one row of parameters; `source` says how compute follows from N and D.
  function law(source, [E, A, B, alpha, beta, kappa = 1]) {
    const { kappa: cost, power } = source;
    const ratio = (power * beta) / alpha; // A/N^alpha over B/D^beta on the frontier
    const above = (inner) => E + (kappa === 1 ? inner : Math.pow(inner, kappa));
    const reducible = (loss) => Math.pow(Math.max(loss - E, 0), 1 / kappa);
    const flops = (n, d) => cost * Math.pow(n, power) * d;
    const loss = (n, d) => above(A * Math.pow(n, -alpha) + B * Math.pow(d, -beta));
    const known = (params, tokens) => ({ params, tokens, flops: flops(params, tokens), loss: loss(params, tokens) });
    return {
      E, A, B, alpha, beta, ratio, reducible, flops, loss,
      floor: E,
      usable: [E, A, B, alpha, beta, kappa].every(Number.isFinite) && Math.min(A, B, alpha, beta, kappa) > 0 && E >= 0,
      perToken: (n) => (cost * Math.pow(n, power)) / 3, // FLOPs of a token served
      logOptimum(c) {
        const logC = Math.log(c / cost);
        const logN = (Math.log((alpha * A) / (power * beta * B)) + beta * logC) / (alpha + power * beta);
        const logD = logC - power * logN;
        return [logN, logD, above(A * Math.exp(-alpha * logN) + B * Math.exp(-beta * logD))];
      },
      params: (n) => known(n, Math.pow(B / ((A * Math.pow(n, -alpha)) / ratio), 1 / beta)),
      tokens: (d) => known(Math.pow(A / (B * Math.pow(d, -beta) * ratio), 1 / alpha), d),
      atLoss(wanted) {
        const dataTerm = reducible(wanted) / (1 + ratio);
        const params = Math.pow(A / (dataTerm * ratio), 1 / alpha);
        const tokens = Math.pow(B / dataTerm, 1 / beta);
        return { params, tokens, flops: flops(params, tokens), loss: wanted };
      },
      tokensFor(n, wanted) {
        const left = reducible(wanted) - A * Math.pow(n, -alpha);
        return left > 0 ? Math.pow(B / left, 1 / beta) : Infinity;
      },
    };
  }

  // Power laws of compute, which know the best model of every budget and of no other.
  function powers([logG, a, logH, b, floor, logScale, exponent]) {
    const logs = (logC) => [logG + a * logC, logH + b * logC, floor + Math.exp(logScale - exponent * logC)];
    function at(logC) {
      const [logN, logD, loss] = logs(logC);
      return { params: Math.exp(logN), tokens: Math.exp(logD), flops: Math.exp(logC), loss };
    }
    return {
      floor,
      logOptimum: (c) => logs(Math.log(c)),
      params: (n) => at((Math.log(n) - logG) / a),
      tokens: (d) => at((Math.log(d) - logH) / b),
      atLoss: (loss) => ({ ...at((logScale - Math.log(Math.max(loss - floor, 0))) / exponent), loss }),
    };
  }

  const frontier = (source, row) => (source.kind === "law" ? law(source, row) : powers(row));

  // The fit's own frontier and those of its draws, each made once.
  const made = new WeakMap();
  function lawsOf(source) {
    if (!made.has(source)) {
      const every = source.draws ? floats(source.draws) : [];
      const rows = [];
      for (let at = 0; at < every.length; at += source.columns) rows.push(every.slice(at, at + source.columns));
      const theta = source.theta && source.theta.map((value) => (value === null ? NaN : value));
      made.set(source, {
        best: theta && frontier(source, theta),
        draws: rows.length ? rows.map((row) => frontier(source, row)) : null,
      });
    }
    return made.get(source);
  }

  // L(N, D), where the source has it: the fit's own and that of every draw.
  const surfaceOf = (source) => (source.kind === "law" ? lawsOf(source) : { best: null, draws: null });

  // From ln N and ln D, which may be of numbers that no float holds: these become the largest or smallest.
  function ofLogs([logN, logD, loss], flops) {
    const exp = (x) => (Number.isNaN(x) ? NaN : Math.exp(Math.min(LARGEST_LOG, Math.max(-LARGEST_LOG, x))));
    return { params: exp(logN), tokens: exp(logD), flops, loss, ratio: exp(logD - logN) };
  }

  // The best model of a budget.
  function atFlops(one, flops) {
    const [logN, logD, loss] = one.logOptimum(flops);
    return { params: Math.exp(logN), tokens: Math.exp(logD), flops, loss };
  }

  // The central interval of the draws, by numpy's rule; null where fewer than 20 have a value. An infinite draw counts
  // where `keepInfinite`, and then nothing is interpolated.
  function percentiles(values, level, keepInfinite = true) {
    const usable = values.filter(keepInfinite ? (x) => !Number.isNaN(x) : Number.isFinite).sort((x, y) => x - y);
    if (usable.length < ENOUGH) return null;
    const linear = usable.every(Number.isFinite);
    return [(1 - level) / 2, (1 + level) / 2].map((q) => {
      const at = q * (usable.length - 1);
      if (!linear) return end(usable[Math.ceil(at)]);
      const low = Math.floor(at);
      const [below, above] = [usable[low], usable[Math.min(low + 1, usable.length - 1)]];
      const share = at - low;
      return end(share < 0.5 ? below + (above - below) * share : above - (above - below) * (1 - share));
    });
  }

  function end(value) {
    if (Math.abs(value) > BEYOND_NUMBERS) return Math.sign(value) * Infinity;
    return Math.abs(value) < 1 / BEYOND_NUMBERS ? 0 : value;
  }

  Object.assign(globalThis.isoflopCalculator, {
    floats, lawsOf, surfaceOf, ofLogs, atFlops, percentiles, LARGEST_LOG,
  });
})();
