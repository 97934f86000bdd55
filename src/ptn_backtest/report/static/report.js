"use strict";
// report.html comes to life: small curves in the leaderboard, and a trader's part once it is opened.
(() => {
  const part = traderPart(JSON.parse(document.getElementById("data").textContent));
  const sections = [...document.querySelectorAll("details.trader")];
  const bodyOf = (section) => section.querySelector(".part");
  const open = (section) => {
    const body = bodyOf(section);
    if (body.childElementCount) return;
    part.fill(body, Number(section.dataset.n));
  };
  for (const section of sections) {
    section.addEventListener("toggle", () => { if (section.open) open(section); });
    if (section.open) open(section);
  }

  // ---- from a link, or the address, to a trader
  const show = () => {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    const section = target && target.closest("details.trader");
    if (!section) return;
    section.hidden = false; // whoever asks for it sees it, also where the leaderboard is sifted
    section.open = true;
    open(section);
    target.scrollIntoView();
    section.querySelector("summary").focus({ preventScroll: true });
  };
  addEventListener("hashchange", show);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#t']");
    if (link && link.hash === location.hash) show(); // the address stays, so nothing else would tell
  });
  show();

  // ---- the leaderboard: small curves, and traders that are sifted out are so below, too
  const SVG = "http://www.w3.org/2000/svg", MOST = 80;
  const spark = (cell, n) => {
    const { time, value } = part.value(n), low = Math.min(...value), span = Math.max(...value) - low || 1;
    const every = Math.max(1, Math.ceil(time.length / MOST)), all = time.at(-1) - time[0] || 1;
    const kept = time.map((_, i) => i).filter((i) => i % every === 0 || i === time.length - 1);
    const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("class", "line");
    path.setAttribute("d", kept.map((i, k) => `${k ? "L" : "M"}${(((time[i] - time[0]) / all) * 100).toFixed(1)} ${(100 - ((value[i] - low) / span) * 100).toFixed(1)}`).join(""));
    svg.append(path);
    cell.append(svg);
  };
  const leaders = document.getElementById("leaders");
  const rows = [...leaders.tBodies[0].rows].map((row) => [row, sections[Number(row.dataset.n)]]);
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      spark(target.querySelector(".spark"), Number(target.dataset.n));
    }
  }, { rootMargin: "300px" });
  for (const [row] of rows) seen.observe(row);
  const sift = () => { for (const [row, section] of rows) section.hidden = row.hidden; };
  leaders.addEventListener("sifted", sift);

  // ---- metrics of the last evaluation, once they are asked for
  const scored = new Set([...document.querySelectorAll("#scores-table tbody tr")].map((row) => row.dataset.name));
  for (const details of document.querySelectorAll("details[data-class]")) {
    details.addEventListener("toggle", () => {
      const place = details.querySelector(".part");
      if (!place.childElementCount) place.append(part.metrics(Number(details.dataset.class), scored));
    });
  }

  // on paper, small curves of all rows; of a few traders all parts, of many those that are open
  addEventListener("beforeprint", () => {
    for (const [row] of rows) {
      seen.unobserve(row);
      if (!row.querySelector(".spark svg")) spark(row.querySelector(".spark"), Number(row.dataset.n));
    }
  });
})();
