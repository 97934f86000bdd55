"use strict";
// A page by its keys alone: / searches, j and k go along the rows, s to the columns, u up, ? says so.
(() => {
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
})();
