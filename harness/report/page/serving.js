// The cheapest model over its whole life, training and serving (Sardana et al. 2024): harness/predict/serving.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;

  // The root of a falling function in [low, high], to the last digit of a float.
  function root(falling, low, high) {
    for (;;) {
      const middle = (low + high) / 2;
      if (!(low < middle && middle < high)) return middle;
      if (falling(middle) > 0) low = middle;
      else high = middle;
    }
  }

  // The model of `loss` for which training, and `weight` times the FLOPs of serving so many tokens, cost least.
  function cheapest(law, loss, served, weight) {
    const { A, B, alpha, beta, ratio } = law;
    const excess = law.reducible(loss);
    const extra = (weight * served) / 3;
    let logD = Math.log((B * (1 + ratio)) / excess) / beta;
    if (extra > 0) {
      const surplus = (x) => (B * Math.exp(-beta * x) * (1 + ratio * (1 + extra * Math.exp(-x)))) / excess - 1;
      const high = Math.max(
        Math.log((2 * B * (1 + ratio)) / excess) / beta,
        Math.log((2 * B * ratio * extra) / excess) / (1 + beta),
      );
      logD = root(surplus, logD - 1e-6, high + 1e-6);
    }
    const tokens = Math.exp(logD);
    const params = Math.pow(A / (ratio * B * Math.pow(tokens, -beta) * (1 + extra / tokens)), 1 / alpha);
    return { params, tokens, flops: law.flops(params, tokens), loss };
  }

  // {life, plain, saving} of one law: the cheapest over its life, beside the cheapest to train.
  function compared(law, loss, served, weight) {
    const [life, plain] = [cheapest(law, loss, served, weight), law.atLoss(loss)];
    const [inference, plainInference] = [life, plain].map(({ params }) => law.perToken(params) * served);
    const [cost, plainCost] = [life.flops + weight * inference, plain.flops + weight * plainInference];
    return { life, plain, inference, plain_inference: plainInference, cost, plain_cost: plainCost, saving: 1 - cost / plainCost };
  }

  // The answer of a source with L(N, D), for a loss above its floor.
  function serve(source, loss, served, weight, order) {
    const { best, draws } = calc.surfaceOf(source);
    const found = compared(best, loss, served, weight);
    const { life, plain } = found;
    const intervals = { params: null, tokens: null, saving: null };
    if (draws) {
      const drawn = draws.map((one) => (one.usable && loss > one.floor ? compared(one, loss, served, weight) : null));
      const spread = (of) => calc.percentiles(drawn.map((one) => (one ? of(one) : NaN)), source.level);
      intervals.params = spread((one) => one.life.params);
      intervals.tokens = spread((one) => one.life.tokens);
      intervals.saving = spread((one) => one.saving);
    }
    const beyond = calc.beyondRuns(source, life.params, life.tokens);
    const flags = [...source.flags, ...calc.rangeFlags(source, life.flops), ...beyond];
    if (!intervals.params) flags.push(calc.NO_DRAWS);
    if (beyond.length) intervals.params = intervals.tokens = intervals.saving = null;
    flags.push(...calc.unusualRatio(source, life.tokens / life.params, plain.tokens / plain.params));
    return { approach: source.name, ...found, loss, intervals, ...calc.judge(flags, order) };
  }

  Object.assign(calc, { serve, root });
})();
