// An answer in the page: its tables, its doubts, and the command that asks the same.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const { tables, count, power, general, duration, times } = calc;
  const at = (id) => document.getElementById("calculator-" + id);

  function clear() {
    at("answers").replaceChildren();
    at("status").textContent = "";
    at("line").hidden = true;
  }

  function present(data, asked, found) {
    clear();
    const { say, table, list } = calc.writer(at("answers"), data.statuses);
    const { decider, instead } = found;
    const labels = data.approaches.map((one) => one.label);
    const strong = data.approaches.indexOf(decider);
    if (instead) {
      say(`isoflop predict decides by ${instead.title}, ${instead.formula}, which this page does not compute: below decides ` +
        `${decider.title}.`, "problem");
    }
    if (asked.time) showTime(data, asked, found, say, table);
    if (found.optima) showOptima(data, asked, found, { say, table, labels, strong });
    if (found.assessments) showModel(asked, found, { say, table, labels, strong });
    if (found.repeatedLoss !== undefined) {
      say(`With ${count(asked.unique)} unique tokens, repeats counting less: loss ${tables.lossText(found.repeatedLoss)}.`);
    }
    if (found.serving) showServing(asked, found, say, table);
    if (found.limited) {
      say(`With ${count(asked.unique)} unique tokens, repeats counting less (by ${decider.title}):`);
      for (const text of tables.limitedText(found.limited, asked.unique)) say(text);
    }
    showCost(asked, found, say);
    showRange(data, asked, found, say);
    list(tables.warnings(warned(data, found)));
    const thinned = data.approaches.filter((one) => one.drawn * one.columns * 8 > 0 && calc.lawsOf(one).draws.length < one.drawn);
    for (const one of thinned) {
      say(`${one.label}: this page has ${calc.lawsOf(one).draws.length} of ${one.drawn} bootstrap draws; isoflop predict uses all.`, "soft");
    }
    at("status").textContent = summary(data, found);
    showCommand(data, asked);
  }

  const deviceColumns = (device) => (device ? [`time on ${device.label}`, ...(device.price > 0 ? ["dollars"] : [])] : []);

  function showOptima(data, asked, found, { say, table, labels, strong }) {
    const { device, kind, value, time } = asked;
    const said = {
      flops: `The best model for ${power(value, 4)} training FLOPs` + (time ? ", the compute of the compute-optimal model of that time" : ""),
      params: `The training for which ${count(value)} parameters are compute-optimal`,
      tokens: `The training for which ${count(value)} tokens are compute-optimal`,
      loss: `The cheapest training that reaches a loss of ${general(value)}`,
    }[kind];
    const spread = found.optima.some((one) => one.intervals.params || one.intervals.flops);
    say(said + (spread ? `, with ${calc.decimals(100 * data.level, 0)}% intervals:` : ":"));
    const headings = deviceColumns(device);
    const timed = (one) => {
      if (!calc.known(one.params)) return headings.map(() => calc.NOTHING);
      const seconds = calc.secondsFor(device, one);
      return [duration(seconds), calc.dollars((seconds / 3600) * device.price)].slice(0, headings.length);
    };
    table(tables.optima(found.optima, { labels, kind, headings, timed: device ? timed : () => [] }), "", strong);
    const outside = ({ params }) => calc.known(params) && !calc.covers(device.clock, params);
    if (device && !device.mfu && found.optima.some(outside)) {
      const [least, most] = [device.params[0], device.params[device.params.length - 1]];
      say(`Times of models smaller or larger than any of the ladder (${count(least)} to ${count(most)} parameters) are extrapolated.`, "soft");
    }
  }

  function showModel({ model }, found, { say, table, labels, strong }) {
    const { params, tokens } = model;
    const own = found.assessments[strong];
    say(`${count(params)} parameters on ${count(tokens)} tokens (${general(tokens / params, 3)} a parameter): ${power(own.flops, 3)} FLOPs`);
    table(tables.assessments(found.assessments, labels), "", strong);
    found.assessments.forEach((one, i) => { if (one.verdict) say(`${labels[i]}: ${one.verdict}.`); });
  }

  function showTime(data, asked, { timed, optima, decider }, say, table) {
    const { time, device } = asked;
    if (timed) {
      say(`The best model of ${tables.costText(time, timed.flops, device)}, and the compute-optimal one whose training takes as long:`);
      table(tables.timedModels(timed, optima[data.approaches.indexOf(decider)]), "", 0);
    } else if (decider.kind !== "law" || device.mfu) {
      const why = decider.kind !== "law" ? `${decider.title} has no L(N, D)` : "times are a constant share of the peak";
      say(`The best model of this time is not distinguished from that of its FLOPs: ${why}.`, "soft");
    }
  }

  function showServing({ served, weight }, { serving, smaller, mostSmaller, decider }, say, table) {
    const heavy = weight === 1 ? "" : `, a served FLOP weighing ${general(weight, 3)} training FLOPs`;
    say(`Serving ${count(served)} tokens at a loss of ${tables.lossText(serving.loss)}${heavy} (by ${decider.title}):`);
    table(tables.served(serving), "", 0);
    say(`Smaller models of that loss (none below 1/${general(mostSmaller, 3)} reaches it):`);
    table(tables.smaller(smaller), "");
  }

  function showCost({ device, time, unique }, { decided, serving }, say) {
    if (!device || !decided || !calc.known(decided.params)) return;
    const seconds = calc.secondsFor(device, decided);
    say(`Training ${count(decided.params)} parameters on ${count(decided.tokens)} tokens takes ${tables.costText(seconds, decided.flops, device)}.`);
    const said = device.mfu ? `Times at a constant ${general(100 * device.mfu, 3)}% of the peak of ${device.name}` : device.said;
    say((time ? "Intervals cover the uncertainty of the fit, not that of the device's times. " : "") + said + ".", "soft");
    if (serving && unique !== null && serving.life.tokens > unique) {
      say(`Serving wants ${general(serving.life.tokens, 3)} tokens of ${general(unique, 3)} unique ones and counts repeats as fresh.`, "problem");
    }
  }

  function showRange({ approaches }, asked, { decided }, say) {
    const flops = asked.kind === "flops" ? asked.value : decided && decided.flops;
    const largest = Math.max(...approaches.map((one) => one.largest || 0));
    const limit = Math.max(...approaches.map((one) => one.limit));
    if (largest > 0 && flops > 1.001 * largest) {
      const far = flops > limit * largest;
      say(`This is ${times(flops / largest)} the largest run: extrapolation${far ? " beyond what the fit supports" : ""}.`, far ? "problem" : "soft");
    }
  }

  // Every part of the answer that can warn, with whom it is about.
  function warned({ approaches }, { optima, assessments, serving, limited, timed, smaller, decider }) {
    const each = (optima || assessments).map((one, i) => ({ label: approaches[i].label, notes: one.notes }));
    const own = [serving, limited, timed].filter(Boolean).map(({ notes }) => ({ label: decider.label, notes }));
    const far = (smaller || []).filter((one) => one.status === "extrapolation").slice(0, 1);
    return [...each, ...own, ...far.map((one) => ({ label: `${general(one.smaller, 3)}× smaller`, notes: one.notes.slice(0, 1) }))];
  }

  function summary({ approaches, statuses }, { decider, optima, assessments, serving, limited, timed, decided }) {
    const own = serving || limited || timed || (optima || assessments)[approaches.indexOf(decider)];
    if (!decided || !calc.known(decided.params)) return "";
    const words = own.status === "ok" ? "ok" : (statuses[own.status] || [own.status])[0];
    return `${decider.label}: N = ${count(decided.params)}, D = ${count(decided.tokens)}; status: ${words}.`;
  }

  function showCommand(data, { line, device, time }) {
    const known = device && device.asked;
    const price = device && device.price !== device.own ? device.price : null;
    const about = known ? { device: device.name, "device.dollars_per_hour": price, mfu: device.mfu } : {};
    at("command").textContent = calc.command({ fit: calc.fitOf(document.location, data.source), ...line, ...about });
    const others = data.approaches.filter((one) => one.kind === "other").map((one) => `${one.label.toLowerCase()} (${one.formula})`);
    const lacks = time && !known ? `It lacks the device, ${device.name}: 'isoflop calibrate … write=NAME' makes one, to be named with device=NAME. ` : "";
    at("only").textContent = lacks + "By the command alone: " +
      [...others, "accuracy on tasks (task=NAME)", "several devices together (gpus=)", "serving weighed in dollars (serving.unit=dollars)",
        "other constants of repetition (repetition.r_tokens=)"].join(", ") + ".";
    at("copied").textContent = "";
    at("line").hidden = false;
  }

  at("copy").addEventListener("click", async () => {
    at("copied").textContent = (await calc.copy(at("command"))) ? "copied" : "select the line to copy it";
  });

  Object.assign(calc, { clear, present });
})();
