// The comparison's pictures: the paths of both runs, where the errors are, and how large.

import { px } from "./compare_scores.js";
import { byId } from "./format.js";
import { arrowTraces } from "./viewer/drawing.js";
import { readNumbers } from "./viewer/numbers.js";

const CONFIG = {
  displaylogo: false,
  responsive: true,
  scrollZoom: true,
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
};
const MODEBAR = { bgcolor: "rgba(7, 9, 12, 0.55)", color: "#c6d0dc", activecolor: "#ffffff" };
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const font = () => ({ family: getComputedStyle(document.body).fontFamily, color: colour("text"), size: 12.5 });

/** Draw a run's paths as arrows over its first frame. */
export async function drawTracks(target, { layout }) {
  const plot = byId(target);
  const numbers = readNumbers(layout.meta.stillmotion);
  setShape(plot, layout.meta.stillmotion.size);
  plot.setAttribute("aria-label", `Trajectories over the first frame. ${numbers.summary}`);
  const traces = arrowTraces(numbers, plot.clientWidth);
  await Plotly.react(plot, traces, { ...layout, modebar: MODEBAR, uirevision: "keep" }, CONFIG);
}

function setShape(plot, [height, width]) {
  plot.style.setProperty("--frame-height", height);
  plot.style.setProperty("--frame-width", width);
}

/** Let two plots always show the same part of the frame. */
export function linkZoom(...plots) {
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

/** Draw each point's error over the first frame; the frame and the axes are those of a figure of the run. */
export async function drawMap(found, { images, xaxis, yaxis }) {
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

/** Draw how many points are off by how much, beside the mean and that of zero motion. */
export async function drawHistogram(found) {
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
