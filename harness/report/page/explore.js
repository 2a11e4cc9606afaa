// The interactive figures: Vega draws them, this sets what is shown and predicts at the target by the calculator's code.
(function () {
  "use strict";
  const calc = globalThis.isoflopCalculator;
  const { save, csv } = globalThis.isoflopDownload;
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const { sets, charts, palettes, range } = read("explore-data");
  for (const columns of Object.values(sets)) {
    // a column of few different values comes as these, and which of them each row has
    for (const [name, one] of Object.entries(columns)) if (one.of) columns[name] = one.at.map((at) => one.of[at]);
  }
  const data = document.getElementById("calculator-data") ? read("calculator-data") : { approaches: [] };
  const form = document.getElementById("explore-form");
  const tip = document.getElementById("explore-tip");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // approaches that the page computes by, and which of them decides
  const known = data.approaches.filter((one) => one.kind && one.kind !== "other");
  const lead = known.length ? calc.choose(known, false) : null;
  const law = known.find((one) => one.kind === "law");
  const views = new Map();

  // Columns to rows, each with its colour in the theme.
  function rows(columns, theme) {
    const names = Object.keys(columns);
    const of = palettes[theme];
    return (names.length ? columns[names[0]] : []).map((_, i) => {
      const row = Object.fromEntries(names.map((name) => [name, columns[name][i]]));
      row.colour = row.approach ? of.approaches[row.approach] : of.budgets[row.budget];
      return row;
    });
  }
  const theme = () => (dark.matches ? "dark" : "light");
  function number(value, digits) {
    if (!Number.isFinite(value)) return "–";
    return value >= 1e7 ? value.toExponential(digits - 1).replace(/\.?0*e\+/, "e") : String(Number(value.toPrecision(digits)));
  }
  const ranged = form.elements.target; // no approach has a frontier: there is no target to move
  let target = data.target; // FLOPs; the slider shows it to a step

  // What is predicted at the target, a row an approach.
  function atTarget(flops, of) {
    return known.map((approach) => {
      const { params: n, tokens: d, ratio: r, loss: found } = calc.ask(approach, { kind: "flops", value: flops }, data.order);
      const text = `${approach.label} at C = ${number(flops, 3)}: N* = ${calc.count(n)}, D* = ${calc.count(d)}`;
      const colour = palettes[of].approaches[approach.label];
      const loss = approach.loss_kind === "held-out" ? found : null;
      return { approach: approach.label, lead: approach === lead, c: flops, n, d, r, loss, tip: text, colour };
    });
  }

  // The IsoFLOP profile that the fitted law has at the target, within a factor of six about its minimum.
  function profile(flops) {
    if (!law) return [];
    const { best } = calc.lawsOf(law);
    const [logCentre] = best.logOptimum(flops);
    return Array.from({ length: 41 }, (_, i) => {
      const n = Math.exp(logCentre) * 6 ** ((i - 20) / 20);
      return { n, loss: best.loss(n, flops / best.flops(n, 1)) };
    });
  }

  // A specification with its data in a theme: what a view is made of, and what is downloaded.
  function specified(chart, of) {
    const spec = structuredClone(chart.spec);
    for (const one of spec.data) {
      if (one.name in sets) one.values = rows(sets[one.name], of);
      if (one.name === "at_target") one.values = atTarget(target, of);
      if (one.name === "target_profile") one.values = profile(target);
    }
    const state = { budgets: checked("budget"), approaches: checked("approach"), axis: axisOf(chart) };
    for (const signal of spec.signals) if (signal.name in state) signal.value = state[signal.name];
    return spec;
  }

  const checked = (name) => Array.from(form.querySelectorAll(`[name=${name}]:checked`), (one) => one.value);
  const select = (chart) => document.getElementById(`axis-${chart.name}`);
  const axisOf = (chart) => (select(chart) ? select(chart).value : "");

  const runs = new Map(rows(sets.runs, "light").map((row) => [row.run, row]));
  function said(value) {
    const run = runs.get(value);
    if (!run) return value;
    const parts = [
      `run ${run.run}`,
      `N = ${calc.count(run.n)}, D = ${calc.count(run.d)}, D/N = ${number(run.r, 3)}`,
      `C = ${number(run.c, 3)} FLOPs`,
      `loss ${number(run.loss, 5)}`,
      run.seed === null ? "" : `seed ${run.seed}`,
      run.lr === null ? "" : `peak learning rate ${number(run.lr, 3)}`,
      coarse ? "touch again: its row in the table" : "click: its row in the table",
    ];
    return parts.filter(Boolean).join("\n");
  }
  function point(_, event, item, value) {
    tip.hidden = value === undefined || value === null || value === "";
    if (tip.hidden) return;
    tip.textContent = said(value);
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8))}px`;
  }

  // Expressions are interpreted (ast), never compiled: the page's policy allows no code from texts.
  const options = { mode: "vega", renderer: "svg", actions: false, ast: true, tooltip: point, logLevel: 1 };
  let touched = null;
  async function draw(chart) {
    if (views.has(chart)) views.get(chart).finalize();
    const { view } = await isoflopEmbed(`#chart-${chart.name}`, specified(chart, theme()), options);
    view.addEventListener("click", (event, item) => {
      const run = item && item.datum && item.datum.run;
      // a finger cannot hover: its first touch says what the point is, the second goes to the row
      const touch = event.pointerType === "touch", about = item ? item.tooltip : "";
      const first = touch && about !== touched;
      touched = about;
      if (touch) point(null, event, item, first ? about : "");
      if (run && !first) document.dispatchEvent(new CustomEvent("isoflop:run", { detail: run }));
    });
    views.set(chart, view);
  }
  function drawAll() {
    for (const swatch of form.querySelectorAll(".swatch")) {
      const name = swatch.parentElement.querySelector("input").value;
      swatch.style.background = palettes[theme()][swatch.dataset.of === "budget" ? "budgets" : "approaches"][name];
    }
    return Promise.all(charts.map(draw));
  }
  const signal = (name, value) => views.forEach((view) => view.signal(name, value).run());

  // Moves the target in every figure; the calculator is told unless it is the one who asked.
  function moveTo(flops, source) {
    target = flops;
    ranged.value = Math.log10(flops);
    const text = flops.toExponential(2).replace("e+", "e");
    document.getElementById("target-said").textContent = `${text} FLOPs`;
    ranged.setAttribute("aria-valuetext", `${text} FLOPs`);
    const found = { at_target: atTarget(flops, theme()), target_profile: profile(flops) };
    for (const [chart, view] of views) {
      for (const { name } of chart.spec.data) {
        // a view writes into its rows, so each has its own
        if (name in found) view.data(name, found[name].map((row) => ({ ...row })));
      }
      view.run();
    }
    if (source === "explore") document.dispatchEvent(new CustomEvent("isoflop:target", { detail: { flops, source } }));
  }

  const plain = ({ tip: _, ...columns }) => columns; // what is said at a point is in its other columns
  function asCsv(columns) {
    const names = Object.keys(columns);
    return csv([names, ...columns[names[0]].map((_, i) => names.map((name) => columns[name][i]))]);
  }
  async function download(chart, kind) {
    const used = Object.keys(sets).filter((name) => chart.spec.data.some((one) => one.name === name));
    if (kind === "json") {
      save(`${chart.name}.json`, "application/json", JSON.stringify(Object.fromEntries(used.map((name) => [name, plain(sets[name])]))));
    } else if (kind === "csv") {
      for (const name of used) save(`${chart.name}-${name}.csv`, "text/csv", asCsv(plain(sets[name])));
    } else {
      const spec = specified(chart, "light"); // a file stands on white
      spec.background = "white";
      const width = spec.signals.find((one) => one.name === "width");
      Object.assign(width, { value: views.get(chart).width(), init: undefined, on: undefined });
      const { view } = await isoflopEmbed(document.createElement("div"), spec, options);
      save(`${chart.name}.svg`, "image/svg+xml", await view.toSVG());
      view.finalize();
    }
  }

  form.addEventListener("input", ({ target: one }) => {
    if (one.name === "target") moveTo(10 ** Number(one.value), "explore");
    if (one.name === "budget") signal("budgets", checked("budget"));
    if (one.name === "approach") signal("approaches", checked("approach"));
  });
  for (const chart of charts) {
    const choice = select(chart);
    if (choice) choice.addEventListener("input", () => views.get(chart).signal("axis", choice.value).run());
    for (const button of document.querySelectorAll(`#explore-${chart.name} [data-save]`)) {
      button.addEventListener("click", () => download(chart, button.dataset.save));
    }
  }
  document.addEventListener("isoflop:target", ({ detail: { flops, source } }) => {
    if (ranged && source !== "explore") moveTo(Math.min(Math.max(flops, range[0]), range[1]), source);
  });
  for (const moved of ["touchstart", "scroll"]) document.addEventListener(moved, () => (tip.hidden = true), { passive: true });
  document.addEventListener("isoflop:point", ({ detail: run }) => signal("chosen", run));
  dark.addEventListener("change", drawAll);
  drawAll().then(() => {
    if (ranged) moveTo(data.target, "page");
    document.documentElement.classList.add("explored"); // from now on the static figures are for print alone
    views.forEach((view) => view.resize().run());
  });
})();
