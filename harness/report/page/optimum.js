// The best model of a compute, a size, a corpus or a loss, by every approach, and which approach decides: harness/predict's
// question.py and source.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const PREFERENCE = ["approach_3", "approach_2", "approach_1", "frontier"];
  const NAMES = ["params", "tokens", "flops", "loss", "ratio"];

  const finite = (value) => (Number.isFinite(value) ? value : null);

  // An answer without numbers, for the reasons `flags`.
  const none = (source, flags, order, given = {}) =>
    ({ approach: source.name, loss_kind: source.loss_kind, intervals: {}, ...given, ...calc.judge(flags, order) });

  // The answer of a source to {kind, value}, with its intervals and warnings; without numbers where it has none.
  function ask(source, { kind, value }, order) {
    const { best, draws } = calc.lawsOf(source);
    if (!best) return none(source, source.flags, order, kind === "flops" ? { flops: value } : {});
    if (kind === "flops") return ofBudget(source, best, draws, value, order);
    const at = (one) => {
      const found = kind === "loss" ? one.atLoss(value) : one[kind](value);
      return { ...found, ratio: found.tokens / found.params };
    };
    const found = at(best);
    if (kind === "loss" && !Number.isFinite(found.flops)) {
      const note = Number.isNaN(best.floor)
        ? "this approach has no loss law, so no budget for a loss"
        : `a loss of ${calc.general(value)} is not above the irreducible ${calc.general(best.floor, 4)} of this law: ` +
          "no budget reaches it";
      return none(source, [...source.flags, ["no_optimum", note]], order, { loss: value });
    }
    return estimate(source, found, draws && draws.map(at), kind, true, order);
  }

  function ofBudget(source, best, draws, flops, order) {
    const logs = best.logOptimum(flops);
    if (!(Math.abs(logs[0]) < calc.LARGEST_LOG && Math.abs(logs[1]) < calc.LARGEST_LOG)) {
      const flag = ["no_optimum", `no finite optimum at C = ${calc.general(flops, 3)}`];
      return none(source, [...source.flags, flag], order, { flops });
    }
    const drawn = draws && draws.map((one) => calc.ofLogs(one.logOptimum(flops), flops));
    return estimate(source, calc.ofLogs(logs, flops), drawn, "flops", false, order);
  }

  // An optimum with the intervals of the draws' ones; `given` was asked for and has none.
  function estimate(source, found, drawn, given, keepInfinite, order) {
    const intervals = {};
    for (const name of NAMES) {
      intervals[name] = drawn && calc.percentiles(drawn.map((one) => one[name]), source.level, keepInfinite);
    }
    const unreachable = drawn ? drawn.filter((one) => Math.abs(one.flops) === Infinity).length / drawn.length : 0;
    const flags = [...source.flags, ...calc.rangeFlags(source, found.flops), ...calc.intervalFlags(intervals, unreachable)];
    const beyond = calc.beyondRuns(source, found.params, found.tokens);
    if (beyond.length) {
      flags.push(...beyond);
      // An end that the law's own draws leave open is as open without them.
      for (const name of NAMES) if (!intervals[name] || intervals[name][1] !== Infinity) intervals[name] = null;
    }
    const floorless = calc.noFloor(source, found.flops);
    if (floorless.length) {
      flags.push(...floorless);
      intervals.loss = null;
    }
    flags.push(...calc.below6nd(source, found.params));
    intervals[given] = null;
    const numbers = Object.fromEntries(NAMES.map((name) => [name, finite(found[name])]));
    return { approach: source.name, loss_kind: source.loss_kind, ...numbers, intervals, unreachable, ...calc.judge(flags, order) };
  }

  // The source that decides, of those that have a number: the least doubtful; null where none has. `surface`: the
  // question is about models off the frontier, and those with L(N, D) come first.
  function choose(sources, surface) {
    const known = PREFERENCE.flatMap((name) => sources.filter((one) => one.name === name && one.kind));
    const rank = (one) => [surface && one.kind === "power" ? 1 : 0, one.doubt];
    return known.reduce((best, one) => {
      const [[x, y], [u, v]] = [rank(best), rank(one)];
      return u < x || (u === x && v < y) ? one : best;
    }, known[0] || null);
  }

  Object.assign(calc, { ask, choose, finite });
})();
