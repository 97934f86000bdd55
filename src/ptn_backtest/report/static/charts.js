"use strict";
// Draws charts: every <figure data-chart> of a page, and those that `charts.show` is given. What a chart
// may say is in web/charts.py. Numbers and names go into the canvas or into text nodes, never into markup.
const charts = (() => {
  const TONES = {
    line: "--line", value: "--line", price: "--line", close: "--line", other: "--probation", limit: "--down",
    drawdown: "--down", range: "--range", spread: "--probation", carry: "--plagiarism", slippage: "--down",
    main: "--main", challenge: "--challenge", probation: "--probation", plagiarism: "--plagiarism", out: "--out",
    crypto: "--line", forex: "--probation", equities: "--plagiarism", indices: "--up", rank: "--ink",
    long: "--up", short: "--down", change: "--probation", exit: "--ink", breach: "--down",
  };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (tone) => css(Object.hasOwn(TONES, tone) ? TONES[tone] : "--line");
  const digits = (v, n) => (v === null || v === undefined ? "–" : v.toLocaleString("en", { maximumFractionDigits: n }));
  const FORMATS = {
    percent: (v) => (v === null || v === undefined ? "–" : `${digits(v * 100, 3)}%`),
    value: (v) => digits(v, 5),
    price: (v) => (v === null || v === undefined ? "–" : v.toLocaleString("en", { maximumSignificantDigits: 8 })),
    rank: (v) => digits(v, 0),
    count: (v) => digits(v, 0),
    score: (v) => digits(v, 4),
  };
  const utc = (s) => new Date(s * 1000).toISOString().slice(0, 16).replace("T", " ");
  const DAY = 86400, WHOLE = [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000, 2000, 5000];
  const dates = (u, ticks, n, space, step) => ticks.map((s, i) => {
    const [date, time] = utc(s).split(" ");
    if (step >= 28 * DAY) return date.slice(0, 7);
    if (step >= DAY) return i && date.slice(0, 4) === utc(ticks[i - 1]).slice(0, 4) ? date.slice(5) : date;
    return i && date === utc(ticks[i - 1]).slice(0, 10) ? time : `${time}\n${date}`;
  });
  const FONT = "11px system-ui, sans-serif";

  const shaded = (bands) => (u) => {
    const { ctx } = u, { left, top, width, height } = u.bbox;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.globalAlpha = 0.16;
    for (const band of bands) {
      const from = u.valToPos(band.from, "x", true), to = u.valToPos(band.to, "x", true);
      ctx.fillStyle = color(band.tone);
      ctx.fillRect(from, top, to - from, height);
    }
    ctx.restore();
  };

  const marked = (marks) => (u) => {
    const { ctx } = u, size = 5 * devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left - size, u.bbox.top - size, u.bbox.width + 2 * size, u.bbox.height + 2 * size);
    ctx.clip();
    ctx.strokeStyle = css("--card");
    ctx.lineWidth = devicePixelRatio;
    for (const mark of marks) {
      const x = u.valToPos(mark.x, "x", true), y = u.valToPos(mark.y, "y", true);
      const sign = mark.tone === "short" ? -1 : 1;
      ctx.fillStyle = color(mark.tone);
      ctx.beginPath();
      if (mark.tone === "long" || mark.tone === "short") {
        ctx.moveTo(x, y - sign * size * 1.2);
        ctx.lineTo(x + size, y + sign * size);
        ctx.lineTo(x - size, y + sign * size);
      } else if (mark.tone === "exit") {
        ctx.rect(x - size * 0.8, y - size * 0.8, size * 1.6, size * 1.6);
      } else {
        ctx.arc(x, y, mark.tone === "breach" ? size * 1.2 : size * 0.8, 0, 2 * Math.PI);
      }
      ctx.closePath();
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  };

  const near = (u, marks) => {
    const { left, top } = u.cursor;
    let best = null, least = 12;
    for (const mark of marks) {
      const away = Math.hypot(u.valToPos(mark.x, "x") - left, (u.valToPos(mark.y, "y") - top) / 3);
      if (away < least) { best = mark; least = away; }
    }
    return best;
  };

  const draw = (figure, chart) => {
    const place = figure.querySelector(".canvas");
    const said = figure.querySelector(".said"), format = FORMATS[chart.unit] || FORMATS.value;
    const own = chart.series.map((one) => one.values);
    let columns = own;
    if (chart.stacked) {
      columns = own.map((values, n) => values.map((_, i) => own.slice(n).reduce((sum, each) => sum + each[i], 0)));
    }
    const stepped = chart.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined;
    const alone = chart.x.length === 1;
    const series = chart.series.map((one, n) => {
      const stroke = color(one.tone), range = one.tone === "range";
      return {
        label: one.label,
        stroke: chart.stacked || range ? (range ? "transparent" : css("--card")) : stroke,
        width: chart.stacked || range ? 0.5 : one.tone === "limit" ? 1.2 : 1.5,
        dash: one.tone === "limit" ? [6, 4] : undefined,
        fill: chart.stacked ? stroke : one.tone === "drawdown" ? css("--fall") : chart.series.length === 1 && chart.unit === "value" ? css("--fill") : undefined,
        paths: stepped,
        spanGaps: true,
        points: { show: alone, fill: stroke, stroke },
        value: (u, v, s, i) => (i === null ? "–" : format(own[n][i])),
      };
    });
    const axis = { stroke: css("--soft"), font: FONT, grid: { stroke: css("--rule"), width: 1 }, ticks: { stroke: css("--rule"), width: 1, size: 4 } };
    const y = { dir: chart.unit === "rank" ? -1 : 1 };
    if (chart.stacked) y.range = (u, low, high) => [0, high * 1.02 || 1];
    const hooks = { drawClear: [], draw: [], setCursor: [] };
    if (chart.bands && chart.bands.length) hooks.drawClear.push(shaded(chart.bands));
    const marks = chart.marks || [];
    if (marks.length) {
      hooks.draw.push(marked(marks));
      hooks.setCursor.push((u) => {
        const mark = u.cursor.left >= 0 ? near(u, marks) : null;
        said.textContent = mark ? `${utc(mark.x)}  ${mark.label}, at ${format(mark.y)}` : "";
      });
    }
    const pad = marks.length ? 0.06 : 0.03;
    if (!y.range) {
      y.range = (u, low, high) => {
        if (low === null) return [0, 1];
        for (const mark of marks) { low = Math.min(low, mark.y); high = Math.max(high, mark.y); }
        const room = (high - low) * pad || Math.abs(high) * 0.02 || 1;
        const top = chart.unit === "percent" && high <= 0 ? 0 : high + room;
        return [chart.unit === "rank" ? Math.max(low - room, 0) : low - room, top];
      };
    }
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: Number(figure.dataset.height) || 220,
      tzDate: (s) => uPlot.tzDate(new Date(s * 1000), "Etc/UTC"),
      scales: { x: { time: true }, y },
      axes: [
        { ...axis, values: dates, space: place.clientWidth < 420 ? 54 : 76 },
        { ...axis, size: 62, values: (u, ticks) => ticks.map(format), ...(["rank", "count"].includes(chart.unit) ? { incrs: WHOLE, space: 24 } : {}) },
      ],
      series: [{ label: "time", value: (u, v) => (v === null ? "–" : utc(v)) }, ...series],
      bands: chart.range ? [{ series: chart.range, fill: css("--range") }] : [],
      cursor: figure.dataset.sync ? { sync: { key: figure.dataset.sync, scales: ["x", null] } } : {},
      legend: { live: true, markers: { width: 0, fill: (u, n) => color(chart.series[n - 1].tone) } },
      hooks,
    };
    return new uPlot(options, [chart.x, ...columns], place);
  };

  const zoom = (u, factor) => {
    const { min, max } = u.scales.x, middle = u.cursor.idx === null || u.cursor.idx === undefined ? (min + max) / 2 : u.data[0][u.cursor.idx];
    const half = ((max - min) / 2) * factor, all = u.data[0];
    u.setScale("x", { min: Math.max(middle - half, all[0]), max: Math.min(middle + half, all[all.length - 1]) });
  };

  const keyed = (place, chart) => (event) => {
    const u = chart.drawn, all = u.data[0], last = all.length - 1;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const step = (event.key === "ArrowLeft" ? -1 : 1) * (event.shiftKey ? 10 : 1);
      const [from, to] = u.series[0].idxs;
      const at = u.cursor.idx === null || u.cursor.idx === undefined ? (step > 0 ? from : to) : u.cursor.idx + step;
      const index = Math.min(Math.max(at, Math.max(from, 0)), Math.min(to, last));
      const shown = u.data.slice(1).map((column) => column[index]).find((v) => v !== null && v !== undefined);
      u.setCursor({ left: u.valToPos(all[index], "x"), top: shown === undefined ? 0 : u.valToPos(shown, "y") });
    } else if (event.key === "+" || event.key === "=") {
      zoom(u, 0.5);
    } else if (event.key === "-") {
      zoom(u, 2);
    } else if (event.key === "0") {
      u.setScale("x", { min: all[0], max: all[last] });
    } else {
      return;
    }
    event.preventDefault();
  };

  const all = [];
  const show = (figure, chart) => {
    const place = figure.querySelector(".canvas"), one = { figure, chart, drawn: draw(figure, chart) };
    all.push(one);
    place.addEventListener("keydown", keyed(place, one));
    new ResizeObserver(() => {
      const width = Math.max(place.clientWidth, 200);
      if (place.clientWidth && width !== one.drawn.width) one.drawn.setSize({ width, height: one.drawn.height });
    }).observe(place);
    return one;
  };
  const replace = (one, chart) => {
    one.chart = chart;
    one.drawn.destroy();
    one.drawn = draw(one.figure, chart);
  };
  const again = () => { for (const one of all) replace(one, one.chart); };

  for (const figure of document.querySelectorAll("figure[data-chart]")) show(figure, JSON.parse(figure.dataset.chart));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  // paper is light, whatever the screen is: the style has the colours of `printing`
  addEventListener("beforeprint", () => { document.documentElement.classList.add("printing"); again(); });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("printing"); again(); });
  return { show, replace };
})();
