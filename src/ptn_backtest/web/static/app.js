"use strict";
(() => {
  // ---- tables: sorted and filtered here; how is kept in the address, so that a reload and "back" have it
  const asked = new URLSearchParams(location.search);
  const keep = (name, value) => {
    const address = new URL(location.href);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    history.replaceState(null, "", address);
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    const key = (row, n) => {
      const cell = row.cells[n];
      return cell ? (cell.dataset.v ?? cell.textContent.trim().replace(/[,%]/g, "")) : "";
    };
    const sort = (n, order) => {
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...body.rows].map((row) => [key(row, n), row]);
      const numbers = rows.every(([text]) => text === "" || !Number.isNaN(Number(text)));
      rows.sort(([a], [b]) => sign * (numbers ? Number(a) - Number(b) : a.localeCompare(b)));
      heads.forEach((cell) => cell.removeAttribute("aria-sort"));
      heads[n].ariaSort = order;
      body.append(...rows.map(([, row]) => row));
    };
    heads.forEach((head, n) => {
      if (head.tagName !== "TH") return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("num") && head.dataset.key !== "rank" ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const order = head.ariaSort === first ? other : first;
        sort(n, order);
        if (head.dataset.key) keep(`sort-${table.id}`, `${head.dataset.key} ${order}`);
      });
    });
    const [name, order] = (asked.get(`sort-${table.id}`) || "").split(" ");
    const n = heads.findIndex((head) => name && head.dataset.key === name);
    if (n >= 0) sort(n, order === "descending" ? order : "ascending");
  }

  for (const filters of document.querySelectorAll(".filters[data-for]")) {
    const table = document.getElementById(filters.dataset.for), said = filters.querySelector("output");
    const rows = [...table.tBodies[0].rows], inputs = [...filters.querySelectorAll("[data-filter]")];
    const sift = () => {
      let shown = 0;
      for (const row of rows) {
        row.hidden = !inputs.every(({ dataset, value }) => {
          if (!value) return true;
          if (dataset.filter === "q") return row.dataset.name.toLowerCase().includes(value.trim().toLowerCase());
          return row.dataset[dataset.filter] === value;
        });
        shown += !row.hidden;
      }
      said.textContent = shown === rows.length ? "" : `${shown} of ${rows.length}`;
    };
    for (const input of inputs) {
      const name = `${input.dataset.filter}-${table.id}`;
      input.value = asked.get(name) || "";
      if (input.selectedIndex === -1) input.value = "";
      input.addEventListener("input", () => { sift(); keep(name, input.value); });
    }
    sift();
  }

  // ---- keys
  const dialog = document.getElementById("keys"), opener = document.getElementById("keys-open");
  opener.hidden = false;
  opener.addEventListener("click", () => dialog.showModal());
  const links = () => [...document.querySelectorAll("main tbody tr:not([hidden]) th a")].filter((a) => a.offsetParent);
  const step = (by) => {
    const all = links(), at = all.indexOf(document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
    if (next) { next.focus(); next.closest("tr").scrollIntoView({ block: "nearest" }); }
  };
  addEventListener("keydown", (event) => {
    const { target } = event, typing = target.matches("input, textarea, select");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && target.matches("textarea")) {
      target.form.requestSubmit();
    } else if (event.key === "Escape" && target.matches("input[type=search]")) {
      target.value = "";
      target.dispatchEvent(new Event("input"));
      target.blur();
    } else if (event.key === "Enter" && target.matches("input[data-filter]")) {
      step(1);
    } else if (typing || event.ctrlKey || event.metaKey || event.altKey || dialog.open) {
      return;
    } else if (event.key === "/") {
      const search = document.querySelector("input[type=search], textarea");
      if (!search) return;
      search.focus();
      search.scrollIntoView({ block: "nearest" });
    } else if (event.key === "j" || event.key === "k") {
      step(event.key === "j" ? 1 : -1);
    } else if (event.key === "s") {
      document.querySelector("table.sortable th button")?.focus();
    } else if (event.key === "u") {
      document.querySelector("a.up-link")?.click();
    } else if (event.key === "?") {
      dialog.showModal();
    } else {
      return;
    }
    event.preventDefault();
  });
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
