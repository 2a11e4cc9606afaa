// Predictions from a stored fit: the same closed forms as the Python program, on the draws that the page carries.
(function () {
  "use strict";

  // Rows of bootstrap draws from base64 of little-endian 32-bit floats; of a law, ln A and ln B in place of A and B.
  function unpack(text, columns, law) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const rows = [];
    for (let at = 0; at + 4 * columns <= bytes.length; at += 4 * columns) {
      const row = Array.from({ length: columns }, (_, i) => view.getFloat32(at + 4 * i, true));
      rows.push(law ? row.map((value, i) => (i === 1 || i === 2 ? Math.exp(value) : value)) : row);
    }
    return rows;
  }

  // ln N*, ln D*, L* of one row of parameters at ln C.
  function optimum(approach, row, logC) {
    if (approach.kind === "power") {
      const [logG, a, logH, b, floor, logScale, exponent] = row.map((v) => (v === null ? NaN : v));
      return [logG + a * logC, logH + b * logC, floor + Math.exp(logScale - exponent * logC)];
    }
    const [E, A, B, alpha, beta] = row;
    const p = approach.power;
    const logM = logC - Math.log(approach.kappa);
    const logN = (Math.log((alpha * A) / (p * beta * B)) + beta * logM) / (alpha + p * beta);
    const logD = logM - p * logN;
    return [logN, logD, E + A * Math.exp(-alpha * logN) + B * Math.exp(-beta * logD)];
  }

  // Linear interpolation between order statistics, at a share q of the way.
  function quantile(sorted, q) {
    const at = q * (sorted.length - 1);
    const low = Math.floor(at);
    const high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  }

  function interval(values, level) {
    const finite = values.filter(Number.isFinite).sort((x, y) => x - y);
    return finite.length < 20 ? null : [quantile(finite, (1 - level) / 2), quantile(finite, (1 + level) / 2)];
  }

  // N*, D*, D*/N* and L* at a budget, each {value, interval}.
  function predict(approach, flops, level) {
    const logC = Math.log(flops);
    // In numbers a float can hold: a draw that runs away is the end of an interval, not left out of it.
    const exp = (x) => Math.exp(Math.min(700, Math.max(-700, x)));
    const four = ([n, d, l]) => [exp(n), exp(d), exp(d - n), l];
    const best = four(optimum(approach, approach.theta, logC));
    const rows = approach.draws ? unpack(approach.draws, approach.columns, approach.kind === "law") : [];
    const drawn = rows.map((row) => four(optimum(approach, row, logC)));
    const out = {};
    ["params", "tokens", "ratio", "loss"].forEach((name, i) => {
      out[name] = { value: best[i], interval: interval(drawn.map((row) => row[i]), level) };
    });
    if (floorless(approach, flops)) out.loss.interval = null;
    return out;
  }

  // A loss law without a floor, beyond the runs: its draws all fall for ever, so they make no interval.
  const floorless = (approach, flops) => approach.floor === 0 && approach.largest && flops > approach.largest;

  // The worst doubt about a prediction, or "ok": what the fit says against the approach, and what its reach adds.
  function status(approach, flops, found, order) {
    const codes = approach.flags.slice();
    for (const range of [found.params.interval, found.tokens.interval]) {
      if (!range) codes.push("no_interval");
      else if (range[1] > 10 * range[0]) codes.push("wide_interval");
    }
    if (approach.largest && flops > approach.limit * approach.largest) codes.push("extrapolation");
    if (approach.smallest && approach.limit * flops < approach.smallest) codes.push("extrapolation");
    if (floorless(approach, flops)) codes.push("no_floor");
    const perPair = approach.kappa * Math.pow(found.params.value, approach.power - 1);
    if (approach.kind === "law" && approach.power !== 1 && perPair < 0.999 * approach.least) {
      codes.push("approximate_cost");
    }
    return codes.length ? order.find((code) => codes.includes(code)) : "ok";
  }

  // The model of the optimum's loss that costs least when it also serves `served` tokens
  // (Sardana et al. 2024): one equation in D, whose left side falls; its root by bisection in ln D.
  function serve(approach, flops, served) {
    if (approach.kind !== "law") return null;
    const [E, A, B, alpha, beta] = approach.theta;
    const p = approach.power;
    const [logN, logD, loss] = optimum(approach, approach.theta, Math.log(flops));
    const ratio = (p * beta) / alpha;
    const extra = served / 3;
    const surplus = (x) => (B * Math.exp(-beta * x) * (1 + ratio * (1 + extra * Math.exp(-x)))) / (loss - E) - 1;
    let low = logD - 1e-9;
    let high = logD + 1;
    while (surplus(high) > 0) high += 2;
    for (let i = 0; i < 200; i += 1) {
      const middle = (low + high) / 2;
      if (surplus(middle) > 0) low = middle;
      else high = middle;
    }
    const tokens = Math.exp((low + high) / 2);
    const params = Math.pow(A / (ratio * B * Math.pow(tokens, -beta) * (1 + extra / tokens)), 1 / alpha);
    const perToken = (n) => approach.kappa * Math.pow(n, p);
    const cost = (n, d) => perToken(n) * d + (perToken(n) / 3) * served;
    return {
      params,
      tokens,
      loss,
      training: perToken(params) * tokens,
      saving: 1 - cost(params, tokens) / cost(Math.exp(logN), Math.exp(logD)),
    };
  }

  const api = { predict, status, serve, optimum, interval, unpack, parse };
  if (typeof document === "undefined") {
    globalThis.isoflopCalculator = api;
    return;
  }

  function count(value) {
    for (const [unit, size] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["k", 1e3]]) {
      if (value >= 0.9995 * size) return Number((value / size).toPrecision(3)) + unit;
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

  // "1e21", "3.5e21", "1 000 000", "1,000,000", "2T"; NaN for anything else, such as "6,5e12".
  function parse(text) {
    const plain = text.replace(/[\s_]/g, "").replace(/^[0-9]{1,3}(,[0-9]{3})+(?![0-9,])/, (x) => x.replaceAll(",", ""));
    const found = /^([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)([kMBT]?)$/i.exec(plain);
    return found ? Number(found[1]) * { "": 1, K: 1e3, M: 1e6, B: 1e9, T: 1e12 }[found[2].toUpperCase()] : NaN;
  }

  const data = JSON.parse(document.getElementById("calculator-data").textContent);
  const form = document.getElementById("calculator-form");
  const output = document.getElementById("calculator-output");

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  // A loss that is not held-out (approach 1's is a training loss) says so.
  const marked = (text, kind) => (kind === "held-out" || text === "–" ? text : text + ", " + kind);

  function cell(quantity, write) {
    if (!Number.isFinite(quantity.value)) return "–";
    const range = quantity.interval;
    return write(quantity.value) + (range ? " (" + write(range[0]) + " to " + write(range[1]) + ")" : "");
  }

  function budget() {
    const amount = parse(form.elements.amount.value);
    if (form.elements.unit.value === "flops") return amount;
    const speed = data.speeds[form.elements.device.selectedIndex];
    return amount * 3600 * speed.peak * (parse(form.elements.mfu.value) / 100);
  }

  function show() {
    const hours = form.elements.unit.value === "hours";
    for (const one of form.querySelectorAll(".hours")) one.hidden = !hours;
    output.replaceChildren();
    const flops = budget();
    if (!(Number.isFinite(flops) && flops > 0)) {
      output.append(element("p", "Enter a positive number, such as 1e21 or 2.5e19.", "problem"));
      return;
    }
    const table = element("table");
    const head = table.createTHead().insertRow();
    for (const [i, text] of ["approach", "N*", "D*", "D*/N*", "loss", "status"].entries()) {
      head.append(element("th", text, i % 5 ? "" : "left"));
    }
    const body = table.createTBody();
    for (const approach of data.approaches) {
      const found = predict(approach, flops, data.level);
      const row = body.insertRow();
      if (approach.name === data.lead) row.className = "strong";
      row.append(element("td", approach.label, "left"));
      for (const [name, write] of [["params", count], ["tokens", count], ["ratio", ratio], ["loss", loss]]) {
        const text = cell(found[name], write);
        row.append(element("td", name === "loss" ? marked(text, approach.loss_kind) : text));
      }
      const doubt = element("td", status(approach, flops, found, data.order).replaceAll("_", " "), "left");
      doubt.title = approach.notes.join("; ");
      row.append(doubt);
    }
    const scroll = element("div", undefined, "scroll");
    scroll.append(table);
    output.append(element("p", "C = " + power(flops) + " FLOPs", "soft"), scroll);
    const largest = Math.max(...data.approaches.map((a) => a.largest || 0));
    const limit = Math.max(...data.approaches.map((a) => a.limit));
    if (flops > 1.001 * largest) {
      const far = Number((flops / largest).toPrecision(2)).toLocaleString("en");
      const text = "This is " + far + " times the largest run: extrapolation" +
        (flops > limit * largest ? " beyond what the fit supports." : ".");
      output.append(element("p", text, flops > limit * largest ? "problem" : "soft"));
    }
    const served = parse(form.elements.serve.value || "0");
    const law = data.approaches.find((a) => a.kind === "law");
    if (served > 0 && law) {
      const life = serve(law, flops, served);
      output.append(
        element(
          "p",
          "To serve " + count(served) + " tokens at the same loss (" + loss(life.loss) + "): N = " +
            count(life.params) + ", D = " + count(life.tokens) + ", " + power(life.training) +
            " training FLOPs; " + (100 * life.saving).toFixed(1) + "% less over its whole life than the model " +
            "that is cheapest to train (" + law.label.toLowerCase() + ").",
        ),
      );
    } else if (!(served >= 0) || (served > 0 && !law)) {
      output.append(element("p", law ? "Tokens to serve: a number, such as 1e12 or 2T." :
        "Serving needs the fitted law L(N, D) of approach 3.", "problem"));
    }
  }

  for (const speed of data.speeds) form.elements.device.append(element("option", speed.name));
  const pick = () => { form.elements.mfu.value = String(100 * data.speeds[form.elements.device.selectedIndex].mfu); };
  form.elements.amount.value = data.target.toExponential(3).replace(/\.?0*e\+?/, "e");
  pick();
  form.elements.device.addEventListener("change", pick);
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
