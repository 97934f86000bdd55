"use strict";
(() => {
  for (const select of document.querySelectorAll("select[data-go]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }

  // ---- a run that goes on: its part of the page comes anew, escaped by the server
  const going = document.querySelector("[data-progress]");
  const look = async () => {
    try {
      const answer = await fetch(going.dataset.progress, { cache: "no-store" });
      if (answer.ok) {
        const { html, next } = await answer.json();
        if (next) { location.assign(next); return; }
        going.innerHTML = html;
      }
    } catch { /* the server is away: look again */ }
    setTimeout(look, document.hidden ? 15000 : 2000);
  };
  if (going) setTimeout(look, 2000);
})();
