// The best model on a corpus of limited size, what repeated tokens are worth (Muennighoff et al. 2023):
// harness/predict's repetition.py and data_constrained.py.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const POINTS = 64;

  // `amount` of which only `unique` is fresh: what it is worth.
  function saturating(amount, unique, r) {
    const repeats = Math.max(amount / unique - 1, 0);
    return Math.min(amount, unique) - unique * r * Math.expm1(-repeats / r);
  }

  // What one law and the constants of repetition say of a corpus of `unique` tokens.
  function corpus(law, unique, { r_tokens: rTokens, r_params: rParams }, { kappa, power }) {
    const size = law.tokens(unique).params; // what the unique tokens can use
    const loss = (n, d) => law.loss(saturating(n, size, rParams), saturating(d, unique, rTokens));

    // The best model of C FLOPs.
    function optimum(flops) {
      const plain = calc.atFlops(law, flops);
      if (plain.tokens <= unique) return plain;
      const tokensOf = (n) => flops / (kappa * Math.pow(n, power));
      const at = (logN) => loss(Math.exp(logN), tokensOf(Math.exp(logN)));
      const params = Math.exp(lowest(at, Math.log(size), Math.log(flops / (kappa * unique)) / power));
      const tokens = tokensOf(params);
      return { params, tokens, flops, loss: loss(params, tokens) };
    }

    return {
      loss,
      optimum,
      effectiveParams: (n) => saturating(n, size, rParams),
      effectiveTokens: (d) => saturating(d, unique, rTokens),
      most: [size * (1 + rParams), unique * (1 + rTokens)], // (N', D') that nothing exceeds
      absorbed: law.flops(size * (1 + 7 * rParams), unique * (1 + 7 * rTokens)), // more is worth next to nothing
    };
  }

  // Where a function is lowest in [low, high], to 1e-9: a grid, refined around its lowest point.
  function lowest(value, low, high) {
    while (high - low > 1e-9) {
      const [first, last, step] = [low, high, (high - low) / (POINTS - 1)];
      const grid = Array.from({ length: POINTS }, (_, i) => (i === POINTS - 1 ? last : first + i * step));
      const values = grid.map(value);
      let best = 0;
      for (let i = 1; i < POINTS; i += 1) if (values[i] < values[best]) best = i;
      [low, high] = [grid[Math.max(best - 1, 0)], grid[Math.min(best + 1, POINTS - 1)]];
    }
    return 0.5 * (low + high);
  }

  // The cheapest training that reaches a loss on the corpus, or the problem.
  function atLoss(law, loss, unique, here) {
    const plain = law.atLoss(loss);
    if (!Number.isFinite(plain.flops)) {
      return { problem: `A loss of ${calc.general(loss)} is not above the law's irreducible loss ${calc.general(law.floor, 4)}.` };
    }
    if (plain.tokens <= unique) return plain;
    const surplus = (logC) => here.optimum(Math.exp(logC)).loss - loss;
    const [low, high] = [Math.log(plain.flops), Math.log(here.absorbed)];
    if (high <= low || surplus(high) > 0) {
      return {
        problem: `A loss of ${calc.general(loss)} is out of reach of ${calc.general(unique, 3)} unique tokens: no compute ` +
          `brings them below ${calc.general(law.loss(...here.most), 4)}; get more text.`,
      };
    }
    return here.optimum(Math.exp(calc.root(surplus, low, high)));
  }

  // The answer of a source with L(N, D) to {kind: "flops" or "loss", value}; {problem} where the loss is out of reach.
  function limited(source, { kind, value }, unique, repetition, order) {
    const { best: law, draws } = calc.surfaceOf(source);
    const here = corpus(law, unique, repetition, source);
    const found = kind === "flops" ? here.optimum(value) : atLoss(law, value, unique, here);
    if (found.problem) return found;
    const { params, tokens, flops } = found;
    const drawn = draws && draws.filter((one) => one.usable).map((one) => corpus(one, unique, repetition, source).optimum(flops));
    const beyond = calc.beyondRuns(source, params, tokens);
    const flags = [...source.flags, ...calc.rangeFlags(source, flops), ...beyond];
    if (!draws) flags.push(calc.NO_DRAWS);
    if (flops > here.absorbed) {
      flags.push(["unidentified", "this compute exceeds what the corpus can absorb: N and D hardly matter any more"]);
    }
    const spread = (of) => (drawn && !beyond.length ? calc.percentiles(drawn.map(of), source.level) : null);
    return {
      approach: source.name,
      ...found,
      epochs: tokens / unique,
      effective_tokens: here.effectiveTokens(tokens),
      plain: kind === "flops" ? calc.atFlops(law, value) : law.atLoss(value),
      last_token_worth: Math.exp(-Math.max(tokens / unique - 1, 0) / repetition.r_tokens),
      first_repeat_flops: law.tokens(unique).flops,
      half_worth_epochs: 1 + Math.log(2) * repetition.r_tokens,
      intervals: {
        params: spread((one) => one.params),
        epochs: spread((one) => one.tokens / unique),
        loss: spread((one) => one.loss),
      },
      ...calc.judge(flags, order),
    };
  }

  // L(N, D) of a given model whose tokens repeat.
  const repeatedLoss = (source, { params, tokens }, unique, repetition) =>
    corpus(calc.surfaceOf(source).best, unique, repetition, source).loss(params, tokens);

  Object.assign(calc, { limited, repeatedLoss });
})();
