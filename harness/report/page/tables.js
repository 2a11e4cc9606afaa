// The answers as rows of texts and as sentences, with the digits of isoflop predict; nothing here knows the document.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const { count, ratio, power, fixed, general, duration, dollars, decimals } = calc;

  const flopsText = (value) => power(value, 3);
  const lossText = (value) => fixed(value, 4);
  const percent = (value) => general(100 * value, 3) + "%";

  // "1.2M (1.1M to 1.4M)", or a dash.
  const cell = (value, bounds, write) =>
    (calc.known(value) ? calc.withInterval(write(value), calc.interval(bounds, write, write === lossText)) : calc.NOTHING);

  // A loss that is not held-out (approach 1's is a training loss) is marked.
  const marked = (text, kind) => (kind === "held-out" || text === calc.NOTHING ? text : `${text}, ${kind}`);

  // The compute-optimal models of a question. `timed` of an answer gives the cells of the device's columns.
  function optima(found, { labels, kind, timed, headings }) {
    const withFlops = kind !== "flops";
    const rows = found.map((one, i) => [
      labels[i],
      cell(one.params, one.intervals.params, count),
      cell(one.tokens, one.intervals.tokens, count),
      cell(one.ratio, one.intervals.ratio, ratio),
      ...(withFlops ? [cell(one.flops, one.intervals.flops, flopsText)] : []),
      marked(cell(one.loss, one.intervals.loss, lossText), one.loss_kind),
      ...timed(one),
      one,
    ]);
    return { headings: ["approach", "N*", "D*", "D*/N*", ...(withFlops ? ["FLOPs"] : []), "loss", ...headings, "status"], rows };
  }

  // A given model by every approach.
  function assessments(found, labels) {
    const rows = found.map((one, i) => [
      labels[i],
      cell(one.loss, one.intervals.loss, lossText),
      cell(one.best_params, one.intervals.best_params, count),
      cell(one.best_tokens, null, count),
      marked(cell(one.best_loss, null, lossText), one.loss_kind),
      cell(one.params_ratio, one.intervals.params_ratio, (x) => general(x, 3)),
      cell(one.same_loss_flops, null, flopsText),
      cell(one.compute_overhead, one.intervals.compute_overhead, (x) => general(x, 3) + "×"),
      one,
    ]);
    const headings = ["approach", "its loss", "best N", "best D", "best loss", "N / best N", "FLOPs of its loss", "compute overhead", "status"];
    return { headings, rows };
  }

  // The best model of a time, beside the compute-optimal one whose training takes as long.
  function timedModels(best, plain) {
    const row = (name, one) => [
      name,
      cell(one.params, one.intervals.params, count),
      cell(one.tokens, one.intervals.tokens, count),
      flopsText(one.flops),
      cell(one.loss, one.intervals.loss, lossText),
      one,
    ];
    return { headings: ["", "N", "D", "FLOPs", "loss", "status"], rows: [row("best of the time", best), row("compute-optimal", plain)] };
  }

  // The cheapest model over its life, beside the cheapest to train.
  function served(found) {
    const row = (name, { params, tokens, flops }, all, { intervals = {}, saving, status }) => [
      name,
      cell(params, intervals.params, count),
      cell(tokens, intervals.tokens, count),
      ratio(tokens / params),
      flopsText(flops),
      flopsText(all.inference),
      flopsText(all.cost),
      saving === undefined ? "" : cell(saving, intervals.saving, percent),
      status ? found : "",
    ];
    const rows = [
      row("cheapest over its life", found.life, { inference: found.inference, cost: found.cost }, found),
      row("cheapest to train", found.plain, { inference: found.plain_inference, cost: found.plain_cost }, {}),
    ];
    return { headings: ["", "N", "D", "D/N", "training", "inference", "in all", "saved", "status"], rows };
  }

  // Smaller models of one loss.
  function smaller(found) {
    const rows = found.map((one) => {
      const reached = one.tokens !== null;
      const more = reached ? 100 * one.extra_training : 0;
      return [
        general(one.smaller, 3) + "×",
        count(one.params),
        reached ? count(one.tokens) : "never reaches it",
        reached ? ratio(one.tokens / one.params) : calc.NOTHING,
        reached ? flopsText(one.training) : calc.NOTHING,
        reached ? "+" + calc.grouped(decimals(more, more >= 100 ? 0 : 1)) + "%" : calc.NOTHING,
        reached ? percent(1 - one.inference_saved) : calc.NOTHING,
        one.break_even_tokens ? count(one.break_even_tokens) + " tokens" : calc.NOTHING,
        reached ? one : calc.NOTHING,
      ];
    });
    return { headings: ["smaller", "N", "D", "D/N", "training", "extra", "inference", "break-even", "status"], rows };
  }

  // What a corpus of limited size changes.
  function limitedText(found, unique) {
    const begins = `repetition begins at ${flopsText(found.first_repeat_flops)} FLOPs`;
    if (found.epochs <= 1) return [`They suffice: ${general(found.epochs, 2)} epochs; ${begins}.`];
    const { intervals, plain } = found;
    return [
      `N = ${cell(found.params, intervals.params, count)} on D = ${count(found.tokens)}: ` +
        `${cell(found.epochs, intervals.epochs, (x) => general(x, 3))} epochs of ${count(unique)}, worth ` +
        `${count(found.effective_tokens)} fresh tokens; loss ${cell(found.loss, intervals.loss, lossText)}, ${flopsText(found.flops)} FLOPs.`,
      `With enough fresh tokens: N = ${count(plain.params)} on D = ${count(plain.tokens)}, loss ${lossText(plain.loss)}, ` +
        `${flopsText(plain.flops)} FLOPs.`,
      `The last token is worth ${decimals(100 * found.last_token_worth, 0)}% of a fresh one; half from epoch ` +
        `${general(found.half_worth_epochs, 3)} on; ${begins}.`,
    ];
  }

  // "3 h 20 min on h100 (assumed), 38% of its peak, $6.67".
  function costText(time, flops, device) {
    const share = device.peak ? `, ${general((100 * flops) / (time * device.peak), 2)}% of its peak` : "";
    const money = device.price > 0 ? `, ${dollars((time / 3600) * device.price)}` : "";
    return `${duration(time)} on ${device.label}${share}${money}`;
  }

  // Every distinct warning of answers {label, notes}, with those whom it is about.
  function warnings(found) {
    const about = new Map();
    for (const { label, notes } of found) {
      for (const note of notes) about.set(note, [...new Set([...(about.get(note) || []), label])]);
    }
    const everyone = new Set(found.map(({ label }) => label)).size;
    return [...about].map(([note, labels]) => `${labels.length === everyone && everyone > 1 ? "all" : labels.join(", ")}: ${note}`);
  }

  Object.assign(calc, {
    tables: { optima, assessments, timedModels, served, smaller, limitedText, costText, warnings, flopsText, lossText },
  });
})();
