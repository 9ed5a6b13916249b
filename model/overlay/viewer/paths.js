// @ts-check
// Lines on the canvas: trails, hidden stretches, arrow tips, hypotheses and true paths. All in pixels of the frame.

import { binAt } from "./colours.js";
import { distance, isVisible, positionOf } from "./numbers.js";

/**
 * @import { Numbers, Paths } from "./numbers.js"
 * @import { Colouring } from "./colours.js"
 * @import { Settings } from "./settings.js"
 */

const NEGLIGIBLE = 0.1; // pixels of the frame: shorter steps are joined to the next one
const HIDDEN_COLOUR = "rgba(215, 224, 234, 0.25)";
const TRUTH_COLOUR = "#ffffff";
const WAY_COLOUR = "255, 209, 128";
const WAYS = [[0.3, 0.8], [0.1, 0.45], [0.02, 0.2]]; // least weight, opacity

/**
 * First and last position whose points the lines join.
 * @param {Pick<Numbers, "count" | "frames" | "fps">} numbers @param {Pick<Settings, "trail">} settings @param {number} position
 */
export function trailWindow({ count, frames, fps }, { trail }, position) {
  if (trail === "all") return [0, count - 1];
  if (trail === "past") return [0, position];
  if (!trail.endsWith("s")) return [Math.max(0, position - Number(trail)), position];
  const earliest = frames[position] - Number(trail.slice(0, -1)) * fps - 1e-6;
  return [frames.findIndex((frame) => frame >= earliest), position];
}

/**
 * Whether there are so many steps to draw that only the thinnest lines are fast: a browser without a GPU draws lines
 * of up to one pixel of the canvas ten times as fast as wider ones. Whole paths are drawn once, not with each frame.
 * @param {Numbers} numbers @param {Pick<Settings, "trail">} settings
 */
export function hasManySteps(numbers, { trail }) {
  if (trail === "all") return numbers.points * numbers.count > 40_000;
  const [from, to] = trailWindow(numbers, { trail }, numbers.count - 1);
  return numbers.points * (to - from) > 5_000;
}

/**
 * The trails of some points, each step in its colour.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {Colouring} colouring
 * @param {number[]} points @param {number} from @param {number} to @param {number} width
 */
export function drawTrails(pen, numbers, colouring, points, from, to, width) {
  pen.lineWidth = width;
  pen.lineJoin = "bevel"; // the cheapest
  const isDrawn = (/** @type {number} */ index, /** @type {number} */ point) => isVisible(numbers, index, point);
  if (colouring.isPerStep) return drawSteps(pen, numbers, colouring, points, from, to);
  for (const [bin, group] of Map.groupBy(points, (point) => colouring.bins[point])) {
    pen.beginPath();
    for (const point of group) addPath(pen, numbers, point, from, to, isDrawn);
    pen.strokeStyle = colouring.colours[bin];
    pen.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {Colouring} colouring
 * @param {number[]} points @param {number} from @param {number} to
 */
function drawSteps(pen, numbers, colouring, points, from, to) {
  /** Steps of each colour: index and point by turns. @type {number[][]} */
  const steps = colouring.colours.map(() => []);
  for (const point of points) {
    for (let index = from + 1; index <= to; index++) {
      if (!isVisible(numbers, index, point) || !isVisible(numbers, index - 1, point)) continue;
      steps[binAt(colouring, numbers.points, index, point)].push(index, point);
    }
  }
  steps.forEach((step, bin) => {
    if (step.length === 0) return;
    pen.beginPath();
    for (let k = 0; k < step.length; k += 2) {
      pen.moveTo(...at(numbers, step[k] - 1, step[k + 1]));
      pen.lineTo(...at(numbers, step[k], step[k + 1]));
    }
    pen.strokeStyle = colouring.colours[bin];
    pen.stroke();
  });
}

/** @param {Paths} paths @param {number} index @param {number} point */
const at = (paths, index, point) => /** @type {[number, number]} */ (positionOf(paths, index, point));

/**
 * Add a path, with gaps where `isDrawn` says no.
 * @param {CanvasRenderingContext2D} pen @param {Paths} paths @param {number} point @param {number} from @param {number} to
 * @param {(index: number, point: number) => boolean} isDrawn
 */
function addPath(pen, { xy, points }, point, from, to, isDrawn) {
  let isOpen = false;
  let [lastX, lastY] = [0, 0];
  for (let index = from; index <= to; index++) {
    if (!isDrawn(index, point)) {
      isOpen = false;
      continue;
    }
    const place = 2 * (index * points + point);
    const [x, y] = [xy[place], xy[place + 1]];
    if (!isOpen) pen.moveTo(x, y);
    else if (index < to && Math.abs(x - lastX) + Math.abs(y - lastY) < NEGLIGIBLE) continue;
    else pen.lineTo(x, y);
    [isOpen, lastX, lastY] = [true, x, y];
  }
}

/**
 * The stretches with a hidden end.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number[]} points
 * @param {number} from @param {number} to @param {number} width
 */
export function drawHidden(pen, numbers, points, from, to, width) {
  const isHidden = (/** @type {number} */ index, /** @type {number} */ point) =>
    index >= from && index <= to && !isVisible(numbers, index, point);
  pen.beginPath();
  for (const point of points) {
    for (let index = from + 1; index <= to; index++) {
      if (!isHidden(index, point) && !isHidden(index - 1, point)) continue;
      pen.moveTo(...at(numbers, index - 1, point));
      pen.lineTo(...at(numbers, index, point));
    }
  }
  stroke(pen, HIDDEN_COLOUR, width);
}

/** @param {CanvasRenderingContext2D} pen @param {string} colour @param {number} width */
export function stroke(pen, colour, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.stroke();
}

/**
 * Make arrows of paths: two short strokes where each ends.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {Colouring} colouring
 * @param {number[]} points @param {number} to @param {number} width
 */
export function drawTips(pen, numbers, colouring, points, to, width) {
  if (to === 0) return;
  const longest = 0.2 * Math.sqrt((numbers.width * numbers.height) / numbers.points);
  const seen = points.filter((point) => isVisible(numbers, to, point));
  for (const [bin, group] of Map.groupBy(seen, (point) => binAt(colouring, numbers.points, to, point))) {
    pen.beginPath();
    for (const point of group) addTip(pen, numbers, point, to, longest);
    stroke(pen, colouring.colours[bin], width);
  }
}

/** @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number} point @param {number} to @param {number} longest */
function addTip(pen, numbers, point, to, longest) {
  const way = distance(numbers, point, 0, to);
  if (way < 5 * NEGLIGIBLE) return;
  const [endX, endY] = positionOf(numbers, to, point);
  const [beforeX, beforeY] = lastAway(numbers, point, to);
  const angle = Math.atan2(endY - beforeY, endX - beforeX);
  const length = Math.min(longest, 0.45 * way);
  for (const side of [angle + 2.6, angle - 2.6]) {
    pen.moveTo(endX, endY);
    pen.lineTo(endX + length * Math.cos(side), endY + length * Math.sin(side));
  }
}

/** Where a path last was clearly away from its end. @param {Paths} paths @param {number} point @param {number} to */
function lastAway(paths, point, to) {
  const [endX, endY] = positionOf(paths, to, point);
  for (let index = to - 1; index > 0; index--) {
    const [x, y] = positionOf(paths, index, point);
    if (Math.hypot(endX - x, endY - y) >= 5 * NEGLIGIBLE) return [x, y];
  }
  return positionOf(paths, 0, point);
}

/**
 * All ways that points may go: the brighter, the likelier.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number[]} chosen
 * @param {number} from @param {number} to @param {number} width
 */
export function drawWays(pen, { points, count, hypotheses }, chosen, from, to, width) {
  if (!hypotheses) return;
  const { xy, weights } = hypotheses;
  WAYS.forEach(([least, opacity], shade) => {
    const most = shade ? WAYS[shade - 1][0] : Infinity;
    pen.beginPath();
    for (let way = 0; way < weights.length / points; way++) {
      const own = { xy: xy.subarray(2 * way * count * points, 2 * (way + 1) * count * points), points };
      for (const point of chosen) {
        const weight = weights[way * points + point] / 255;
        if (weight >= least && weight < most) addPath(pen, own, point, from, to, () => true);
      }
    }
    stroke(pen, `rgba(${WAY_COLOUR}, ${opacity})`, width);
  });
}

/**
 * What the points really do, dashed.
 * @param {CanvasRenderingContext2D} pen @param {NonNullable<Numbers["truth"]>} truth
 * @param {number} from @param {number} to @param {number} width
 */
export function drawTruth(pen, truth, from, to, width) {
  const isThere = (/** @type {number} */ index, /** @type {number} */ point) =>
    truth.visible[index * truth.points + point] === 1;
  pen.beginPath();
  for (let point = 0; point < truth.points; point++) addPath(pen, truth, point, from, to, isThere);
  pen.setLineDash([4 * width, 3 * width]);
  stroke(pen, TRUTH_COLOUR, width);
  pen.setLineDash([]);
}
