/* Draws the charts of a report from the JSON in #series. Each chart is drawn when it comes into view. */
(() => {
  "use strict";

  const trials = JSON.parse(document.getElementById("series").textContent);
  const plots = new Set();
  const NARROW = window.matchMedia("(max-width: 860px)");
  const DARK = window.matchMedia("(prefers-color-scheme: dark)");
  const FLAG_COLOURS = {
    load: "--doubt", bad: "--bad", ticket: "--muted", deployed: "--calm", refused: "--bad", good: "--good",
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function clock(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (number) => String(number).padStart(2, "0");
    const minutes = Math.floor(whole / 60);
    if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
    return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
  }

  const digits = (value) => String(Number(value.toPrecision(3)));

  function quantity(value, unit) {
    if (unit === "ratio") return `${digits(value * 100)} %`;
    if (unit === "seconds") return Math.abs(value) < 1 ? `${digits(value * 1000)} ms` : `${digits(value)} s`;
    if (unit !== "bytes") return digits(value);
    const steps = ["B", "kB", "MB", "GB"];
    let step = 0;
    for (; Math.abs(value) >= 1000 && step < 3; step += 1) value /= 1000;
    return `${digits(value)} ${steps[step]}`;
  }

  const WORDS = { h: "held", v: "violated", u: "unknown", i: "idle", "-": "not evaluated" };

  /* Stretches of evaluations with the same status, as [status, from, to] in seconds. An evaluation
     speaks for the time until the next one. */
  function stretches(times, statuses) {
    const found = [];
    for (let i = 0; i < times.length; i += 1) {
      const until = i + 1 < times.length ? times[i + 1] : times[i] + 1;
      const last = found[found.length - 1];
      if (last && last[0] === statuses[i]) last[2] = until;
      else found.push([statuses[i], times[i], until]);
    }
    return found;
  }

  function hatch(ctx, left, top, width, height, gap) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.strokeStyle = colour("--muted");
    ctx.globalAlpha = 0.45;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let x = left - height; x < left + width; x += gap) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
  }

  function drawStatuses(u, line, times) {
    const { ctx, bbox } = u;
    for (const [status, since, until] of stretches(times, line.statuses)) {
      const left = u.valToPos(since, "x", true);
      const width = Math.max(1, u.valToPos(until, "x", true) - left);
      if (status === "u" || status === "-") hatch(ctx, left, bbox.top, width, bbox.height, 7 * devicePixelRatio);
      if (status !== "v" && status !== "i") continue;
      ctx.fillStyle = colour(status === "v" ? "--bad-soft" : "--soft");
      ctx.fillRect(left, bbox.top, width, bbox.height);
    }
  }

  function drawLimit(u, limit) {
    const { ctx, bbox } = u;
    const y = Math.round(u.valToPos(limit, "y", true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = colour("--limit");
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.restore();
  }

  /* Dots on what was violated, and on values that have no neighbour to draw a line to. */
  function drawDots(u, line, times) {
    const { ctx } = u;
    line.values.forEach((value, i) => {
      const violated = line.statuses[i] === "v";
      const alone = (line.values[i - 1] ?? null) === null && (line.values[i + 1] ?? null) === null;
      if (value === null || !(violated || alone)) return;
      ctx.fillStyle = colour(violated ? "--bad" : "--series");
      ctx.beginPath();
      ctx.arc(u.valToPos(times[i], "x", true), u.valToPos(value, "y", true), 2.2 * devicePixelRatio, 0, 7);
      ctx.fill();
    });
  }

  /* How many rows of flags a chart of this width needs; each flag is about 24 pixels wide. */
  function rowsNeeded(trial, width) {
    const ends = [];
    for (const marker of trial.markers) {
      const left = (marker.at / Math.max(trial.span, 1)) * (width - 68);
      const row = ends.findIndex((end) => left >= end);
      ends[row < 0 ? ends.length : row] = left + 24;
    }
    return Math.min(Math.max(ends.length, 1), 4);
  }

  /* Where each marker's flag goes; flags that would overlap climb a row. */
  function placeFlags(u, markers, rows) {
    const px = devicePixelRatio;
    const ends = new Array(rows).fill(-Infinity);
    return markers.map((marker) => {
      const x = Math.round(u.valToPos(marker.at, "x", true)) + 0.5;
      const width = Math.max(14 * px, u.ctx.measureText(marker.flag).width + 8 * px);
      let row = ends.findIndex((end) => x - width / 2 >= end);
      if (row < 0) row = ends.indexOf(Math.min(...ends));
      ends[row] = x + width / 2 + 2 * px;
      return { marker, x, width, row };
    });
  }

  /* A vertical line for each moment, its flag above the plot. */
  function drawMarkers(u, markers, rowHeight, rows) {
    const { ctx, bbox } = u;
    const px = devicePixelRatio;
    ctx.save();
    ctx.font = `600 ${10 * px}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    const flags = placeFlags(u, markers, rows)
      .map((flag) => ({ ...flag, top: bbox.top - (flag.row + 1) * rowHeight * px }));
    for (const { marker, x, top } of flags) {
      ctx.strokeStyle = colour(FLAG_COLOURS[marker.kind]);
      ctx.lineWidth = px;
      ctx.globalAlpha = 0.75;
      ctx.beginPath();
      ctx.moveTo(x, top + 12 * px);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    for (const { marker, x, width, top } of flags) {
      ctx.fillStyle = colour(FLAG_COLOURS[marker.kind]);
      ctx.beginPath();
      ctx.roundRect(x - width / 2, top, width, 13 * px, 3 * px);
      ctx.fill();
      ctx.fillStyle = colour("--card");
      ctx.fillText(marker.flag, x, top + 7 * px);
    }
    ctx.restore();
  }

  function options(trial, line, element, key, readout) {
    const rows = rowsNeeded(trial, element.clientWidth);
    const rowHeight = 15;
    const small = element.closest(".chart-grid") !== null;
    const highest = Math.max(line.limit * 1.3, ...line.values.filter((value) => value !== null)) || 1;
    const axis = { stroke: () => colour("--muted"), font: "11px system-ui, sans-serif",
      grid: { stroke: () => colour("--grid"), width: 1 }, ticks: { show: false } };
    return {
      width: element.clientWidth,
      height: (small ? 104 : 142) + rows * rowHeight,
      padding: [rows * rowHeight + 4, 10, 0, 0],
      legend: { show: false },
      cursor: { sync: { key }, drag: { x: false, y: false }, y: false,
        points: { size: 7, fill: () => colour("--series"), stroke: () => colour("--card") } },
      scales: { x: { time: false, range: [0, Math.max(trial.span, 1)] }, y: { range: [0, highest * 1.06] } },
      axes: [
        { ...axis, size: 26, space: 64, incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600],
          values: (_, splits) => splits.map(clock) },
        { ...axis, size: NARROW.matches ? 46 : 58, space: 34, values: (_, splits) => splits.map((v) => quantity(v, line.unit)) },
      ],
      series: [{}, { stroke: () => colour("--series"), width: 1.75, spanGaps: false, points: { show: false } }],
      hooks: {
        drawClear: [(u) => drawStatuses(u, line, trial.times)],
        draw: [(u) => {
          drawLimit(u, line.limit);
          drawDots(u, line, trial.times);
          drawMarkers(u, trial.markers, rowHeight, rows);
        }],
        setCursor: [(u) => {
          const at = u.cursor.idx;
          const value = at === null || at === undefined ? null : line.values[at];
          readout.textContent = at === null || at === undefined ? ""
            : `${clock(trial.times[at])}  ${value === null ? "—" : quantity(value, line.unit)}  ${WORDS[line.statuses[at]]}`;
        }],
      },
    };
  }

  function draw(figure) {
    const index = Number(figure.closest("[data-trial]").dataset.trial);
    const trial = trials[index];
    const line = trial.lines[Number(figure.dataset.line)];
    const element = figure.querySelector(".plot");
    const readout = figure.querySelector(".readout");
    if (trial.times.length === 0) {
      readout.textContent = "nothing was evaluated";
      return;
    }
    const plot = new uPlot(options(trial, line, element, `trial-${index}`, readout), [trial.times, line.values], element);
    plots.add(plot);
    new ResizeObserver(() => {
      if (element.clientWidth > 0) plot.setSize({ width: element.clientWidth, height: plot.height });
    }).observe(element);
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });
  document.querySelectorAll("figure.chart").forEach((figure) => seen.observe(figure));

  DARK.addEventListener("change", () => plots.forEach((plot) => plot.redraw(false, true)));

  /* A link to a folded trial unfolds it. */
  function unfold() {
    const trial = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    if (!trial || trial.tagName !== "DETAILS") return;
    trial.open = true;
    trial.scrollIntoView();
  }
  window.addEventListener("hashchange", unfold);
  unfold();
})();
