// @ts-check
// The course of a training: its log as a plot.

import { request } from "./api.js";
import { byId } from "./dom.js";
import { plotlyThere } from "./viewer/plotly.js";
import { PLAIN_PLOT, axisLook, plotLook, themeColour as colour } from "./viewer/theme.js";

/** Columns of the log: name, colour, panel. @type {[string, string, string, string][]} */
const LINES = [
  ["error", "training", "muted", "y"],
  ["epe", "held out", "accent", "y"],
  ["epe_moving", "held out, moving points", "wait", "y"],
  ["likelihood", "training", "muted", "y2"],
  ["held_out_likelihood", "held out", "accent", "y2"],
];

/** @typedef {Record<string, number>} Row */

/** Draw what the log of a job says by now. @param {Job} job */
export async function showCurve(job) {
  /** @type {[{ rows: Row[] }, void]} */
  const [{ rows }] = await Promise.all([request(job.links.log), plotlyThere()]);
  byId("curve").hidden = rows.length === 0;
  if (rows.length === 0) return;
  const traces = LINES.map(([column, name, shade, axis]) => {
    const known = rows.filter((row) => column in row);
    return {
      x: known.map((row) => row.step), y: known.map((row) => row[column]), name, yaxis: axis, showlegend: axis === "y",
      mode: known.length > 30 ? "lines" : "lines+markers", line: { color: colour(shade), width: 2 }, marker: { size: 5 },
    };
  });
  const axis = (/** @type {string} */ title) => ({ ...axisLook(title), automargin: true });
  await Plotly.react(byId("curve-plot"), traces, {
    ...plotLook(12.5), showlegend: true, height: 460, margin: { l: 10, r: 10, t: 30, b: 10 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }, hovermode: "x unified",
    hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line-strong"), font: { color: colour("text") } },
    xaxis: { ...axis("step"), anchor: "y2" },
    yaxis: { ...axis("error, px"), domain: [0.55, 1], rangemode: "tozero" },
    yaxis2: { ...axis("log likelihood"), domain: [0, 0.45] },
  }, PLAIN_PLOT);
  const last = rows.findLast((row) => "epe" in row);
  byId("curve-plot").dataset.rows = `${rows.length}`;
  byId("curve-text").textContent = last
    ? `Last validation, after ${last.step} steps: error ${last.epe.toFixed(2)} px; of the points that move `
      + `${last.epe_moving.toFixed(2)} px, where the answer that nothing moves is off by ${last.still.toFixed(2)} px.`
    : "The first validation comes after a minute.";
}
