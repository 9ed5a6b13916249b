// @ts-check
// The comparison's pictures of the errors: where they are, and how large.

import { px } from "./compare_scores.js";
import { byId } from "./dom.js";
import { MODEBAR, PLAIN_PLOT, axisLook, plotLook, themeColour as colour } from "./viewer/theme.js";

const PLOT_OPTIONS = { displaylogo: false, responsive: true, scrollZoom: true, modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]] };

/**
 * The element that a plot is drawn in, with the frame's shape and a description.
 * @param {string} id @param {[number, number]} size height and width of the frame @param {string} label
 */
function plotArea(id, [height, width], label) {
  const area = byId(id);
  area.style.setProperty("--frame-height", `${height}`);
  area.style.setProperty("--frame-width", `${width}`);
  area.setAttribute("aria-label", label);
  return area;
}

/** Draw each point's error over the first frame. @param {Comparison} found @param {Layout} layout of a figure of the run */
export async function drawMap(found, { images, xaxis, yaxis }) {
  const errors = found.final_error;
  const counted = [...errors.keys()].filter((point) => errors[point] !== null);
  const others = [...errors.keys()].filter((point) => errors[point] === null);
  const values = counted.map((point) => errors[point] ?? 0);
  const top = Math.max(1, quantile(values, 0.98));
  const label = `Error of each point over the frame, from 0 to ${top.toFixed(1)} pixels.`;
  const area = plotArea("map-plot", found.size, label);
  const side = (0.82 * area.clientWidth) / (found.grid ?? Math.sqrt(found.points));
  const colorbar = {
    thickness: 10,
    len: 0.92,
    x: 0.995,
    xanchor: "right",
    bgcolor: "rgba(7, 9, 12, 0.65)",
    outlinewidth: 0,
    tickfont: { color: "#eef2f6" },
    title: { text: "px", font: { color: "#eef2f6" } },
  };
  const squares = { symbol: "square", size: Math.max(3, Math.min(30, 0.62 * side)), opacity: 0.85 };
  const scale = { color: values, cmin: 0, cmax: top, colorscale: "Viridis", colorbar };
  const rings = { symbol: "circle-open", size: 6, color: "rgba(230, 236, 242, 0.75)" };
  /** @param {number[]} points @param {string} role @param {object} marker @param {string} hovertemplate */
  const trace = (points, role, marker, hovertemplate) => ({
    type: "scatter",
    mode: "markers",
    x: points.map((point) => found.starts[point][0]),
    y: points.map((point) => found.starts[point][1]),
    customdata: points,
    marker,
    hovertemplate: `${hovertemplate}<extra></extra>`,
    meta: { role },
  });
  const hover = "<b>point %{customdata}</b><br>%{marker.color:.2f} px off";
  const traces = [
    trace(counted, "errors", { ...squares, ...scale }, hover),
    trace(others, "uncounted", rings, "not measured"),
  ];
  const [height, width] = found.size;
  const layout = {
    ...plotLook(12.5),
    ...structuredClone({ images, xaxis, yaxis }),
    margin: { l: 0, r: 0, t: 0, b: 0 },
    dragmode: "pan",
    hovermode: "closest",
    modebar: MODEBAR,
  };
  layout.xaxis.range = [-0.5, width - 0.5];
  layout.yaxis.range = [height - 0.5, -0.5];
  await Plotly.react(area, traces, layout, PLOT_OPTIONS);
}

/** @param {number[]} values @param {number} wanted */
function quantile(values, wanted) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(wanted * (sorted.length - 1))] ?? 0;
}

/** Draw how many points are off by how much, beside the mean and that of zero motion. @param {Comparison} found */
export async function drawHistogram({ final_error: errors, size, pixels, zero_pixels: zero }) {
  const means = pixels.mean_final === null ? "no point was measured" :
    `mean ${px(pixels.mean_final)}, zero motion's mean ${px(zero.mean_final)}`;
  const area = plotArea("histogram-plot", size, `Histogram of the final errors: ${means}.`);
  /** @type {[number, string, string, number][]} value, text, dash, height of the text */
  const marks = [];
  if (pixels.mean_final !== null) marks.push([pixels.mean_final, "mean", "solid", 0.98]);
  if (zero.mean_final !== null) marks.push([zero.mean_final, "zero motion", "dash", 0.88]);
  const layout = {
    ...plotLook(12.5),
    margin: { l: 46, r: 16, t: 12, b: 40 },
    bargap: 0.08,
    xaxis: { ...axisLook("px"), rangemode: "tozero" },
    yaxis: axisLook("points"),
    shapes: marks.map(([value, , dash]) => ({
      type: "line", x0: value, x1: value, yref: "paper", y0: 0, y1: 1, line: { color: colour("text"), width: 1.5, dash },
    })),
    annotations: marks.map(([value, text, , y]) => ({
      x: value, y, yref: "paper", text, showarrow: false, xanchor: "left", xshift: 6, font: { color: colour("text"), size: 12 },
    })),
  };
  const bars = {
    type: "histogram",
    x: errors.filter((value) => value !== null),
    nbinsx: 40,
    marker: { color: colour("accent") },
    hovertemplate: "%{x} px: %{y} points<extra></extra>",
    meta: { role: "histogram" },
  };
  await Plotly.react(area, [bars], layout, PLAIN_PLOT);
}

/** Draw how far each point goes here and in the reference. @param {Comparison} found @param {(pins: number[]) => void} pin */
export async function drawScatter({ displacement: ours, true_displacement: theirs, size }, pin) {
  const counted = [...ours.keys()].filter((point) => ours[point] !== null);
  const pairs = counted.map((point) => [theirs[point] ?? 0, ours[point] ?? 0]);
  const top = 1.04 * Math.max(1, ...pairs.flat());
  const area = plotArea("scatter-plot", size, `Displacement of each point in the reference and here, from 0 to ${top.toFixed(1)} pixels.`);
  const points = {
    type: "scatter", mode: "markers", x: pairs.map(([x]) => x), y: pairs.map(([, y]) => y), customdata: counted,
    marker: { color: colour("accent"), size: 6, opacity: 0.6 }, meta: { role: "scatter" },
    hovertemplate: "<b>point %{customdata}</b><br>reference %{x:.1f} px, here %{y:.1f} px<extra></extra>",
  };
  const same = { type: "line", x0: 0, y0: 0, x1: top, y1: top, line: { color: colour("muted"), width: 1.5, dash: "dash" } };
  await Plotly.react(area, [points], {
    ...plotLook(12.5), margin: { l: 46, r: 16, t: 12, b: 40 }, hovermode: "closest", shapes: [same],
    xaxis: { ...axisLook("px in the reference"), range: [0, top] }, yaxis: { ...axisLook("px here"), range: [0, top] },
  }, PLAIN_PLOT);
  const plot = /** @type {PlotElement} */ (/** @type {HTMLElement} */ (area));
  plot.removeAllListeners("plotly_click");
  plot.on("plotly_click", ({ points: [hit] }) => pin([counted[hit.pointIndex]]));
}
