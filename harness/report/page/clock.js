// Times by a device's time model, and the best model of a time: the same as harness/predict's clock.py and fixed_time.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const SIZES = 400; // models between the ladder's smallest and largest that are compared
  const REACH = [Math.log(1e3), Math.log(1e32)]; // FLOPs between which a compute-optimal model of a time is looked for
  const TOLERANCE = 1e-4; // of its time, in the logarithm
  const FAR = 10; // times off the frontier's tokens per parameter: far from where runs are usually made

  // The grid of a device: ln seconds by size (rows) and by ln D.
  function makeClock(device) {
    const sizes = device.params.map(Math.log);
    const values = calc.unpack(device.seconds, 1, false).map((row) => row[0]);
    const columns = values.length / sizes.length;
    const [first, last] = device.tokens;
    return {
      sizes,
      start: device.start,
      tokens: Array.from({ length: columns }, (_, i) => first + (i * (last - first)) / (columns - 1)),
      rows: sizes.map((_, i) => values.slice(i * columns, (i + 1) * columns)),
    };
  }

  // How many of the ascending `values` pass a test that the first ones pass.
  function passing(values, test) {
    let low = 0;
    let high = values.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (test(values[middle])) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const lastUpTo = (values, x) => passing(values, (value) => value <= x) - 1;

  // Linear interpolation, held at the ends.
  function interpolate(x, xs, ys) {
    const at = lastUpTo(xs, x);
    if (at < 0) return ys[0];
    if (at >= xs.length - 1) return ys[ys.length - 1];
    return ys[at] + ((x - xs[at]) / (xs[at + 1] - xs[at])) * (ys[at + 1] - ys[at]);
  }

  // Of `valueOf` the two sizes around ln N, linearly between them; held at the ends.
  function between(sizes, logN, valueOf) {
    if (sizes.length === 1) return valueOf(0);
    const smaller = passing(sizes, (size) => size < logN);
    const below = Math.min(Math.max(smaller, 1), sizes.length - 1) - 1;
    const width = sizes[below + 1] - sizes[below];
    const share = Math.min(Math.max((logN - sizes[below]) / (width > 0 ? width : 1), 0), 1);
    return (1 - share) * valueOf(below) + share * valueOf(below + 1);
  }

  // Seconds on the clock of training N on D; above the largest size they grow as N, below the smallest they do not fall.
  function seconds(clock, params, tokens) {
    const [logN, logD] = [Math.log(params), Math.log(tokens)];
    const beyond = Math.max(0, logN - clock.sizes[clock.sizes.length - 1]);
    return Math.exp(between(clock.sizes, logN, (i) => interpolate(logD, clock.tokens, clock.rows[i])) + beyond);
  }

  // ln D of one size in `wanted` ln seconds: the most of that time, where its row is flat; NaN outside the grid.
  function tokensOfSize(clock, index, wanted) {
    const row = clock.rows[index];
    if (!(row[0] < wanted && wanted < row[row.length - 1])) return NaN;
    const at = lastUpTo(row, wanted);
    const next = lastUpTo(row, row[at + 1]);
    const share = (wanted - row[at]) / (row[next] - row[at]);
    return clock.tokens[at] + share * (clock.tokens[next] - clock.tokens[at]);
  }

  // ln D on which models of each of `logNs` are trained in so many seconds; NaN where the start alone takes longer.
  function tokensIn(clock, logNs, time) {
    const bySize = clock.sizes.map((_, i) => tokensOfSize(clock, i, Math.log(time)));
    return logNs.map((logN) => between(clock.sizes, logN, (i) => bySize[i]));
  }

  const covers = (clock, params) =>
    params >= Math.exp(clock.sizes[0]) * (1 - 1e-12) &&
    params <= Math.exp(clock.sizes[clock.sizes.length - 1]) * (1 + 1e-12);

  // Training FLOPs of the compute-optimal model whose training takes so long; NaN where the start alone takes longer.
  function flopsIn(approach, clock, time) {
    if (!(time > clock.start)) return NaN;
    let [low, high] = REACH;
    while (high - low > TOLERANCE) {
      const middle = (low + high) / 2;
      const [logN, logD] = calc.optimum(approach, approach.theta, middle);
      if (seconds(clock, Math.exp(logN), Math.max(1, Math.exp(logD))) < time) low = middle;
      else high = middle;
    }
    return Math.exp((low + high) / 2);
  }

  // The central interval; NaN is left out, an infinity is kept, and to it there is no interpolation.
  function interval(values, level) {
    const sorted = values.filter((value) => !Number.isNaN(value)).sort((x, y) => x - y);
    if (sorted.length < 20) return null;
    if (sorted.every(Number.isFinite)) return calc.interval(sorted, level);
    return [(1 - level) / 2, (1 + level) / 2].map((q) => sorted[Math.ceil(q * (sorted.length - 1))]);
  }

  // The index of the lowest loss by the law of one row, and that loss.
  function lowest([E, A, B, alpha, beta], logNs, logDs) {
    let best = 0;
    let least = Infinity;
    const loss = (i) => E + A * Math.exp(-alpha * logNs[i]) + B * Math.exp(-beta * logDs[i]);
    for (let i = 0; i < logNs.length; i += 1) {
      const here = loss(i);
      if (here < least) [best, least] = [i, here];
    }
    return [best, loss(best)];
  }

  // The model of the lowest loss among all that are trained in so many seconds, by the law, with intervals over its
  // draws; null where no model of the ladder is trained in them. An end of the ladder bounds nothing: a draw whose best
  // is there says that N lies there or beyond.
  function bestOfTime(approach, clock, time, level, order) {
    const [first, last] = [clock.sizes[0], clock.sizes[clock.sizes.length - 1]];
    const count = clock.sizes.length > 1 ? SIZES : 1;
    const every = Array.from({ length: count }, (_, i) => first + (i * (last - first)) / Math.max(1, count - 1));
    const reached = tokensIn(clock, every, time);
    const able = every.map((_, i) => i).filter((i) => reached[i] >= 0);
    if (!able.length) return null;
    const logNs = able.map((i) => every[i]);
    const logDs = able.map((i) => reached[i]);
    const end = able.length - 1;
    const [best, loss] = lowest(approach.theta, logNs, logDs);
    const drawn = calc.draws(approach).map((row) => lowest(row, logNs, logDs));
    const at = (i, low, high, value) => (i === 0 ? low : i === end ? high : value);
    const [params, tokens] = [Math.exp(logNs[best]), Math.exp(logDs[best])];
    const found = {
      params: { value: params, interval: interval(drawn.map(([i]) => at(i, 0, Infinity, Math.exp(logNs[i]))), level) },
      tokens: { value: tokens, interval: interval(drawn.map(([i]) => at(i, Infinity, 0, Math.exp(logDs[i]))), level) },
      loss: { value: loss, interval: interval(drawn.map(([, least]) => least), level) },
      flops: approach.kappa * Math.pow(params, approach.power) * tokens,
      edge: best === 0 ? "smallest" : best === end ? "largest" : "",
    };
    const codes = approach.flags.concat(calc.outOfRange(approach, found.flops));
    const beyond = calc.beyondRuns(approach, params, tokens);
    if (beyond) {
      codes.push("extrapolation");
      for (const one of [found.params, found.tokens, found.loss]) one.interval = null;
    }
    if (found.edge) codes.push("at_edge");
    else if ([found.params, found.tokens].some((one) => one.interval && open(one.interval))) codes.push("wide_interval");
    const [logN, logD] = calc.optimum(approach, approach.theta, Math.log(found.flops));
    const stretch = tokens / params / Math.exp(logD - logN);
    if (!approach.runs && !(1 / FAR <= stretch && stretch <= FAR)) codes.push("extrapolation");
    found.status = calc.worst(codes, order);
    return found;
  }

  // Whether an interval spans more than a factor of ten, or is not bounded.
  const open = ([low, high]) => !(low > 0 && high <= 10 * low && high < Infinity);

  Object.assign(calc, { makeClock, seconds, tokensIn, covers, flopsIn, bestOfTime });
})();
