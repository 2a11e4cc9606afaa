// The calculator's form: what is asked, kept as an amount of one meaning while its unit changes.
(function () {
  "use strict";

  const calc = globalThis.isoflopCalculator;
  const data = JSON.parse(document.getElementById("calculator-data").textContent);
  const form = document.getElementById("calculator-form");
  const fields = form.elements;
  const clocks = data.devices.map(calc.makeClock);
  const KEYS = { flops: "budget", hours: "gpu_hours", dollars: "dollars" };
  const NAMES = { // what a problem is about
    amount: "The amount", target_loss: "The loss", params: "Parameters", tokens: "Tokens", used: "Training FLOPs",
    price: "Dollars an hour", mfu: "The utilisation", serve: "Tokens to serve", weight: "The weight", unique: "Unique tokens",
  };

  // The amount as it was typed, {unit, value}, and as it is shown in the unit chosen now, {text, value}.
  let typed = null;
  let shown = { text: "", value: NaN };
  let reported = NaN; // the compute that the page's other scripts know of
  let answered = ""; // the form as it was answered last

  class Problem extends Error {
    constructor(text, field) {
      super(text);
      this.field = field;
    }
  }

  function number(field, key, optional = false) {
    const text = fields[field].value;
    if (optional && !text.trim()) return null;
    const { value, problem } = calc.read(text, data.rules[key], NAMES[field]);
    if (problem) throw new Problem(problem, field);
    return value;
  }

  // The device with its clock, its price and its utilisation as the form has them; null where the page has no device.
  function deviceNow() {
    if (!data.devices.length) return null;
    const at = fields.device.selectedIndex;
    const one = data.devices[at];
    const price = number("price", "dollars_per_hour", true);
    const mfu = one.peak ? number("mfu", "mfu", true) : null;
    return { ...one, clock: clocks[at], price, own: one.price, mfu };
  }

  const priceOf = (device) => {
    if (!(device.price > 0)) throw new Problem(`Enter the price of an hour of ${device.name}, in dollars.`, "price");
    return device.price;
  };

  function amountNow() {
    const text = fields.amount.value;
    return text === shown.text ? shown.value : number("amount", KEYS[fields.unit.value]);
  }

  // Seconds of an amount in a unit other than FLOPs.
  const secondsOf = ({ unit, value }, device) => 3600 * (unit === "dollars" ? value / priceOf(device) : value);

  function flopsOf(amount, device) {
    if (amount.unit === "flops") return amount.value;
    const { flops, problem } = calc.flopsOfTime(data, device, secondsOf(amount, device));
    if (problem) throw new Problem(problem, "amount");
    return flops;
  }

  // The same amount in another unit: FLOPs are those of the compute-optimal model, whose training takes a time.
  function converted(amount, unit, device) {
    if (amount.unit === unit) return amount.value;
    if (unit === "flops") return flopsOf(amount, device);
    let seconds;
    if (amount.unit === "flops") {
      const { decider } = calc.deciderOf(data, true);
      const best = calc.atFlops(calc.lawsOf(decider).best, amount.value);
      seconds = calc.secondsFor(device, best);
    } else seconds = secondsOf(amount, device);
    return unit === "hours" ? seconds / 3600 : (seconds / 3600) * priceOf(device);
  }

  function write(value) {
    const text = calc.exact(Number(value.toPrecision(6)));
    shown = { text, value };
    fields.amount.value = text;
  }

  // What the reader changed, before it is answered.
  function take(name) {
    if (name === "device") fields.price.value = data.devices[fields.device.selectedIndex].price ?? "";
    const unit = fields.unit.value;
    if (name === "amount") {
      shown = { text: "", value: NaN };
      const value = calc.parse(fields.amount.value, data.rules[KEYS[unit]]);
      typed = Number.isFinite(value) ? { unit, value } : null;
    } else if (typed && typed.unit !== unit && ["unit", "device", "price", "mfu"].includes(name)) {
      // A device, a price or a utilisation changes what a time is, not the amount that was typed.
      fields.amount.value = "";
      shown = { text: "", value: NaN };
      const value = converted(typed, unit, deviceNow());
      if (Number.isFinite(value)) write(value);
    } else if (typed && name === "unit") write(typed.value);
  }

  // The form as a question for calc.answer, with what isoflop predict calls its parts.
  function question() {
    const device = deviceNow();
    const kind = fields.question.value;
    const served = number("serve", "inference_tokens", true);
    const weight = number("weight", "weight", true) ?? 1;
    const unique = number("unique", "unique_tokens", true);
    const asked = { device, served, weight, unique, time: null, model: null };
    const line = { inference_tokens: served, "serving.weight": weight === 1 ? null : weight, unique_tokens: unique };
    if (kind === "budget") {
      const amount = { unit: fields.unit.value, value: amountNow() };
      const key = KEYS[amount.unit];
      const flops = flopsOf(amount, device);
      const time = amount.unit === "flops" ? null : secondsOf(amount, device);
      return { ...asked, kind: "flops", value: flops, time, line: { [key]: amount.value, ...line } };
    }
    if (kind === "model") {
      const [params, tokens] = [number("params", "params"), number("tokens", "tokens")];
      const flops = number("used", "budget", true);
      checkModel(params, tokens, flops);
      return { ...asked, kind, model: { params, tokens, flops }, line: { params, tokens, budget: flops, ...line } };
    }
    const value = number(kind, kind);
    return { ...asked, kind: kind === "target_loss" ? "loss" : kind, value, line: { [kind]: value, ...line } };
  }

  function checkModel(params, tokens, flops) {
    const { least_params: n, least_tokens: d, factor } = data.model;
    if (params < n) throw new Problem(`Parameters: a model has ${n} at least; write plain numbers, such as 70e9 or 70B.`, "params");
    if (tokens < d) throw new Problem(`Tokens: a model sees ${d} at least; write plain numbers, such as 1.4e12 or 1.4T.`, "tokens");
    const ratio = flops ? flops / (6 * params * tokens) : 1;
    if (ratio > factor || ratio < 1 / factor) {
      throw new Problem(`${calc.general(flops)} FLOPs is ${calc.general(ratio, 3)} times 6 × parameters × tokens; ` +
        "leave it out, or correct it.", "used");
    }
  }

  function showFields() {
    const kind = fields.question.value;
    for (const label of form.querySelectorAll("[data-asks]")) label.hidden = !label.dataset.asks.split(" ").includes(kind);
    for (const label of form.querySelectorAll("[data-peak]")) {
      label.hidden = !data.devices.length || !data.devices[fields.device.selectedIndex].peak;
    }
  }

  function complain(problem, field) {
    document.getElementById("calculator-problem").textContent = problem;
    for (const one of form.querySelectorAll("input")) {
      if (one.name === field) one.setAttribute("aria-invalid", "true");
      else one.removeAttribute("aria-invalid");
    }
  }

  // Answer what the form asks after the field `name` was changed; without a name nobody is told of the compute.
  function update(name) {
    const filled = JSON.stringify([...new FormData(form)]);
    if (name && filled === answered) return; // a choice is told of twice, as input and as change
    showFields();
    let asked;
    try {
      if (name) take(name);
      answered = JSON.stringify([...new FormData(form)]);
      asked = question();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      complain(problem.message, problem.field);
      calc.clear();
      return;
    }
    const found = calc.answer(data, asked);
    complain(found.problems.join(" "));
    calc.present(data, asked, found);
    const { flops } = found.decided || {};
    if (name && Number.isFinite(flops)) tell(asked.kind === "flops" ? asked.value : flops);
  }

  // Other scripts of the page follow the calculator's compute, and set it, by this event.
  function tell(flops) {
    if (flops === reported) return;
    reported = flops;
    document.dispatchEvent(new CustomEvent("isoflop:target", { detail: { flops, source: "calculator" } }));
  }

  document.addEventListener("isoflop:target", ({ detail }) => {
    if (!detail || detail.source === "calculator" || !(detail.flops > 0 && Number.isFinite(detail.flops))) return;
    fields.question.value = "budget";
    fields.unit.value = "flops";
    typed = { unit: "flops", value: detail.flops };
    reported = detail.flops;
    write(detail.flops);
    update(null);
  });

  typed = { unit: "flops", value: data.target };
  write(data.target);
  if (data.devices.length) {
    for (const device of data.devices) fields.device.append(calc.element("option", device.label));
    fields.price.value = data.devices[0].price ?? "";
  } else {
    for (const one of document.querySelectorAll("#calculator .timed")) one.remove();
  }
  for (const kind of ["input", "change"]) form.addEventListener(kind, ({ target }) => update(target.name));
  form.addEventListener("submit", (event) => event.preventDefault());
  update(null);
})();
