// When not to believe an answer: the warnings that harness/fit/estimate.py and its neighbours add, in their words.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const { general: g, decimals } = calc;
  const ROUNDING = 1e-9; // of a number at the very edge of the runs
  const WIDE = 10; // an interval that spans a larger factor is too wide
  const FAR = 10; // times off the frontier's tokens per parameter: far from where runs are usually made
  const NO_DRAWS = ["no_interval", "no bootstrap draws, so no intervals"];
  const NO_INTERVAL = ": no interval, since nothing that was run says how the law holds there";

  // {status, flags, notes} of warnings [code, note]: the worst first, by `order`, each once.
  function judge(flags, order) {
    const once = flags.filter(([code, note], i) => flags.findIndex(([c, n]) => c === code && n === note) === i);
    const sorted = once.map((flag, i) => [order.indexOf(flag[0]), i, flag]).sort((x, y) => x[0] - y[0] || x[1] - y[1]);
    const kept = sorted.map(([, , flag]) => flag);
    return { status: kept.length ? kept[0][0] : "ok", flags: kept.map(([code]) => code), notes: kept.map(([, note]) => note) };
  }

  // A budget far beyond those of the runs, or far below.
  function rangeFlags({ smallest, largest, limit }, flops) {
    if (largest && flops > limit * largest * (1 + ROUNDING)) {
      return [["extrapolation", `C = ${g(flops, 3)} is ${g(flops / largest, 3)} x the largest budget of the fit`]];
    }
    if (smallest && limit * flops * (1 + ROUNDING) < smallest) {
      return [["extrapolation", `C = ${g(flops, 3)} is ${g(smallest / flops, 3)} x below the smallest budget of the fit`]];
    }
    return [];
  }

  // A model whose N, D or D/N is so far beyond the runs that there is no interval.
  function beyondRuns({ runs, model_limit: limit }, params, tokens) {
    if (!runs) return [];
    const found = [];
    [["N", params], ["D", tokens], ["D/N", tokens / params]].forEach(([name, value], i) => {
      const [above, below] = [value / runs[2 * i + 1], runs[2 * i] / value];
      if (above > limit * (1 + ROUNDING)) found.push(`${name} = ${g(value, 3)} is ${g(above, 3)} x the largest that was run`);
      else if (below > limit * (1 + ROUNDING)) {
        found.push(`${name} = ${g(value, 3)} is ${g(below, 3)} x below the smallest that was run`);
      }
    });
    return found.length ? [["extrapolation", found.join("; ") + NO_INTERVAL]] : [];
  }

  const span = ([low, high]) => (low > 0 ? high / low : Infinity);

  // Intervals, by name, that are too wide to decide by.
  function wide(ranges) {
    return Object.entries(ranges)
      .filter(([, one]) => one && span(one) > WIDE)
      .map(([name, one]) => {
        const factor = `spans a factor of ${g(span(one), 3)}`;
        const how = Math.abs(one[1]) === Infinity ? "is not bounded" : one[0] > 0 ? factor : "reaches down to 0";
        return ["wide_interval", `the interval of ${name} ${how}`];
      });
  }

  // A share above 0 as per cent; never a 0% or 100% that rounding made.
  function shareText(share) {
    if (share < 0.01) return g(100 * share, 1) + "%";
    return share > 0.99 && share < 1 ? "more than 99%" : decimals(100 * share, 0) + "%";
  }

  // What the intervals of N* and D*, and draws that cannot reach a loss, say.
  function intervalFlags({ params, tokens }, unreachable) {
    const flags = params && tokens ? [] : [NO_DRAWS];
    flags.push(...wide({ "N*": params, "D*": tokens }));
    if (unreachable > 0) {
      flags.push(["unidentified", `${shareText(unreachable)} of the draws cannot reach this loss with any compute`]);
    }
    return flags;
  }

  // A loss beyond the runs by a loss law without a floor.
  function noFloor({ floor, largest }, flops) {
    if (floor !== 0 || !largest || flops <= largest) return [];
    return [["no_floor",
      "its loss law has no floor (the runs show none): beyond them expect losses above it; no interval is given"]];
  }

  // A cost law that has fallen below what any model of that size takes.
  function below6nd({ kind, kappa, power, least }, params) {
    const perPair = kappa * Math.pow(params, power - 1);
    if (kind !== "law" || power === 1 || perPair >= least * 0.999) return [];
    return [["approximate_cost",
      `at N = ${g(params, 3)} the cost law has fallen to ${decimals(perPair, 2)}ND, below ${g(least, 3)}ND: N* and D* would ` +
      `cost ${decimals(100 * (least / perPair - 1), 0)}% more than C, or more`]];
  }

  // A model far off the usual tokens per parameter, where the range of the runs is not known.
  function unusualRatio({ runs }, ratio, usual) {
    const stretch = ratio / usual;
    if (runs || (1 / FAR <= stretch && stretch <= FAR)) return [];
    const how = stretch > 1 ? `${g(stretch, 3)} x` : `1/${g(1 / stretch, 3)} of`;
    return [["extrapolation", `${how} the frontier's tokens per parameter: far from where runs are usually made`]];
  }

  Object.assign(calc, {
    judge, rangeFlags, beyondRuns, wide, intervalFlags, noFloor, below6nd, unusualRatio, NO_DRAWS,
  });
})();
