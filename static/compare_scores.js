// @ts-check
// The comparison's figures in words: a sentence that sums it up, and the table.

import { element } from "./dom.js";
import { count, percent } from "./format.js";

/** @param {number | null} value */
export const px = (value) => (value === null ? "–" : `${value.toFixed(value < 10 ? 2 : 1)} px`);
/** @param {number | null} value */
const share = (value) => (value === null ? "–" : percent(value));
/** @param {number | null} value */
const plain = (value) => (value === null ? "–" : value.toFixed(2));

/** Say in one sentence how far off the points are, beside points that stay where they are. @param {Comparison} found */
export function verdict({ frames, pixels: { mean_final: mean }, zero_pixels: { mean_final: zero } }) {
  const last = frames.at(-1);
  if (mean === null || zero === null) {
    return `The reference sees none of the points in frame ${last}, so nothing can be measured.`;
  }
  const off = `In frame ${last} the points are ${px(mean)} from the reference on average; `;
  if (zero < 0.05) return `${off}in truth they hardly move.`;
  const ratio = Math.round(100 * (1 - mean / zero));
  if (ratio === 0) return `${off}points that stay where they are would be as far off.`;
  if (ratio <= -100) return `${off}${(mean / zero).toFixed(1)} times as far as points that stay where they are (${px(zero)}).`;
  const better = ratio > 0 ? `${ratio} % nearer` : `${-ratio} % farther off`;
  return `${off}${better} than points that stay where they are (${px(zero)}).`;
}

/** The table's rows. @param {Comparison} found */
export function scoreRows({ pixels, zero_pixels: zero, metrics, zero_metrics: still, frames }) {
  const rows = [
    ["Final error, mean", px(pixels.mean_final), px(zero.mean_final), "Distance from the reference at the end, in pixels of the clip."],
    ["Final error, median", px(pixels.median_final), px(zero.median_final), "Half of the points are nearer than that."],
    ["Path error, mean", px(pixels.mean_path), px(zero.mean_path), `Distance averaged over the ${count(frames.length - 1, "common frame")} after the first.`],
    ["EPE", px(metrics.epe), px(still.epe), "The mean final error in pixels of a 256-high image, as papers state it."],
    ["EPE, moving", px(metrics.epe_moving), px(still.epe_moving), "The same, of points that truly move by more than 1 pixel."],
    ["ADE", px(metrics.ade), px(still.ade), "The mean path error in pixels of a 256-high image."],
    ["Direction", plain(metrics.cosine), plain(still.cosine), "Cosine between both directions, of moving points: 1 is right, 0 is no better than chance."],
    ...Object.keys(metrics.within).map((length) => [
      `Within ${length} px`, share(metrics.within[length]), share(still.within[length]),
      "Points whose final error is less (PCK), in pixels of a 256-high image.",
    ]),
  ];
  if (metrics.hypotheses > 1) {
    const meaning = `ADE of the nearest of the ${metrics.hypotheses} hypotheses of each point.`;
    rows.push(["Nearest hypothesis", px(metrics.min_ade), "–", meaning]);
  }
  if (metrics.coverage !== null) {
    rows.push(["90 % interval", share(metrics.coverage), "–", "How many final coordinates lie in it: 90 % would be right."]);
  }
  return rows.map(([name, value, zeroValue, meaning]) => element(
    "tr",
    {},
    element("th", { scope: "row" }, name),
    element("td", { className: "value" }, value),
    element("td", { className: "value" }, zeroValue),
    element("td", { className: "meaning" }, meaning),
  ));
}

/** Buttons for the ten points that are farthest off; each shows its point. @param {Comparison} found @param {(pins: number[]) => void} pin */
export function worstPoints({ final_error: errors }, pin) {
  const worst = [...errors.keys()].filter((point) => errors[point] !== null)
    .sort((a, b) => (errors[b] ?? 0) - (errors[a] ?? 0)).slice(0, 10);
  return worst.map((point) => {
    const button = element("button", { type: "button", className: "viewer-tool" }, `${point}: ${px(errors[point])}`);
    button.addEventListener("click", () => pin([point]));
    return button;
  });
}
