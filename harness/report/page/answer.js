// Everything that the page can say to one question: what harness/workflow/predict.py and harness/predict/result.py do.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;

  // The source that decides; `instead` is the one that isoflop predict decides by, where the page does not know its form.
  function deciderOf({ approaches }, surface) {
    const wanted = calc.choose(approaches, surface);
    const known = calc.choose(approaches.filter((one) => one.kind !== "other"), surface);
    return { decider: known, instead: wanted === known ? null : wanted };
  }

  // Whether a question is about models off the frontier, of which L(N, D) alone knows.
  const offFrontier = ({ model, time, served, unique }) => Boolean(model || time || served !== null || unique !== null);

  const otherForm = (source) =>
    ({ approach: source.name, loss_kind: source.loss_kind, intervals: {}, status: "other_form", flags: [],
      notes: [`this page does not compute ${source.formula}; isoflop predict does`] });

  // Seconds that a training takes on a device: by its time model, or at a constant share of its peak.
  function secondsFor(device, { params, tokens, flops }) {
    if (device.mfu) return flops / (device.peak * device.mfu);
    return calc.seconds(device.clock, params, Math.max(1, tokens));
  }

  // Training FLOPs of the compute-optimal model that takes so long; {problem} where there is none.
  function flopsOfTime(data, device, time) {
    if (device.mfu) return { flops: time * device.peak * device.mfu };
    const { decider } = deciderOf(data, true);
    const flops = calc.flopsIn(decider, device.clock, time);
    if (Number.isNaN(flops)) {
      const least = calc.general(device.start, 3);
      return { problem: `${calc.general(time, 3)} s is less than a run's start takes, ${least} s on ${device.label}; ask for more.` };
    }
    if (flops === Infinity) return { problem: `${calc.duration(time)} is more than 10³² FLOPs take on ${device.label}; ask for less.` };
    return { flops };
  }

  // `asked`: {kind, value} of a compute-optimal model or {model: {params, tokens, flops}}; and {time, device, served, weight,
  // unique}, null where they are not asked. Returns the parts that have an answer, and `problems`: sentences.
  function answer(data, asked) {
    const { order, approaches } = data;
    const { decider, instead } = deciderOf(data, offFrontier(asked));
    const { model, served, unique, time, device } = asked;
    const result = { decider, instead, problems: [], optima: null, assessments: null, serving: null, limited: null, timed: null };
    const each = (say) => approaches.map((one) => (one.kind === "other" ? otherForm(one) : say(one)));
    const own = (found) => found[approaches.indexOf(decider)];
    let loss;
    if (model) {
      result.assessments = each((one) => calc.assess(one, model, order));
      loss = own(result.assessments).loss;
    } else {
      result.optima = each((one) => calc.ask(one, asked, order));
      const best = own(result.optima);
      loss = best.loss;
      if (!calc.known(best.params)) {
        result.problems.push(best.notes.join("; "));
        return result;
      }
    }
    const needsLaw = (what) => `${what} needs L(N, D): ${decider.title} knows only the compute-optimal models.`;
    if (unique !== null) {
      if (decider.kind !== "law") result.problems.push(needsLaw("A corpus of limited size"));
      else if (model) result.repeatedLoss = calc.repeatedLoss(decider, model, unique, data.repetition);
      else if (asked.kind !== "flops" && asked.kind !== "loss") {
        result.problems.push("Unique tokens: ask for a budget or a loss with them.");
      } else {
        const found = calc.limited(decider, asked, unique, data.repetition, order);
        if (found.problem) result.problems.push(found.problem);
        else result.limited = found;
      }
    }
    if (served !== null) {
      if (decider.kind !== "law" || !calc.known(loss)) result.problems.push(needsLaw("Serving"));
      else {
        result.serving = calc.serve(decider, loss, served, asked.weight, order);
        result.smaller = calc.overtrain(decider, loss, asked.weight, order);
        result.mostSmaller = calc.mostSmaller(decider);
      }
    }
    if (time && decider.kind === "law" && !device.mfu) {
      result.timed = calc.bestOfTime(decider, device.clock, time, order);
      if (!result.timed) {
        result.problems.push(`In ${calc.duration(time)} on ${device.label} no model of the ladder is trained on 1e3 to 1e17 tokens.`);
      }
    }
    result.decided = decided(result, own);
    return result;
  }

  // {params, tokens, flops} to train: with serving counted in, else on the corpus there is, of the time, else the optimum.
  function decided({ serving, limited, timed, assessments, optima }, own) {
    if (serving) return serving.life;
    if (limited) return limited;
    if (timed) return timed;
    if (optima) return own(optima);
    const found = own(assessments);
    return { params: found.best_params, tokens: found.best_tokens, flops: found.flops };
  }

  Object.assign(calc, { answer, deciderOf, secondsFor, flopsOfTime });
})();
