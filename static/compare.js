// The comparison's page: a run beside another one that follows the same points, and how far it is off.
//
// The address names both: /compare?candidate=RUN&reference=RUN.

import { request } from "./api.js";
import {
  METHODS, ago, byId, count, element, frameSpan, isPrediction, lastFrame, pause, runFacts, say, setBar, showFacts,
} from "./format.js";
import { intervalArrays, intervalTrace, readNumbers } from "./viewer.js";

const { run: id, clip, fps, frames: clipFrames } = byId("compare").dataset;
const ENDED = ["done", "failed", "cancelled"];
const MOST_LISTED = 500;
const bar = document.querySelector("#progress .bar");
const methodOf = (run) => METHODS[run.method] ?? run.method;

let candidate = null;
let showing = new AbortController();

// ---- which runs ----

async function begin() {
  candidate = await request(`/runs/${id}`);
  showFacts(byId("facts"), runFacts(candidate, Number(fps)));
  if (!ENDED.includes(candidate.state)) candidate = await follow(candidate, "The run is not done yet");
  if (!candidate.links.tracks) {
    return nothing("This run has no tracks", candidate.error ?? "It was cancelled before anything was tracked.");
  }
  const references = (await request(`/runs?clip=${clip}&limit=${MOST_LISTED}`)).items.filter(isReference);
  const wanted = new URLSearchParams(location.search).get("reference");
  // A wish for another run is kept, so that the answer says what is wrong with it.
  if (wanted && !references.some((run) => run.id === wanted)) return show(wanted);
  if (references.length === 0) return offerTracking();
  fillChoice(references);
  const usual = ["pips", "lk"].map((name) => references.find((run) => run.method === name)).find(Boolean);
  await show(wanted ?? (usual ?? references[0]).id);
}

/** Whether a run begins with the candidate's points and shares a later frame with it. */
function isReference(run) {
  if (run.id === id || isPrediction(run) || !run.links.tracks) return false;
  if (run.start !== candidate.start || run.grid !== candidate.grid) return false;
  const theirs = new Set(framesOf(run));
  return framesOf(candidate).slice(1).some((frame) => theirs.has(frame));
}

function framesOf(run) {
  const length = run.state === "done" ? run.frames : (run.tracked_frames ?? 0);
  return Array.from({ length }, (_, k) => run.start + k * run.frame_step);
}

function fillChoice(references) {
  byId("reference").replaceChildren(
    ...references.map((run) => new Option(`${methodOf(run)}, ${frameSpan(run)}, ${ago(run.created_at)}`, run.id)),
  );
  byId("choice").hidden = false;
}

// ---- when there is nothing to compare with ----

function nothing(title, reason) {
  byId("nothing-title").textContent = title;
  byId("nothing-reason").textContent = reason;
  byId("track").hidden = true;
  byId("nothing").hidden = false;
  announce(`${title}. ${reason}`);
}

async function offerTracking() {
  const last = lastFrame(candidate);
  const there = clipFrames - 1;
  if (clipFrames < 2) {
    return nothing("Nothing to compare with", "A single picture has no later frames that could be tracked.");
  }
  const needed = candidate.frames === 2 ? last : candidate.start + candidate.frame_step;
  if (needed > there) {
    return nothing(
      "Nothing to compare with",
      `The clip ends with frame ${there}, so what really happened up to frame ${needed} is not known; predict from an earlier frame.`,
    );
  }
  const { items } = await request("/methods");
  const method = ["pips", "lk"]
    .map((name) => items.find((offer) => offer.name === name && offer.available))
    .find((offer) => offer && offer.name !== candidate.method);
  nothing(
    "No other run follows these points yet",
    `Tracked through the frames up to ${Math.min(last, there)}, they show how far off this is.`,
  );
  byId("track").textContent = `Track these points with ${method.title}`;
  byId("track").hidden = false;
  byId("track").addEventListener("click", () => track(method.name, Math.min(last, there)));
}

async function track(method, last) {
  byId("track").disabled = true;
  say(byId("compare-error"), "");
  const { grid, start } = candidate;
  const step = isPrediction(candidate) ? 1 : candidate.frame_step;
  const body = { clip, method, grid, start, frames: Math.floor((last - start) / step) + 1, frame_step: step };
  try {
    const started = await request("/runs", { method: "POST", body });
    byId("nothing").hidden = true;
    const done = await follow(started, `Tracking with ${METHODS[method]}`);
    if (!done.links.tracks) throw new Error(done.error ?? "The tracking was cancelled.");
    fillChoice([done]);
    await show(done.id);
  } catch (error) {
    byId("nothing").hidden = false;
    byId("track").disabled = false;
    say(byId("compare-error"), error.message);
  }
}

/** Show a run's progress until it has ended, and return it. */
async function follow(run, what) {
  byId("progress").hidden = false;
  byId("progress-link").href = run.links.page;
  announce(`${what} …`);
  while (!ENDED.includes(run.state)) {
    byId("stage").textContent = `${what}: ${run.state === "queued" ? "waiting" : `${Math.floor(100 * run.progress)} %`}`;
    setBar(bar, run.progress);
    await pause(500);
    run = await request(`/runs/${run.id}`);
  }
  byId("progress").hidden = true;
  return run;
}

// ---- the comparison ----

async function show(reference) {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  history.replaceState(null, "", `${location.pathname}?${new URLSearchParams({ candidate: id, reference })}`);
  byId("reference").value = reference;
  byId("reference-link").href = `/runs/${reference}`;
  try {
    const found = await request(`/compare?${new URLSearchParams({ reference, candidate: id })}`, { signal });
    const other = await request(`/runs/${reference}`, { signal });
    const until = found.frames.at(-1);
    const [ours, theirs] = await Promise.all([
      request(`/runs/${id}/figure.json?until=${until}`, { signal }),
      request(`/runs/${reference}/figure.json?until=${until}`, { signal }),
      scriptsLoaded(),
    ]);
    signal.throwIfAborted();
    say(byId("compare-error"), "");
    byId("comparison").hidden = false;
    describe(found, other);
    await Promise.all([drawTracks("candidate-plot", ours), drawTracks("reference-plot", theirs)]);
    linkZoom(byId("candidate-plot"), byId("reference-plot"));
    await drawMap(found, ours.layout);
    await drawHistogram(found);
    byId("compare").dataset.shown = reference;
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("comparison").hidden = true;
    say(byId("compare-error"), error.message);
  }
}

const px = (value) => (value === null ? "–" : `${value.toFixed(value < 10 ? 2 : 1)} px`);
const share = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);
const plain = (value) => (value === null ? "–" : value.toFixed(2));

function describe(found, other) {
  const { frames, pixels, zero_pixels: zero, metrics } = found;
  const [first, last] = [frames[0], frames.at(-1)];
  byId("verdict").textContent = verdict(pixels.mean_final, zero.mean_final, last);
  const how = isPrediction(candidate) ? `Predicted from frame ${first} alone` : `Tracked with ${methodOf(candidate)}`;
  title("candidate-title", how, `to frame ${last}`);
  title("reference-title", `Tracked with ${methodOf(other)}`, `the reference, to frame ${last}`);
  byId("candidate-column").textContent = methodOf(candidate);
  byId("scores").replaceChildren(...scores(found).map(scoreRow));
  byId("counted").textContent =
    `Measured on ${metrics.points.toLocaleString("en")} of ${count(found.points, "point")}, those that the reference ` +
    `sees in frame ${last}; ${metrics.moving.toLocaleString("en")} of them move. The reference is a tracker's answer, ` +
    "and may be wrong itself.";
  announce(byId("verdict").textContent);
}

function title(target, text, note) {
  byId(target).replaceChildren(text, " ", element("span", "", note));
}

function verdict(mean, zero, last) {
  if (mean === null) return `The reference sees none of the points in frame ${last}, so nothing can be measured.`;
  const off = `In frame ${last} the points are ${px(mean)} from the reference on average; `;
  if (zero < 0.05) return `${off}in truth they hardly move.`;
  const ratio = Math.round(100 * (1 - mean / zero));
  if (ratio === 0) return `${off}points that stay where they are would be as far off.`;
  if (ratio <= -100) return `${off}${(mean / zero).toFixed(1)} times as far as points that stay where they are (${px(zero)}).`;
  const better = ratio > 0 ? `${ratio} % nearer` : `${-ratio} % farther off`;
  return `${off}${better} than points that stay where they are (${px(zero)}).`;
}

/** The table's rows, as [name, value, value of zero motion, meaning]. */
function scores({ pixels, zero_pixels: zero, metrics, zero_metrics: still, frames }) {
  const rows = [
    ["Final error, mean", px(pixels.mean_final), px(zero.mean_final), "Distance from the reference at the end, in pixels of the clip."],
    ["Final error, median", px(pixels.median_final), px(zero.median_final), "Half of the points are nearer than that."],
    ["Path error, mean", px(pixels.mean_path), px(zero.mean_path), `Distance averaged over the ${count(frames.length - 1, "common frame")} after the first.`],
    ["EPE", px(metrics.epe), px(still.epe), "The mean final error in pixels of a 256-high image, as papers state it."],
    ["EPE, moving", px(metrics.epe_moving), px(still.epe_moving), "The same, of points that truly move by more than 1 pixel."],
    ["ADE", px(metrics.ade), px(still.ade), "The mean path error in pixels of a 256-high image."],
    ["Direction", plain(metrics.cosine), plain(still.cosine), "Cosine between both directions, of moving points: 1 is right, 0 is no better than chance."],
    ["Within 4 px", share(metrics.within["4"]), share(still.within["4"]), "Points whose final error is less, in pixels of a 256-high image."],
  ];
  if (metrics.hypotheses > 1) {
    const meaning = `ADE of the nearest of the ${metrics.hypotheses} hypotheses of each point.`;
    rows.push(["Nearest hypothesis", px(metrics.min_ade), "–", meaning]);
  }
  if (metrics.coverage !== null) {
    rows.push(["90 % interval", share(metrics.coverage), "–", "How many final coordinates lie in it: 90 % would be right."]);
  }
  return rows;
}

function scoreRow([name, value, zero, meaning]) {
  const row = element("tr");
  const head = element("th", "", name);
  head.scope = "row";
  row.append(head, element("td", "value", value), element("td", "value", zero), element("td", "meaning", meaning));
  return row;
}

// ---- the pictures ----

const CONFIG = {
  displaylogo: false,
  responsive: true,
  scrollZoom: true,
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
};
const MODEBAR = { bgcolor: "rgba(7, 9, 12, 0.55)", color: "#c6d0dc", activecolor: "#ffffff" };
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const font = () => ({ family: getComputedStyle(document.body).fontFamily, color: colour("text"), size: 12.5 });

async function drawTracks(target, { data, layout }) {
  const plot = byId(target);
  const numbers = readNumbers(layout.meta.stillmotion);
  setShape(plot, layout.meta.stillmotion.size);
  plot.setAttribute("aria-label", `Trajectories over the first frame. ${numbers.summary}`);
  const traces = [...data];
  if (numbers.interval) {
    traces.unshift({ ...intervalTrace(), ...intervalArrays(numbers, numbers.count - 1) });
  }
  const spacing = plot.clientWidth / Math.sqrt(Math.max(1, numbers.points));
  for (const trace of traces) {
    if (trace.meta.role === "heads") trace.marker.size = Math.max(3, Math.min(6, 0.2 * spacing));
  }
  await Plotly.react(plot, traces, { ...layout, modebar: MODEBAR, uirevision: "keep" }, CONFIG);
}

function setShape(plot, [height, width]) {
  plot.style.setProperty("--frame-height", height);
  plot.style.setProperty("--frame-width", width);
}

/** Let two plots always show the same part of the frame. */
function linkZoom(...plots) {
  for (const plot of plots) {
    plot.removeAllListeners("plotly_relayout");
    plot.on("plotly_relayout", () => {
      const { xaxis, yaxis } = plot.layout;
      for (const other of plots) {
        const there = other.layout;
        const isSame = [0, 1].every((k) => near(there.xaxis.range[k], xaxis.range[k]) && near(there.yaxis.range[k], yaxis.range[k]));
        if (other === plot || isSame) continue; // or the two would answer each other for ever
        Plotly.relayout(other, { "xaxis.range": [...xaxis.range], "yaxis.range": [...yaxis.range] });
      }
    });
  }
}

const near = (a, b) => Math.abs(a - b) < 1e-6;

async function drawMap(found, { images, xaxis, yaxis }) {
  const plot = byId("map-plot");
  setShape(plot, found.size);
  const errors = found.final_error;
  const counted = [...errors.keys()].filter((point) => errors[point] !== null);
  const others = [...errors.keys()].filter((point) => errors[point] === null);
  const at = (points, axis) => points.map((point) => found.starts[point][axis]);
  const values = counted.map((point) => errors[point]);
  const top = Math.max(1, quantile(values, 0.98));
  const side = (0.82 * plot.clientWidth) / found.grid;
  const look = { type: "scattergl", mode: "markers", showlegend: false };
  const traces = [
    {
      ...look,
      x: at(counted, 0),
      y: at(counted, 1),
      customdata: counted,
      marker: {
        symbol: "square",
        size: Math.max(3, Math.min(30, 0.62 * side)),
        color: values,
        cmin: 0,
        cmax: top,
        colorscale: "Viridis",
        opacity: 0.85,
        colorbar: {
          thickness: 10,
          len: 0.92,
          x: 0.995,
          xanchor: "right",
          bgcolor: "rgba(7, 9, 12, 0.65)",
          outlinewidth: 0,
          tickfont: { color: "#eef2f6" },
          title: { text: "px", font: { color: "#eef2f6" } },
        },
      },
      hovertemplate: "<b>point %{customdata}</b><br>%{marker.color:.2f} px off<extra></extra>",
      meta: { role: "errors" },
    },
    {
      ...look,
      x: at(others, 0),
      y: at(others, 1),
      marker: { symbol: "circle-open", size: 6, color: "rgba(230, 236, 242, 0.75)" },
      hovertemplate: "not measured<extra></extra>",
      meta: { role: "uncounted" },
    },
  ];
  plot.setAttribute("aria-label", `Error of each point over the frame, from 0 to ${top.toFixed(1)} pixels.`);
  const layout = {
    template: "none",
    images: structuredClone(images),
    xaxis: { ...structuredClone(xaxis), range: [-0.5, found.size[1] - 0.5] },
    yaxis: { ...structuredClone(yaxis), range: [found.size[0] - 0.5, -0.5] },
    margin: { l: 0, r: 0, t: 0, b: 0 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: "pan",
    hovermode: "closest",
    modebar: MODEBAR,
    font: font(),
  };
  await Plotly.react(plot, traces, layout, CONFIG);
}

function quantile(values, wanted) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(wanted * (sorted.length - 1))] ?? 0;
}

async function drawHistogram(found) {
  const plot = byId("histogram-plot");
  setShape(plot, found.size);
  const values = found.final_error.filter((value) => value !== null);
  const { pixels, zero_pixels: zero } = found;
  const line = (value, dash) => ({
    type: "line", x0: value, x1: value, yref: "paper", y0: 0, y1: 1, line: { color: colour("text"), width: 1.5, dash },
  });
  const label = (value, text, y) => ({
    x: value, y, yref: "paper", text, showarrow: false, xanchor: "left", xshift: 6, font: { color: colour("text"), size: 12 },
  });
  const known = pixels.mean_final !== null;
  const axis = { gridcolor: colour("line"), linecolor: colour("line-strong"), zeroline: false, tickfont: { color: colour("muted") }, fixedrange: true };
  plot.setAttribute("aria-label", known
    ? `Histogram of the final errors: mean ${px(pixels.mean_final)}, zero motion's mean ${px(zero.mean_final)}.`
    : "Histogram of the final errors: no point was measured.");
  await Plotly.react(
    plot,
    [{ type: "histogram", x: values, nbinsx: 40, marker: { color: colour("accent") }, hovertemplate: "%{x} px: %{y} points<extra></extra>", meta: { role: "histogram" } }],
    {
      template: "none",
      font: font(),
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 46, r: 16, t: 12, b: 40 },
      bargap: 0.08,
      xaxis: { ...axis, title: { text: "px", font: { color: colour("muted"), size: 12 } }, rangemode: "tozero" },
      yaxis: { ...axis, title: { text: "points", font: { color: colour("muted"), size: 12 } } },
      shapes: known ? [line(pixels.mean_final, "solid"), line(zero.mean_final, "dash")] : [],
      annotations: known ? [label(pixels.mean_final, "mean", 0.98), label(zero.mean_final, "zero motion", 0.88)] : [],
      modebar: MODEBAR,
    },
    { displayModeBar: false, responsive: true },
  );
}

/** Plotly is a deferred script, and this module may run before the page has it. */
async function scriptsLoaded() {
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve));
  if (!window.Plotly) throw new Error("The drawing library could not be loaded.");
}

function announce(text) {
  byId("compare-status").textContent = text;
}

byId("reference").addEventListener("change", (event) => show(event.target.value));
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  const { shown } = byId("compare").dataset;
  if (shown) show(shown);
});

begin().catch((error) => say(byId("compare-error"), error.message));
