"use strict";
// Sorts <table class="sortable"> and sifts the rows of tables that <div class="filters" data-for> names.
// Where a server gave the page, how is kept in the address, so that a reload and "back" have it.
const tables = (() => {
  const kept = location.protocol !== "file:", asked = new URLSearchParams(kept ? location.search : "");
  const keep = (name, value) => {
    if (!kept) return;
    const address = new URL(location.href);
    if (value) address.searchParams.set(name, value);
    else address.searchParams.delete(name);
    history.replaceState(null, "", address);
  };

  const key = (row, n) => {
    const cell = row.cells[n];
    return cell ? (cell.dataset.v ?? cell.textContent.trim().replace(/[,%]/g, "")) : "";
  };

  const sortable = (table) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
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
  };

  // tells the table of each change: an event "sifted"
  const filtered = (filters) => {
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
      table.dispatchEvent(new Event("sifted"));
    };
    for (const input of inputs) {
      const name = `${input.dataset.filter}-${table.id}`;
      input.value = asked.get(name) || "";
      if (input.selectedIndex === -1) input.value = "";
      input.addEventListener("input", () => { sift(); keep(name, input.value); });
    }
    filters.hidden = false;
    sift();
  };

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll(".filters[data-for]").forEach(filtered);
  return { sortable, filtered };
})();
