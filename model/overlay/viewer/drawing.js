// @ts-check
// What is drawn over the frame: few merged WebGL traces, since a WebGL line has one colour.

import { isVisible, positionOf } from "./numbers.js";

/**
 * @import { Numbers, Paths } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 *
 * What a layer's points are: one line broken by NaN, or a marker for each.
 * @typedef {{ x: Float32Array, y: Float32Array, customdata?: any[], opacity?: Float32Array }} Points
 * A trace: its role, how it looks, and its points.
 * @typedef {{ role: string, look: Record<string, any>, points: () => Points }} Layer
 */

export const PLOT_OPTIONS = {
  displaylogo: false,
  responsive: true,
  scrollZoom: true,
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
  toImageButtonOptions: { filename: "stillmotion", scale: 2 },
};
export const MODEBAR = { bgcolor: "rgba(7, 9, 12, 0.55)", color: "#c6d0dc", activecolor: "#ffffff" };

const HIDDEN = { opacity: 0.3, line: { color: "rgba(215, 224, 234, 0.2)", width: 1 } };
const OUTLINE = "rgba(8, 12, 18, 0.65)"; // heads stay visible on bright frames
const SEAM = { size: 7, color: "rgba(8, 12, 18, 0.5)", line: { width: 1.5, color: "#ffffff" } };
const TRUTH = { color: "#ffffff", width: 1.2, dash: "dash" };
const INTERVAL = { least: 0.18, most: 0.45, uncrowded: 64 }; // opacity; up to so many points they are drawn boldest
const WAYS = [[0.3, 0.8], [0.1, 0.45], [0.02, 0.2]]; // least weight, opacity
const NEGLIGIBLE = 0.1; // pixels of the frame
const HOVER =
  "<b>point %{customdata[0]}</b>  frame %{customdata[1]}<br>x %{x:.1f}  y %{y:.1f} px<br>" +
  "moved %{customdata[2]:.1f} px so far<br>speed %{customdata[3]:.2f} px/frame<br>";
const INTERVAL_HOVER =
  "<br>90 %: x %{customdata[5]:.1f} to %{customdata[6]:.1f}<br>90 %: y %{customdata[7]:.1f} to %{customdata[8]:.1f}";

/**
 * All traces of a moment.
 * @param {Numbers} numbers @param {Settings} settings @param {number} screenWidth of the plot, in pixels
 */
export function traces(numbers, settings, screenWidth) {
  return layers(numbers, settings, screenWidth).map(({ role, look, points }) => {
    const { opacity, ...data } = points();
    const marker = opacity && { marker: { ...look.marker, opacity } };
    return { type: "scattergl", showlegend: false, ...look, ...data, ...marker, meta: { role } };
  });
}

/**
 * Whole paths as arrows, for a picture that stands still: with tips, and a prediction's intervals at the end.
 * @param {Numbers} numbers @param {number} screenWidth
 */
export function arrowTraces(numbers, screenWidth) {
  const shown = { interval: true, hypotheses: numbers.withheld, tips: true, seams: false, truth: false };
  const moment = { position: numbers.count - 1, colour: "direction", trail: "all", hidden: "dim", ...shown };
  return traces(numbers, { ...moment, rate: 0, shade: 80 }, screenWidth);
}

/**
 * Draw another frame, changing only what moves: the picture, the heads, and lines that end there.
 * @param {PlotElement} plot @param {Numbers} numbers @param {Settings} settings
 * @param {string} source the picture's URL; empty to leave the one that is there
 */
export function drawStep(plot, numbers, settings, source) {
  const moves = settings.trail === "all" ? ["interval", "heads"] : null; // whole paths stay
  const all = layers(numbers, settings, plot.clientWidth);
  const changed = [...all.keys()].filter((place) => !moves || moves.includes(all[place].role));
  const points = changed.map((place) => all[place].points());
  const changes = {
    // One value for each changed trace; undefined leaves a trace's own as it is.
    x: points.map(({ x }) => x),
    y: points.map(({ y }) => y),
    customdata: points.map(({ customdata }) => customdata),
    "marker.opacity": points.map(({ opacity }) => opacity),
  };
  return Plotly.update(plot, changes, source ? { "images[0].source": source } : {}, changed);
}

// ---- layers --------------------------------------------------------------------------------------------

/**
 * What is drawn, from below to above. Which layers there are depends on the numbers and the colour alone.
 * @param {Numbers} numbers @param {Settings} settings @param {number} screenWidth
 * @returns {Layer[]}
 */
function layers(numbers, settings, screenWidth) {
  const [from, to] = trailWindow(numbers, settings);
  const { bins, groups, colours } = numbers.colourings[settings.colour];
  const size = sizes(numbers.points, screenWidth, settings.tips);
  const { hypotheses, interval, truth } = numbers;
  const all = [lineLayer("hidden", HIDDEN.line, () => hiddenPaths(numbers, settings, from, to))];
  groups.forEach((group, bin) => {
    if (group.length === 0) return;
    all.push(lineLayer("trails", { color: colours[bin], width: size.line }, () => {
      const lines = merged(numbers, group, from, to, (index, point) => isVisible(numbers, index, point));
      return settings.tips ? withTips(numbers, group, to, lines) : lines;
    }));
  });
  if (hypotheses) {
    WAYS.forEach(([least, opacity], shade) => {
      const most = shade ? WAYS[shade - 1][0] : Infinity;
      all.push(lineLayer("hypotheses", { color: `rgba(255, 209, 128, ${opacity})`, width: 1 }, () =>
        settings.hypotheses ? wayPaths(numbers, hypotheses, least, most, from, to) : nothing()));
    });
  }
  if (interval) {
    const { least, most, uncrowded } = INTERVAL; // fainter where many would hide the picture
    const opacity = Math.max(least, most * Math.min(1, uncrowded / numbers.points));
    all.push(lineLayer("interval", { color: `rgba(255, 255, 255, ${opacity})`, width: 1 }, () =>
      settings.interval ? intervalBoxes(numbers, settings) : nothing()));
  }
  if (truth) {
    const isThere = (/** @type {number} */ index, /** @type {number} */ point) =>
      truth.visible[index * truth.points + point] === 1;
    all.push(lineLayer("truth", TRUTH, () =>
      settings.truth ? merged(truth, everyone(truth), from, to, isThere) : nothing()));
  }
  if (numbers.handovers.length > 0) {
    const look = { mode: "markers", marker: SEAM, hovertemplate: "handed on at frame %{customdata}<extra></extra>" };
    all.push({ role: "seams", look, points: () => (settings.seams ? seams(numbers, settings, from, to) : nothing()) });
  }
  const marker = {
    size: size.head,
    color: bins,
    cmin: 0,
    cmax: colours.length - 1,
    colorscale: colours.map((colour, bin) => [bin / (colours.length - 1), colour]),
    line: { width: size.head < 5 ? 0 : 1, color: OUTLINE },
  };
  const visibility = numbers.is_prediction ? "inside the image" : "visibility";
  const hovertemplate = `${HOVER}${visibility} %{customdata[4]:.0%}${interval ? INTERVAL_HOVER : ""}<extra></extra>`;
  all.push({ role: "heads", look: { mode: "markers", marker, hovertemplate }, points: () => heads(numbers, settings) });
  return all;
}

/** @param {string} role @param {Record<string, any>} line @param {() => Points} points @returns {Layer} */
const lineLayer = (role, line, points) => ({ role, look: { mode: "lines", line, hoverinfo: "skip" }, points });

/** @returns {Points} */
const nothing = () => ({ x: new Float32Array(), y: new Float32Array() });

/** @param {Paths} paths */
const everyone = ({ points }) => Array.from({ length: points }, (_, point) => point);

/** First and last position whose points the lines join. @param {Numbers} numbers @param {Settings} settings */
function trailWindow({ count }, { trail, position }) {
  if (trail === "all") return [0, count - 1];
  if (trail === "past") return [0, position];
  return [Math.max(0, position - Number(trail)), position];
}

/**
 * Heads and lines thin out where points are close to each other on the screen.
 * @param {number} points @param {number} screenWidth @param {boolean} tips
 */
function sizes(points, screenWidth, tips) {
  const spacing = screenWidth / Math.sqrt(Math.max(1, points));
  const head = Math.max(3.5, Math.min(7, 0.2 * spacing));
  return {
    head: tips ? Math.min(4, head) : head, // an arrow's tip must be seen beside it
    line: Math.max(1.1, Math.min(1.8, 0.05 * spacing)),
  };
}

// ---- their points --------------------------------------------------------------------------------------

/**
 * Join paths into one line, broken by NaN after each path and where `drawn` says no.
 *
 * Steps shorter than NEGLIGIBLE are joined to the next one: still points cost nothing to draw.
 * @param {Paths} paths @param {number[]} points @param {number} from @param {number} to
 * @param {(index: number, point: number) => boolean} drawn
 * @returns {Points}
 */
function merged(paths, points, from, to, drawn) {
  const longest = points.length * (to - from + 2);
  const x = new Float32Array(longest);
  const y = new Float32Array(longest);
  let length = 0;
  const add = (/** @type {number} */ newX, /** @type {number} */ newY) => {
    x[length] = newX;
    y[length++] = newY;
  };
  for (const point of points) {
    let isOpen = false; // a stretch has begun and goes on
    for (let index = from; index <= to; index++) {
      if (!drawn(index, point)) {
        if (isOpen) add(NaN, NaN);
        isOpen = false;
        continue;
      }
      const source = 2 * (index * paths.points + point);
      const newX = paths.xy[source];
      const newY = paths.xy[source + 1];
      const isEnd = index === to || !drawn(index + 1, point);
      const isNear = isOpen && Math.hypot(newX - x[length - 1], newY - y[length - 1]) < NEGLIGIBLE;
      if (!isNear || isEnd) add(newX, newY);
      isOpen = true;
    }
    if (isOpen) add(NaN, NaN);
  }
  return { x: x.slice(0, length), y: y.slice(0, length) };
}

/**
 * The stretches with a hidden end.
 * @param {Numbers} numbers @param {Settings} settings @param {number} from @param {number} to
 */
function hiddenPaths(numbers, settings, from, to) {
  const isHidden = (/** @type {number} */ index, /** @type {number} */ point) =>
    index >= from && index <= to && !isVisible(numbers, index, point);
  const someHidden = (/** @type {number} */ point) => {
    for (let index = from; index <= to; index++) if (isHidden(index, point)) return true;
    return false;
  };
  const dimmed = settings.hidden === "dim" ? everyone(numbers).filter(someHidden) : [];
  return merged(numbers, dimmed, from, to, (index, point) =>
    isHidden(index, point) || isHidden(index - 1, point) || isHidden(index + 1, point));
}

/**
 * Make arrows of paths: two short strokes where each ends.
 * @param {Numbers} numbers @param {number[]} points @param {number} to @param {Points} lines
 * @returns {Points}
 */
function withTips(numbers, points, to, lines) {
  if (to === 0) return lines;
  const longest = 0.2 * Math.sqrt((numbers.width * numbers.height) / numbers.points);
  const x = [...lines.x];
  const y = [...lines.y];
  for (const point of points) {
    if (!isVisible(numbers, to, point)) continue;
    const [endX, endY] = positionOf(numbers, to, point);
    const [beginX, beginY] = positionOf(numbers, 0, point);
    const way = Math.hypot(endX - beginX, endY - beginY);
    if (way < 5 * NEGLIGIBLE) continue;
    const [beforeX, beforeY] = lastAway(numbers, point, to);
    const angle = Math.atan2(endY - beforeY, endX - beforeX);
    const length = Math.min(longest, 0.45 * way);
    const [left, right] = [angle + 2.6, angle - 2.6];
    x.push(endX + length * Math.cos(left), endX, endX + length * Math.cos(right), NaN);
    y.push(endY + length * Math.sin(left), endY, endY + length * Math.sin(right), NaN);
  }
  return { x: Float32Array.from(x), y: Float32Array.from(y) };
}

/**
 * Where a path last was clearly away from its end: what the arrow's tip points away from.
 * @param {Paths} paths @param {number} point @param {number} to
 */
function lastAway(paths, point, to) {
  const [endX, endY] = positionOf(paths, to, point);
  for (let index = to - 1; index > 0; index--) {
    const [x, y] = positionOf(paths, index, point);
    if (Math.hypot(endX - x, endY - y) >= 5 * NEGLIGIBLE) return [x, y];
  }
  return positionOf(paths, 0, point);
}

/**
 * The hypotheses' paths with a weight from `least` to below `most`.
 * @param {Numbers} numbers @param {NonNullable<Numbers["hypotheses"]>} hypotheses
 * @param {number} least @param {number} most @param {number} from @param {number} to
 */
function wayPaths({ points, count }, { xy, weights }, least, most, from, to) {
  const ways = weights.length / points;
  const isMeant = (/** @type {number} */ way, /** @type {number} */ point) => {
    const weight = weights[way * points + point] / 255;
    return weight >= least && weight < most;
  };
  const lines = Array.from({ length: ways }, (_, way) => {
    const own = { xy: xy.subarray(2 * way * count * points, 2 * (way + 1) * count * points), points };
    return merged(own, everyone(own).filter((point) => isMeant(way, point)), from, to, () => true);
  });
  return {
    x: Float32Array.from(lines.flatMap(({ x }) => [...x])),
    y: Float32Array.from(lines.flatMap(({ y }) => [...y])),
  };
}

/**
 * A rectangle around each point where it is expected in this frame.
 * @param {Numbers} numbers @param {Settings} settings
 */
function intervalBoxes(numbers, { position, hidden }) {
  /** @type {number[]} */
  const x = [];
  /** @type {number[]} */
  const y = [];
  for (const point of everyone(numbers)) {
    if (hidden !== "dim" && !isVisible(numbers, position, point)) continue;
    const [left, right, top, bottom] = intervalOf(numbers, position, point);
    if (Math.max(right - left, bottom - top) < NEGLIGIBLE) continue; // where it starts, it is known
    x.push(left, right, right, left, left, NaN);
    y.push(top, top, bottom, bottom, top, NaN);
  }
  return { x: Float32Array.from(x), y: Float32Array.from(y) };
}

/**
 * A point's interval as left, right, top, bottom; nothing where there is none.
 * @param {Numbers} numbers @param {number} index @param {number} point
 */
function intervalOf({ interval, points }, index, point) {
  if (!interval) return [];
  const { low, high } = interval;
  const place = 2 * (index * points + point);
  return [low[place], high[place], low[place + 1], high[place + 1]];
}

/**
 * Where points were handed on, in the part of their paths that is shown.
 * @param {Numbers} numbers @param {Settings} settings @param {number} from @param {number} to
 */
function seams({ handovers, points, xy, frames, visibility }, { hidden }, from, to) {
  const shown = [...handovers].filter((seam) =>
    seam >= from * points && seam < (to + 1) * points && (hidden === "dim" || visibility[seam] > 127));
  return {
    x: Float32Array.from(shown, (seam) => xy[2 * seam]),
    y: Float32Array.from(shown, (seam) => xy[2 * seam + 1]),
    customdata: shown.map((seam) => frames[Math.floor(seam / points)]),
  };
}

/**
 * Where the points are in this frame, with what hovering tells of each.
 * @param {Numbers} numbers @param {Settings} settings
 */
function heads(numbers, { position: index, hidden }) {
  const { points, frames } = numbers;
  const end = numbers.count > 1 ? Math.max(1, index) : 0;
  const begin = Math.max(0, end - 1);
  const x = new Float32Array(points);
  const y = new Float32Array(points);
  const opacity = new Float32Array(points);
  const distance = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ point) => {
    const [aX, aY] = positionOf(numbers, a, point);
    const [bX, bY] = positionOf(numbers, b, point);
    return Math.hypot(aX - bX, aY - bY);
  };
  const customdata = everyone(numbers).map((point) => {
    const visible = isVisible(numbers, index, point);
    const shown = visible || hidden === "dim";
    [x[point], y[point]] = shown ? positionOf(numbers, index, point) : [NaN, NaN];
    opacity[point] = visible ? 1 : HIDDEN.opacity;
    return [
      point,
      frames[index],
      distance(index, 0, point),
      distance(end, begin, point) / Math.max(1, frames[end] - frames[begin]),
      numbers.visibility[index * points + point] / 255,
      ...intervalOf(numbers, index, point),
    ];
  });
  return { x, y, opacity, customdata };
}
