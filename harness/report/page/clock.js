// Times by a device's time model, and the best model of a time: the same as harness/predict's clock.py and fixed_time.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const SIZES = 400; // models between the ladder's smallest and largest that are compared
  const REACH = [Math.log(1e3), Math.log(1e32)]; // FLOPs between which a compute-optimal model of a time is looked for
  const TOLERANCE = 1e-4; // of its time, in the logarithm

  // The grid of a device: ln seconds by size (rows) and by ln D.
  function makeClock(device) {
    const sizes = device.params.map(Math.log);
    const values = calc.floats(device.seconds);
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

  // Seconds of the compute-optimal model of a budget, by one source.
  function secondsOf(source, clock, flops) {
    const { params, tokens } = calc.atFlops(calc.lawsOf(source).best, flops);
    return seconds(clock, params, Math.max(1, tokens));
  }

  // Training FLOPs of the compute-optimal model whose training takes so long; NaN where the start alone takes longer,
  // Infinity where every training looked at takes less.
  function flopsIn(source, clock, time) {
    if (!(time > clock.start)) return NaN;
    let [low, high] = REACH;
    const isShorter = (logC) => secondsOf(source, clock, Math.exp(logC)) < time;
    if (isShorter(high)) return Infinity;
    while (high - low > TOLERANCE) {
      const middle = (low + high) / 2;
      if (isShorter(middle)) low = middle;
      else high = middle;
    }
    return Math.exp((low + high) / 2);
  }

  // The index of the lowest loss by one law, and that loss.
  function lowest(law, params, tokens) {
    let [best, least] = [0, Infinity];
    for (let i = 0; i < params.length; i += 1) {
      const here = law.loss(params[i], tokens[i]);
      if (here < least) [best, least] = [i, here];
    }
    return [best, law.loss(params[best], tokens[best])];
  }

  // Models of the ladder's range, evenly in ln N, and the tokens each is trained on in so many seconds.
  function trainable(clock, time) {
    const [first, last] = [clock.sizes[0], clock.sizes[clock.sizes.length - 1]];
    const count = clock.sizes.length > 1 ? SIZES : 1;
    const every = Array.from({ length: count }, (_, i) => first + (i * (last - first)) / Math.max(1, count - 1));
    const reached = tokensIn(clock, every, time);
    const able = every.map((_, i) => i).filter((i) => reached[i] >= 0);
    return [able.map((i) => Math.exp(every[i])), able.map((i) => Math.exp(reached[i]))];
  }

  // The model of the lowest loss among all that are trained in so many seconds, by a source with L(N, D); null where no
  // model of the ladder is trained in them. An end of the ladder bounds nothing: a draw whose best is there says that N
  // lies there or beyond.
  function bestOfTime(source, clock, time, order) {
    const [params, tokens] = trainable(clock, time);
    if (!params.length) return null;
    const { best: law, draws } = calc.surfaceOf(source);
    const end = params.length - 1;
    const [at, loss] = lowest(law, params, tokens);
    const [n, d] = [params[at], tokens[at]];
    const flops = law.flops(n, d);
    const intervals = { params: null, tokens: null, loss: null };
    const beyond = calc.beyondRuns(source, n, d);
    const flags = [...source.flags, ...calc.rangeFlags(source, flops), ...beyond];
    if (draws) {
      const drawn = draws.map((one) => lowest(one, params, tokens));
      const ends = (low, high, values) => drawn.map(([i]) => (i === 0 ? low : i === end ? high : values[i]));
      intervals.params = calc.percentiles(ends(0, Infinity, params), source.level);
      intervals.tokens = calc.percentiles(ends(Infinity, 0, tokens), source.level);
      intervals.loss = calc.percentiles(drawn.map(([, least]) => least), source.level);
    }
    if (at === 0 || at === end) {
      flags.push(["at_edge",
        `the best of this time is the ${at ? "largest" : "smallest"} model of the ladder (${calc.general(n, 3)} parameters): ` +
        "a ladder that goes further may have a better one"]);
    } else if (!beyond.length) flags.push(...spreadFlags(intervals));
    if (beyond.length) intervals.params = intervals.tokens = intervals.loss = null;
    const usual = calc.atFlops(law, flops);
    flags.push(...calc.unusualRatio(source, d / n, usual.tokens / usual.params));
    return { approach: source.name, seconds: time, params: n, tokens: d, flops, loss, intervals, ...calc.judge(flags, order) };
  }

  // The warning about a best model inside the ladder whose interval is wide, or reaches an end of the ladder.
  function spreadFlags({ params, tokens }) {
    if (params && (params[0] === 0 || params[1] === Infinity)) {
      return [["wide_interval",
        "by some draws of the law the best of this time is at an end of the ladder: N and D have no bound there"]];
    }
    return calc.wide({ N: params, D: tokens });
  }

  Object.assign(calc, { makeClock, seconds, secondsOf, tokensIn, covers, flopsIn, bestOfTime });
})();
