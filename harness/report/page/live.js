(function () {
  "use strict";
  const section = document.getElementById("live");
  const interval = 1000 * Number(section.dataset.interval);
  const find = (id) => document.getElementById(id);
  const before = {};
  let heard = new Date();

  function show(state) {
    heard = new Date();
    for (const [id, html] of Object.entries(state.fragments)) {
      if (before[id] !== html) find(id).innerHTML = html;
      before[id] = html;
    }
    find("live-time").textContent = heard.toLocaleTimeString();
    find("live-lost").hidden = true;
    find("live-new").hidden = state.fit === section.dataset.fit;
    document.title = state.title;
  }

  async function look() {
    if (!document.hidden) {
      try {
        const answer = await fetch("state.json", { cache: "no-store" });
        if (!answer.ok) throw new Error(answer.status);
        show(await answer.json());
      } catch (error) {
        const lost = find("live-lost");
        lost.textContent = "No answer since " + heard.toLocaleTimeString() +
          ": does isoflop watch still run, and the tunnel to it?";
        lost.hidden = false;
      }
    }
    setTimeout(look, interval);
  }
  setTimeout(look, Math.min(interval, 1000));
})();
