"use strict";
// A trader's part of a report, out of the page's data (report/page_data.py). Every text goes into a text
// node or an attribute that is no address and no script, so that it stays text.
const traderPart = (data) => {
  const read = Object.fromEntries(
    ["curves", "parts", "ledgers", "positions", "orders", "prices"].map((name) => [name, columns.of(data[name])]),
  );
  const readHistory = data.history && columns.of(data.history.table);
  const readLast = data.last && columns.of(data.last.table);
  const firstKey = columns.begins(data.positions);

  // ---- words
  const fixed = (v, digits) => (Number(v.toFixed(digits)) || 0).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const percent = (v, digits = 2) => (Number.isFinite(v) ? `${fixed(100 * v, digits)}%` : "n/a");
  const signed = (v, digits = 2) => (v > 0 && /[1-9]/.test(percent(v, digits)) ? "+" : "") + percent(v, digits);
  const usd = (v) => (Number.isFinite(v) ? (Math.round(v) > 0 ? "+" : "") + fixed(v, 0) : "n/a");
  const plain = (v) => (Number.isFinite(v) ? String(Number(v.toPrecision(6))) : "n/a");
  const price = (v) => (Number.isFinite(v) ? v.toLocaleString("en-US", { maximumSignificantDigits: 8 }) : "");
  const figure = (v) => (!Number.isFinite(v) ? "n/a" : Math.abs(v) >= 10000 ? fixed(v, 0) : String(Number(v.toPrecision(4))));
  const iso = (ms) => new Date(ms).toISOString().replace("T", " ");
  const date = (ms) => iso(ms).slice(0, 10);
  const minute = (ms) => iso(ms).slice(0, 16);
  const time = (ms) => iso(ms).slice(0, ms % 1000 ? 23 : 19);
  const count = (n, one) => `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
  const tone = (v) => (v > 0 ? "up" : v < 0 ? "down" : "");
  const capital = (text) => text[0].toUpperCase() + text.slice(1).replaceAll("_", " ");

  // ---- elements
  const h = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return made;
  };
  const hint = (text) => h("p", { class: "hint" }, text);
  const figures = (rows) => h("dl", { class: "figures" }, ...rows.filter(Boolean).map(([name, value, kind, small]) =>
    h("div", {}, h("dt", {}, name), h("dd", { class: kind }, h("span", { class: "whole" }, value), small && h("small", {}, ` ${small}`)))));
  const section = (id, title, ...children) => h("section", { "aria-labelledby": id }, h("h4", { id }, title), ...children);

  // columns: [name, cell of a row, {num, tone, v, kind}]; the first is the head of its row
  const table = (label, heads, rows, { id, sortable = rows.length > 1, tall = rows.length > 12, name } = {}) => {
    const made = h("table", { id, class: sortable ? "sortable" : null },
      h("thead", {}, h("tr", {}, ...heads.map(([title, , how = {}]) => h("th", { scope: "col", class: how.num ? "num" : null }, title)))),
      h("tbody", {}, ...rows.map((row) => h("tr", name ? { "data-name": name(row) } : {}, ...heads.map(([, cell, how = {}], n) => {
        const shown = cell(row);
        const kind = [how.num && "num", how.kind, how.tone && how.tone(row)].filter(Boolean).join(" ");
        return h(n ? "td" : "th", { scope: n ? null : "row", class: kind || null, "data-v": how.v ? how.v(row) : null }, shown ?? "");
      })))));
    if (sortable) tables.sortable(made);
    return h("div", { class: `scroll${tall ? " tall" : ""}`, role: "region", "aria-label": label, tabindex: "0" }, made);
  };

  const waiting = [];
  const chart = (title, label, drawn, height, sync) => {
    const made = h("figure", { class: "live", "data-height": height, "data-sync": sync },
      h("figcaption", {}, title),
      h("div", { class: "canvas", role: "img", "aria-label": label, tabindex: "0" }),
      drawn.marks && drawn.marks.length ? h("p", { class: "said", "aria-live": "polite" }) : null);
    waiting.push(() => charts.show(made, drawn));
    return made;
  };
  const legend = (entries, kind) => h("p", { class: `legend ${kind || ""}` }, ...entries.map(([name, text]) => h("span", { class: name }, text)));
  const line = (label, values, kind = label) => ({ label, tone: kind, values: values.map((v) => (Number.isFinite(v) ? v : null)) });

  // ---- how it ended
  const ended = (n, end) => {
    const [at, value, peak, drawdown] = end.breach || [];
    const key = ["Key", (row) => row.at(-1), { kind: "key" }];
    const change = ["Return", (row) => signed(row.at(-2) - 1), { num: true, tone: (row) => tone(row.at(-2) - 1) }];
    return h("section", { class: "end", "aria-labelledby": `end${n}` },
      h("h4", { id: `end${n}` }, `Eliminated: ${end.reason} `, h("small", { class: "key" }, end.name)),
      figures([
        end.breach && [value <= 0 ? "Reached 0" : "Reached the limit", date(at), null, time(at).slice(11) + " UTC"],
        end.breach && ["Value then", plain(value)],
        end.breach && ["Peak before", plain(peak)],
        end.breach && ["Drawdown then", percent(drawdown, 4), "down"],
        ["Eliminated", date(end.time), null, time(end.time).slice(11) + " UTC"],
        end.bucket && ["From", end.bucket],
        end.recorded > 0 && ["Recorded drawdown", percent(end.recorded)],
      ]),
      ...(end.held.length ? [h("h5", {}, "Open then"), table("Open then", [
        ["Pair", (row) => row[0]],
        ["Leverage", (row) => plain(row[1]), { num: true }],
        ["Price", (row) => price(row[2]), { num: true }],
        ["Candle", (row) => (row[3] === null ? "last order's price" : time(row[3]))],
        change, key,
      ], end.held)] : end.breach ? [hint("No position was open then.")] : []),
      ...(end.closed.length ? [h("h5", {}, "Closed at the elimination"), table("Closed at the elimination", [
        ["Pair", (row) => row[0]],
        ["Price", (row) => (row[1] ? price(row[1][0]) : "none found"), { num: true }],
        ["Candle", (row) => (row[1] ? `${time(row[1][1])}, ${row[1][2]}` : "closed as it stood")],
        change, key,
      ], end.closed)] : []));
  };

  // ---- curves
  const curves = (n, own) => {
    const found = read.curves(n), limit = data.limit, end = own.end && own.end.breach;
    const period = own.period.map(date).join(" to ");
    const bands = (own.stays || []).map(([from, to, label]) => ({ from, to, tone: label, label }));
    const before = own.liquidated ? " before" : "";
    const mark = (y) => (end ? [{ x: end[0] / 1000, y, tone: "breach", label: end[1] <= 0 ? "reached 0" : "reached the limit" }] : []);
    const value = {
      unit: "value", x: found.time, bands, marks: mark(end && end[1]),
      series: [line("value", found.value, "line"), ...(limit === null ? [] : [line("limit", found.peak.map((peak) => peak * (1 - limit)))])],
    };
    const drawdown = {
      unit: "percent", x: found.time, marks: mark(end && -end[3]),
      series: [line("drawdown", found.drawdown), ...(limit === null ? [] : [line("limit", found.time.map(() => -limit))])],
    };
    const stays = [...new Set(bands.map((band) => band.label))];
    return [
      figures([
        [`Return${before}`, signed(own.return), tone(own.return)],
        [`Max drawdown${before}`, percent(own.drawdown)],
        [`PnL${before}`, usd(own.pnl), null, "USD"],
        ["Spread fees", percent(own.spread)],
        ["Carry fees", percent(own.carry)],
        ["In market", percent(own.in_market, 0)],
        ...own.days.map(([day, v], best) => [best ? "Worst day" : "Best day", signed(v), tone(v), day]),
      ]),
      chart(`Value since the first order${limit === null ? "" : ", and where the drawdown limit is reached"}`,
        `Value of the portfolio, ${period}: ends at ${plain(1 + own.return)}`, value, 260, `time${n}`),
      stays.length ? legend(stays.map((name) => [`s-${name}`, name])) : null,
      chart(`Drawdown, deepest of each 12 hours${limit === null ? "" : ", and its limit"}`,
        `Drawdown of the portfolio, ${period}: at most ${percent(own.drawdown)}`, drawdown, 150, `time${n}`),
      own.truncated ? hint(`The ledger's window has dropped its beginning: drawdown and PnL count from ${date(own.period[0])}.`) : null,
    ].filter(Boolean);
  };

  // ---- orders on prices
  const HOUR = 3600;
  const priceChart = (own, positions, orders, pair, chosen) => {
    const marks = [];
    orders.time.forEach((since, i) => {
      const place = orders.position[i];
      if (positions.pair[place] !== pair || (chosen !== null && place !== chosen)) return;
      marks.push({ x: data.begin + since, y: orders.price[i], tone: data.tones[orders.mark[i]], label: `${data.labels[orders.mark[i]]}, leverage ${Number(orders.held[i].toPrecision(4))}` });
    });
    if (!marks.length) return null;
    marks.sort((a, b) => a.x - b.x);
    const open = positions.pair.some((each, place) => each === pair && (chosen === null || chosen === place) && Number.isNaN(positions.closed[place]));
    const first = marks[0].x, last = open ? Math.max(marks.at(-1).x, own.period[1] / 1000) : marks.at(-1).x;
    const around = Math.min(Math.max(0.15 * (last - first), HOUR), 240 * HOUR);
    const at = data.priced.indexOf(pair), found = at < 0 ? { time: [] } : read.prices(at);
    const from = found.time.findLastIndex((x) => x < first - around), to = found.time.findIndex((x) => x > last + around);
    const cut = (values) => values.slice(Math.max(from, 0), to < 0 ? undefined : to + 1);
    const x = cut(found.time);
    if (x.length < 2) {
      const times = [...new Set(marks.map((mark) => mark.x))];
      const paid = times.map((each) => marks.find((mark) => mark.x === each).y);
      return { unit: "price", x: times, series: [line("order price", paid, "line")], marks };
    }
    const lines = [["close", cut(found.close), "line"], ["high", cut(found.high), "range"], ["low", cut(found.low), "range"]];
    for (const [put, mark, beyond] of [["unshift", marks[0], x[0] > first], ["push", marks.at(-1), x.at(-1) < marks.at(-1).x]]) {
      if (!beyond) continue; // the first and the last order are within what is drawn
      x[put](mark.x);
      for (const [, values] of lines) values[put](mark.y);
    }
    return { unit: "price", x, series: lines.map(([name, values, kind]) => line(name, values, kind)), marks, range: [2, 3], candles: true };
  };

  const trades = (n, own) => {
    const positions = read.positions(n), orders = read.orders(n), shown = positions.pair.length;
    if (!shown) return [];
    const keys = data.keys.slice(firstKey[n], firstKey[n] + shown);
    const rows = keys.map((_, i) => i), pairs = [...new Set(positions.pair)].sort((a, b) => a - b);
    const choice = h("select", {}, ...pairs.map((pair) => h("option", { value: pair }, data.pairs[pair])));
    const only = h("button", { type: "button" }, "All on the pair");
    const what = h("span", { "aria-live": "polite" });
    const place = h("div", { class: "on-prices" });
    let drawn = null, made = null;
    const title = (pair, found) => `${data.pairs[pair]}${found.candles ? ": closes, with highs and lows" : ": prices of the orders"}`;
    const show = (pair, chosen) => {
      const found = priceChart(own, positions, orders, pair, chosen);
      choice.value = pair;
      only.hidden = chosen === null;
      what.textContent = chosen === null ? "" : `Position of ${minute(positions.opened[chosen])} only.`;
      for (const row of list.querySelectorAll("tbody tr")) row.classList.toggle("chosen", chosen !== null && row.dataset.row === String(chosen));
      place.hidden = !found;
      if (!found) { what.textContent += " No order with a price."; return; }
      if (!made) {
        made = chart(title(pair, found), "", found, 300);
        place.append(made);
        const start = () => { drawn = charts.show(made, found); };
        waiting.pop();
        if (made.isConnected) start(); else waiting.push(start);
      } else {
        charts.replace(drawn, found);
      }
      made.querySelector("figcaption").textContent = title(pair, found);
      made.querySelector(".canvas").setAttribute("aria-label", `Prices of ${data.pairs[pair]} with ${count(found.marks.length, "order")}`);
    };
    choice.addEventListener("change", () => show(Number(choice.value), null));
    only.addEventListener("click", () => show(Number(choice.value), null));
    const opener = (i) => {
      const button = h("button", { type: "button", class: "link", title: "show on the prices" }, minute(positions.opened[i]));
      button.addEventListener("click", () => {
        show(positions.pair[i], i);
        place.scrollIntoView({ block: "nearest" });
      });
      return button;
    };
    const value = (i) => positions.value[i] - 1;
    const list = table(`Positions of ${own.hotkey}`, [
      ["Opened", opener, { v: (i) => positions.opened[i] }],
      ["Closed", (i) => (positions.closed[i] ? minute(positions.closed[i]) : "open"), { v: (i) => positions.closed[i] || 9e15 }],
      ["Pair", (i) => data.pairs[positions.pair[i]]],
      ["Side", (i) => (positions.side[i] ? "short" : "long")],
      ["Return", (i) => signed(value(i)), { num: true, tone: (i) => tone(value(i)), v: value }],
      ["Largest leverage", (i) => plain(positions.leverage[i]), { num: true }],
      ["Entry price", (i) => price(positions.entry[i]), { num: true, v: (i) => positions.entry[i] }],
      ["Exit price", (i) => price(positions.exit[i]), { num: true, v: (i) => positions.exit[i] || 0 }],
      ["Spread fee", (i) => percent(1 - positions.spread[i], 3), { num: true, v: (i) => 1 - positions.spread[i] }],
      ["Orders", (i) => positions.orders[i], { num: true }],
      ["Key", (i) => h("small", {}, keys[i]), { kind: "key" }],
    ], rows, { id: `positions${n}`, tall: shown > 10, name: (i) => `${data.pairs[positions.pair[i]]} ${keys[i]}` });
    list.querySelectorAll("tbody tr").forEach((row, i) => { row.dataset.row = i; });
    const filters = h("div", { class: "filters", "data-for": `positions${n}` },
      h("label", {}, "Search ", h("input", { type: "search", "data-filter": "q", placeholder: "pair or key", autocomplete: "off" })), h("output", {}));
    if (shown > 1) waiting.push(() => tables.filtered(filters));
    const marked = orders.time.length, orderCount = positions.orders.reduce((sum, each) => sum + each, 0);
    show(positions.pair[0], null);
    return [
      section(`prices${n}`, "Orders on prices",
        h("div", { class: "filters" }, h("label", {}, "Pair ", choice), only, what),
        place,
        legend([["m-long", "opened long"], ["m-short", "opened short"], ["m-change", "changed"], ["m-exit", "closed"]], "marks"),
        marked < orderCount ? hint(`Marked: ${marked.toLocaleString("en-US")} orders of the newest positions; orders.parquet has all ${own.n_orders.toLocaleString("en-US")}.`) : null),
      section(`list${n}`, `Positions: ${own.n_positions.toLocaleString("en-US")}, ${own.n_open.toLocaleString("en-US")} open, ${count(own.n_orders, "order")}`,
        shown > 1 ? filters : null, list,
        hint(`Return: after the last order, with fees; an open position's value since then is in the curves. A row's time shows its entry and exit on the prices.${
          shown < own.n_positions ? ` The newest ${shown.toLocaleString("en-US")}; positions.parquet has all ${own.n_positions.toLocaleString("en-US")}.` : ""}`)),
    ];
  };

  // ---- where the change came from
  const NAMES = ["change", "price", "spread", "carry", "slippage"];
  const attribution = (n) => {
    const found = read.parts(n), sums = read.ledgers(n);
    const rows = sums.ledger.map((_, i) => i);
    return section(`parts${n}`, "Where the change came from",
      chart("Running sums of log changes", "Running sums of what price, spread, carry and slippage changed",
        { unit: "percent", x: found.time, series: NAMES.slice(1).map((name) => line(name, found[name])) }, 200, `time${n}`),
      table("Where the change came from, by ledger", [
        ["Ledger", (i) => (sums.ledger[i] ? data.pairs[sums.ledger[i] - 1] : h("strong", {}, "portfolio"))],
        ...NAMES.map((name) => [capital(name), (i) => signed(sums[name][i], 3), { num: true, tone: (i) => tone(sums[name][i]), v: (i) => sums[name][i] }]),
        ["Max drawdown", (i) => percent(sums.drawdown[i]), { num: true, v: (i) => sums.drawdown[i] }],
        ["PnL, USD", (i) => usd(sums.pnl[i]), { num: true, v: (i) => sums.pnl[i] }],
      ], rows),
      hint("Log changes, so that parts add up to the change, and pairs to the portfolio; attribution.parquet has them by checkpoint."));
  };

  // ---- scores
  const scores = (n) => {
    const parts = [];
    if (data.history && data.history.table.counts[n]) {
      const found = readHistory(n), x = data.history.times;
      const rank = found.rank.map((each) => each || NaN);
      parts.push(h("div", { class: "two" },
        chart("Class scores", "Class scores over time", { unit: "score", x, series: data.history.classes.map((name) => line(name, found[`score ${name}`])) }, 180, `time${n}`),
        chart("Rank by final weight", "Rank by final weight over time", { unit: "rank", x, series: [line("rank", rank)] }, 180, `time${n}`)));
    }
    if (data.last && data.last.table.counts[n]) {
      const found = readLast(n), rows = data.last.classes.map((_, i) => i);
      parts.push(
        figures([
          ["Final weight", percent(found.final[0]), null, date(data.last.time * 1000)],
          ["Final rank", String(found.final_rank[0])],
          ["Penalty", figure(found["penalty total"][0])],
          ["Drawdown penalty", figure(found["penalty drawdown"][0])],
          ["Account size", figure(found["penalty account_size"][0])],
          ["Risk profile", figure(found["penalty risk_profile"][0])],
        ]),
        table("The last evaluation", [
          ["Class", (i) => data.last.classes[i]],
          ["Score", (i) => figure(found.score[i]), { num: true }],
          ["Rank", (i) => (found.score[i] ? found.rank[i] : "-"), { num: true, v: (i) => found.rank[i] }],
          ["Weight", (i) => percent(found.weight[i]), { num: true }],
          ["Full days", (i) => `${found.days[i]} of ${data.last.min_days[i]}`, { num: true, v: (i) => found.days[i] }],
          ...data.last.metrics.map((name) => [metricTitle(name), (i) => metricCell(found, name, i), { num: true }]),
        ], rows, { sortable: false }),
        hint("Small: percentile rank among those who were scored. A class score of 0 has no rank. Final weight and rank: over all classes."));
    }
    return parts.length ? section(`scores${n}`, "Scores", ...parts) : null;
  };
  const metricTitle = (name) => capital(name).replace("Pnl", "PnL, USD");
  const metricCell = (found, name, i) => {
    const percentile = found[`percentile ${name}`][i];
    return h("span", {}, figure(found[name][i]), Number.isFinite(percentile) && h("small", {}, ` ${percent(percentile, 0)}`));
  };

  // the metrics of everybody in one class of the last evaluation
  const metrics = (place, hotkeys) => {
    const rows = [];
    data.traders.forEach((own, n) => {
      if (!hotkeys.has(own.hotkey) || !data.last.table.counts[n]) return;
      rows.push({ hotkey: own.hotkey, found: Object.fromEntries(Object.entries(readLast(n)).map(([name, values]) => [name, [values[place]]])) });
    });
    rows.sort((a, b) => a.found.rank[0] - b.found.rank[0]);
    const number = (name, words) => [(row) => words(row.found[name][0]), { num: true, v: (row) => row.found[name][0] }];
    return table(`Metrics in ${data.last.classes[place]}`, [
      ["Trader", (row) => h("span", { title: row.hotkey }, row.hotkey.length > 16 ? `${row.hotkey.slice(0, 13)}…` : row.hotkey), { kind: "key" }],
      ["Rank", (row) => (row.found.score[0] ? row.found.rank[0] : "-"), { num: true, v: (row) => row.found.rank[0] }],
      ["Days", ...number("days", String)],
      ...data.last.metrics.map((name) => [metricTitle(name), (row) => metricCell(row.found, name, 0), { num: true, v: (row) => row.found[name][0] }]),
      ["Score", ...number("score", figure)],
      ["Weight", ...number("weight", percent)],
    ], rows);
  };

  // ---- what happened, and what was set aside
  const story = (n, own) => own.events && own.events.length ? section(`story${n}`, `Story: ${count(own.n_events, "event")}`,
    table(`Events of ${own.hotkey}`, [
      ["Time", (row) => time(row[0])],
      ["Event", (row) => row[2], { kind: "prose", tone: (row) => row[1].replaceAll("_", "-") }],
    ], own.events, { sortable: false }),
    own.events.length < own.n_events ? hint(`The newest ${own.events.length}; events.parquet has all ${own.n_events}.`) : null) : null;

  const rejected = (n, own) => own.n_rejected ? section(`rejected${n}`, `Set aside: ${count(own.n_rejected, "position")}`,
    table(`What was set aside of ${own.hotkey}`, [
      ["Reason", (row) => row[0]],
      ["What was wrong", (row) => h("span", {}, row[1], h("span", { class: "origin" }, row[2])), { kind: "prose" }],
      ["Orders", (row) => row[3], { num: true }],
      ["Position", (row) => h("small", {}, row[4]), { kind: "key" }],
    ], own.rejected),
    own.rejected.length < own.n_rejected ? hint(`The first ${own.rejected.length}; rejected.parquet has all ${own.n_rejected}.`) : null) : null;

  const findings = (n, own) => own.n_findings ? section(`findings${n}`, `Reduced or refused: ${count(own.n_findings, "order")}`,
    table(`Orders reduced or refused of ${own.hotkey}`, [
      ["Time", (row) => time(row[0])],
      ["Rule", (row) => row[1]],
      ["Pair", (row) => row[2]],
      ["Recorded", (row) => plain(row[3]), { num: true }],
      ["Allowed", (row) => (row[4] === null ? "refused" : plain(row[4])), { num: true }],
      ["In words", (row) => row[5], { kind: "prose" }],
    ], own.findings),
    own.findings.length < own.n_findings ? hint(`The first ${own.findings.length}; order_findings.parquet has all ${own.n_findings}.`) : null) : null;

  // puts the part of trader n into an element that is on the page
  const fill = (element, n) => {
    const own = data.traders[n];
    const parts = [
      own.liquidated && h("p", { class: "note" }, `Liquidated on ${time(own.liquidated[0])} UTC: the portfolio reached 0. The ledger ends at the price before, at a value of ${plain(own.liquidated[1])}.`),
      own.end ? ended(n, own.end) : own.failed && h("p", { class: "note" }, `Would have been eliminated, had eliminations been on: ${own.failed}.`),
      ...curves(n, own), ...trades(n, own), attribution(n), scores(n), story(n, own), rejected(n, own), findings(n, own),
    ];
    element.append(...parts.filter(Boolean));
    for (const draw of waiting.splice(0)) draw();
  };
  return { fill, metrics, value: (n) => read.curves(n, "time", "value") };
};
