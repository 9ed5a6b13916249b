// @ts-check
// The comparison's figures in words: a sentence that sums it up, and the table.

import { element } from "./dom.js";
import { percent } from "./format.js";

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

/** Each measure: its name, what it is, and its value. @type {[string, string, (pixels: ClipErrors, metrics: Metrics) => string][]} */
const MEASURES = [
  ["Final error, mean", "Distance from the reference at the end, in pixels of the clip.", ({ mean_final: value }) => px(value)],
  ["Final error, median", "Half of the points are nearer than that.", ({ median_final: value }) => px(value)],
  ["Path error, mean", "Distance averaged over the common frames after the first.", ({ mean_path: value }) => px(value)],
  ["EPE", "The mean final error in pixels of a 256-high image, as papers state it.", (_, { epe }) => px(epe)],
  ["EPE, moving", "The same, of points that truly move by more than 1 pixel.", (_, { epe_moving: value }) => px(value)],
  ["ADE", "The mean path error in pixels of a 256-high image.", (_, { ade }) => px(ade)],
  ["Direction", "Cosine between both directions, of moving points: 1 is right, 0 is no better than chance.", (_, { cosine }) => plain(cosine)],
  ...["1", "2", "4", "8", "16"].map((length) => /** @type {typeof MEASURES[number]} */ ([
    `Within ${length} px`, "Points whose final error is less (PCK), in pixels of a 256-high image.",
    (_, { within }) => share(within[length] ?? null),
  ])),
  ["Nearest hypothesis", "ADE of the nearest hypothesis of each point.", (_, { hypotheses, min_ade: value }) => px(hypotheses > 1 ? value : null)],
  ["90 % interval", "How many final coordinates lie in it: 90 % would be right.", (_, { coverage }) => share(coverage)],
];

/**
 * The table of scores: a column for each run, one for points that stay where they are.
 * @param {HTMLElement} table @param {{ run: Run, found: Comparison }[]} compared the first is the one that is shown
 */
export function showScores(table, compared) {
  const [{ found: first }] = compared;
  const columns = [...compared.map(({ found }) => [found.pixels, found.metrics]), [first.zero_pixels, first.zero_metrics]];
  const heads = compared.map(({ run, found }) => {
    const last = found.frames.at(-1);
    const span = last === first.frames.at(-1) ? [] : [element("small", {}, ` to frame ${last}`)];
    return element("th", { scope: "col" }, element("a", { href: run.links.page }, run.name || run.method_title), ...span);
  });
  const meaning = { className: "meaning" };
  const head = element("tr", {}, element("th", { scope: "col" }, "Measure"), ...heads,
    element("th", { scope: "col" }, "Zero motion"), element("th", { scope: "col", ...meaning }, "What it is"));
  const rows = MEASURES.flatMap(([name, text, read]) => {
    const values = columns.map(([pixels, metrics]) => read(/** @type {ClipErrors} */ (pixels), /** @type {Metrics} */ (metrics)));
    if (values.every((value) => value === "–")) return [];
    return element("tr", {}, element("th", { scope: "row", title: text }, name),
      ...values.map((value) => element("td", { className: "value" }, value)), element("td", meaning, text));
  });
  table.classList.toggle("many", compared.length > 1);
  table.style.setProperty("--columns", `${columns.length}`);
  table.replaceChildren(element("thead", {}, head), element("tbody", {}, ...rows));
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
