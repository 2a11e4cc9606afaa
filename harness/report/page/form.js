// The calculator's form: what is asked, and the tables that answer it.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const data = JSON.parse(document.getElementById("calculator-data").textContent);
  const form = document.getElementById("calculator-form");
  const output = document.getElementById("calculator-output");
  const clocks = data.devices.map(calc.makeClock);
  const lead = data.approaches.find((approach) => approach.name === data.lead);

  function count(value) {
    for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (value >= 0.9995 * size) return (value / size).toPrecision(3) + unit;
    }
    return String(Number(value.toPrecision(3)));
  }

  function power(value) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    const raised = String(Number(exponent)).replace(/[-0-9]/g, (c) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]);
    return Number(mantissa) + " × 10" + raised;
  }

  const ratio = (value) => (value >= 9.95 ? value.toFixed(0) : value.toPrecision(2));
  const loss = (value) => value.toFixed(3);

  function duration(seconds) {
    if (seconds < 60) return Number(seconds.toPrecision(2)) + " s";
    const minutes = Math.round(seconds / 60);
    if (minutes < 60) return minutes + " min";
    if (minutes < 48 * 60) return Math.floor(minutes / 60) + " h " + String(minutes % 60).padStart(2, "0") + " min";
    return (seconds < 8.64e6 ? (seconds / 86400).toFixed(1) : count(seconds / 86400)) + " days";
  }

  function dollars(value) {
    if (value < 0.005) return "under 1 cent";
    return "$" + (value >= 99.5 ? Math.round(value).toLocaleString("en") : value.toFixed(2));
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const say = (text, className) => output.append(element("p", text, className));

  // A table; the columns of `left` are texts, the others numbers. Its rows are arrays of texts.
  function table(headings, rows, left, strong) {
    const made = element("table");
    const fill = (row, name, texts) =>
      texts.forEach((text, i) => row.append(element(name, text, left.includes(headings[i]) ? "left" : "")));
    fill(made.createTHead().insertRow(), "th", headings);
    const body = made.createTBody();
    rows.forEach((texts, i) => {
      const row = body.insertRow();
      if (i === strong) row.className = "strong";
      fill(row, "td", texts);
    });
    const scroll = element("div", undefined, "scroll");
    scroll.append(made);
    output.append(scroll);
    return body;
  }

  // A loss that is not held-out (approach 1's is a training loss) is marked.
  const marked = (text, kind) => (kind === "held-out" || text === "–" ? text : text + ", " + kind);

  function cell(quantity, write) {
    if (!Number.isFinite(quantity.value)) return "–";
    const range = quantity.interval;
    return write(quantity.value) + (range ? " (" + calc.bounds(range, write) + ")" : "");
  }

  // The chosen device with its clock and the price in the form; null where the page has no device.
  function chosen() {
    if (!data.devices.length) return null;
    const at = form.elements.device.selectedIndex;
    const typed = form.elements.price.value.trim();
    return { ...data.devices[at], clock: clocks[at], price: typed ? calc.parse(typed) : null };
  }

  // "3 h 20 min on h100 (assumed), $6.67".
  const cost = (time, device) =>
    duration(time) + " on " + device.label + (device.price > 0 ? ", " + dollars((time / 3600) * device.price) : "");

  // The question in FLOPs, with seconds where a time was asked for; or the problem to show.
  function question(device) {
    const unit = form.elements.unit.value;
    const amount = calc.parse(form.elements.amount.value);
    if (!(Number.isFinite(amount) && amount > 0)) return { problem: "Enter a positive number, such as 1e21 or 2.5e19." };
    if (unit === "flops") return { flops: amount };
    if (unit === "dollars" && !(device.price > 0)) {
      return { problem: "Enter the price of an hour of " + device.name + ", in dollars." };
    }
    const time = 3600 * (unit === "dollars" ? amount / device.price : amount);
    if (!(time > device.start)) {
      const least = Number(device.start.toPrecision(3));
      return { problem: duration(time) + " is less than a run's start takes, " + least + " s on " + device.label + "." };
    }
    return { flops: calc.flopsIn(lead, device.clock, time), time };
  }

  // The compute-optimal models at a budget, by every approach, with what their training takes.
  function showBudget(flops, device) {
    const timed = device ? ["time on " + device.label].concat(device.price > 0 ? ["dollars"] : []) : [];
    const found = data.approaches.map((approach) => calc.predict(approach, flops, data.level));
    const rows = data.approaches.map((approach, i) => {
      const { params, tokens } = found[i];
      const time = device ? calc.seconds(device.clock, params.value, Math.max(1, tokens.value)) : NaN;
      const takes = timed.map((_, j) =>
        !Number.isFinite(time) ? "–" : j ? dollars((time / 3600) * device.price) : duration(time));
      return [
        approach.label,
        cell(params, count),
        cell(tokens, count),
        cell(found[i].ratio, ratio),
        marked(cell(found[i].loss, loss), approach.loss_kind),
        ...takes,
        calc.status(approach, flops, found[i], data.order).replaceAll("_", " "),
      ];
    });
    const headings = ["approach", "N*", "D*", "D*/N*", "loss", ...timed, "status"];
    const body = table(headings, rows, ["approach", "status"], data.approaches.indexOf(lead));
    data.approaches.forEach((approach, i) => { body.rows[i].lastChild.title = approach.notes.join("; "); });
    const beyond = device ? found.filter(({ params }) => !calc.covers(device.clock, params.value)).length : 0;
    if (beyond) {
      say("Times of models smaller or larger than any of the ladder (" + count(device.params[0]) + " to " +
        count(device.params[device.params.length - 1]) + " parameters) are extrapolated.", "soft");
    }
  }

  // The best model of a time beside the compute-optimal one that takes as long.
  function showTime(time, flops, device) {
    const plain = calc.predict(lead, flops, data.level);
    const best = lead.kind === "law" ? calc.bestOfTime(lead, device.clock, time, data.level, data.order) : null;
    if (!best) {
      say(
        lead.kind === "law"
          ? "In " + duration(time) + " on " + device.label + " no model of the ladder is trained on 1e3 to 1e17 tokens."
          : "The best model of a time needs L(N, D) of approach 3, which has no fit here: below is the best model of the FLOPs.",
        "problem",
      );
      return;
    }
    say("The best model of " + cost(time, device) + ", and the compute-optimal one whose training takes as long:");
    const row = (name, found, spent, status) =>
      [name, cell(found.params, count), cell(found.tokens, count), power(spent), cell(found.loss, loss), status];
    table(
      ["", "N", "D", "FLOPs", "loss", "status"],
      [
        row("best of the time", best, best.flops, best.status.replaceAll("_", " ")),
        row("compute-optimal", plain, flops, calc.status(lead, flops, plain, data.order).replaceAll("_", " ")),
      ],
      ["", "status"],
      0,
    );
    if (best.edge) {
      say("The best of this time is the " + best.edge + " model of the ladder (" + count(best.params.value) +
        " parameters): a ladder that goes further may have a better one.", "problem");
    }
  }

  // The model that also serves tokens later, at the same loss.
  function showServing(flops) {
    const served = calc.parse(form.elements.serve.value || "0");
    const law = data.approaches.find((approach) => approach.kind === "law");
    if (served > 0 && law) {
      const life = calc.serve(law, flops, served);
      say("To serve " + count(served) + " tokens at the same loss (" + loss(life.loss) + "): N = " +
        count(life.params) + ", D = " + count(life.tokens) + ", " + power(life.training) +
        " training FLOPs; " + (100 * life.saving).toFixed(1) + "% less over its whole life than the model " +
        "that is cheapest to train (" + law.label.toLowerCase() + ").");
    } else if (!(served >= 0) || (served > 0 && !law)) {
      say(law ? "Tokens to serve: a number, such as 1e12 or 2T." :
        "Serving needs the fitted law L(N, D) of approach 3.", "problem");
    }
  }

  function show() {
    output.replaceChildren();
    const device = chosen();
    const { problem, flops, time } = question(device);
    if (problem) {
      say(problem, "problem");
      return;
    }
    if (time) showTime(time, flops, device);
    say("C = " + power(flops) + " FLOPs" + (time ? ", the compute of the compute-optimal model of that time:" : ""),
      time ? "" : "soft");
    showBudget(flops, device);
    if (device) {
      say((time ? "Intervals cover the uncertainty of the fit, not that of the device's times. " : "") + device.said + ".", "soft");
    }
    const largest = Math.max(...data.approaches.map((a) => a.largest || 0));
    const limit = Math.max(...data.approaches.map((a) => a.limit));
    if (flops > 1.001 * largest) {
      const far = Number((flops / largest).toPrecision(2)).toLocaleString("en");
      const text = "This is " + far + " times the largest run: extrapolation" +
        (flops > limit * largest ? " beyond what the fit supports." : ".");
      say(text, flops > limit * largest ? "problem" : "soft");
    }
    showServing(flops);
  }

  // The device's own price, where it is known.
  function fillPrice() {
    form.elements.price.value = data.devices[form.elements.device.selectedIndex].price ?? "";
  }

  form.elements.amount.value = data.target.toExponential(3).replace(/\.?0*e\+?/, "e");
  if (data.devices.length) {
    for (const device of data.devices) form.elements.device.append(element("option", device.label));
    fillPrice();
    form.elements.device.addEventListener("change", fillPrice);
  } else {
    for (const one of document.querySelectorAll("#calculator .timed")) one.remove();
  }
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
