"use strict";
// On paper everything is open.
addEventListener("beforeprint", () => document.querySelectorAll("details.trader").forEach((one) => { one.open = true; }));
