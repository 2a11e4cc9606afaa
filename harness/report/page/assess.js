// A given model against the optimum of its compute and of its loss, and smaller models of one loss: harness/predict/assess.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const NEAR = 1.1;
  const FACTORS = [1, 1.5, 2, 3, 4, 6]; // how many times smaller

  // N on D, with the compute it used where that is given, by one source.
  function assess(source, { params, tokens, flops: used }, order) {
    const { best: frontier, draws } = calc.lawsOf(source);
    const surface = calc.surfaceOf(source);
    const flops = used || source.kappa * Math.pow(params, source.power) * tokens;
    const given = { approach: source.name, loss_kind: source.loss_kind, params, tokens, flops, intervals: {} };
    if (!frontier) return { ...given, verdict: "this approach has no number", ...calc.judge(source.flags, order) };
    const interval = (values) => calc.percentiles(values, source.level);
    const best = calc.atFlops(frontier, flops);
    const beyond = calc.beyondRuns(source, params, tokens);
    const bestBeyond = calc.beyondRuns(source, best.params, best.tokens);
    const ratio = params / best.params;
    const intervals = {};
    if (draws) {
      const drawn = draws.map((one) => calc.atFlops(one, flops).params);
      intervals.params_ratio = interval(drawn.map((n) => params / n));
      intervals.best_params = interval(drawn);
    }
    if (surface.draws) {
      const losses = surface.draws.map((one) => one.loss(params, tokens));
      intervals.loss = interval(losses);
      intervals.compute_overhead = interval(losses.map((loss, i) => flops / surface.draws[i].atLoss(loss).flops));
    }
    if (beyond.length) intervals.loss = intervals.compute_overhead = null;
    if (bestBeyond.length) intervals.best_params = intervals.params_ratio = null;
    const loss = surface.best ? surface.best.loss(params, tokens) : null;
    const same = surface.best ? surface.best.atLoss(loss).flops : null;
    return {
      ...given,
      loss,
      best_params: calc.finite(best.params),
      best_tokens: calc.finite(best.tokens),
      best_loss: calc.finite(best.loss),
      params_ratio: ratio,
      same_loss_flops: same,
      compute_overhead: same === null ? null : flops / same,
      intervals,
      verdict: verdictOf(ratio, intervals.params_ratio),
      ...calc.judge([...source.flags, ...beyond, ...bestBeyond, ...calc.below6nd(source, best.params)], order),
    };
  }

  function verdictOf(ratio, spread) {
    const near = 1 / NEAR <= ratio && ratio <= NEAR;
    if (spread && spread[0] <= 1 && 1 <= spread[1] && !near) {
      return "not told apart from compute-optimal: the interval includes it";
    }
    if (near) return "compute-optimal, within 10% in parameters";
    if (ratio > 1) return `trained with ${calc.general(ratio, 3)}x too many parameters for its compute`;
    return `trained with ${calc.general(1 / ratio, 3)}x fewer parameters than the optimum of its compute: cheaper to serve`;
  }

  // Smaller models that reach `loss`, what their training costs more, and from how many served tokens they pay.
  function overtrain(source, loss, weight, order) {
    const law = calc.surfaceOf(source).best;
    const optimum = law.atLoss(loss);
    return FACTORS.map((factor) => {
      const params = optimum.params / factor;
      const tokens = law.tokensFor(params, loss);
      if (!Number.isFinite(tokens)) return { smaller: factor, params, tokens: null, ...calc.judge([], order) };
      const training = law.flops(params, tokens);
      const saved = (law.perToken(optimum.params) - law.perToken(params)) * weight;
      const extra = Math.max(0, training - optimum.flops);
      return {
        smaller: factor,
        params,
        tokens,
        training,
        extra_training: factor === 1 ? 0 : training / optimum.flops - 1,
        inference_saved: 1 - Math.pow(factor, -source.power),
        break_even_tokens: saved > 0 ? extra / saved : factor === 1 ? 0 : null,
        ...calc.judge([...calc.rangeFlags(source, training), ...calc.beyondRuns(source, params, tokens)], order),
      };
    });
  }

  // How many times below the optimum a model of the same loss can be at all.
  function mostSmaller(source) {
    const { ratio, alpha } = calc.surfaceOf(source).best;
    return Math.pow(1 + 1 / ratio, 1 / alpha);
  }

  Object.assign(calc, { assess, overtrain, mostSmaller });
})();
