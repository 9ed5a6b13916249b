// @ts-check
// Pinned points: their list, and their courses below the stage, on the same clock.

import { finder } from "./controls.js";
import { PIN_COLOURS, pinColour } from "./dots.js";
import { isVisible, positionOf, speedAt } from "./numbers.js";
import { plotlyThere } from "./plotly.js";
import { PLAIN_PLOT, axisLook, plotLook } from "./theme.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Moment } from "./painter.js"
 * @import { Stage } from "./stage.js"
 */

const ROWS = [["x", "px"], ["y", "px"], ["speed", "px/frame"], ["visibility", "0 to 1"]];
const LEAST_SPAN = 2; // pixels that an axis shows at least, or noise would look like motion

export const POINTS = `
  <section class="viewer-card surface viewer-points">
    <h2>Points</h2>
    <p class="viewer-note">Click points on the picture to pin them, or name one here. By keys, on the picture:
      <kbd>Shift</kbd> and an arrow mark a point, <kbd>Enter</kbd> pins it.</p>
    <p class="viewer-note viewer-marked" role="status"></p>
    <form class="viewer-pin-form"><label>Point <input type="number" class="viewer-pin-number" min="0" step="1" required></label>
      <button type="submit" class="viewer-tool">Pin</button>
      <button type="button" class="viewer-tool viewer-unpin" hidden>Clear</button></form>
    <ul class="viewer-pins"></ul>
  </section>`;

export const COURSES = `
  <section class="viewer-courses surface" aria-label="Courses of the pinned points" hidden>
    <div class="viewer-courses-plot"></div><i class="viewer-now" aria-hidden="true"></i>
  </section>`;

/**
 * Hear which points are to be pinned. @param {HTMLElement} root @param {Numbers} numbers
 * @param {(pins: number[]) => void} pin @param {() => number[]} pinned
 */
export function listenToPins(root, numbers, pin, pinned) {
  const find = finder(root);
  find("pin-number").max = `${numbers.points - 1}`;
  find("pin-form").addEventListener("submit", (event) => {
    event.preventDefault();
    pin(toggled(pinned(), Number(find("pin-number").value)));
  });
  find("unpin").addEventListener("click", () => pin([]));
  find("pins").addEventListener("click", ({ target }) => {
    const button = /** @type {Element} */ (target).closest("button");
    if (button) pin(toggled(pinned(), Number(button.dataset.point)));
  });
}

/** Where an arrow key points, to the right and down. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** What is on the sheet of keys about that. */
export const MARKING_KEYS = [
  { keys: ["⇧ arrow"], text: "on the picture: mark the next point" },
  { keys: ["Enter"], text: "on the picture: pin it" },
];

/**
 * Let keys on the picture mark a point, as the pointer does, and pin it.
 * @param {HTMLElement} root @param {Stage} stage @param {(point: number) => void} pin
 */
export function listenToMarks(root, stage, pin) {
  let marked = -1;
  const mark = (/** @type {number} */ point) => {
    marked = point;
    stage.hover(point);
    finder(root)("marked").textContent = point >= 0 && stage.moment ? described(stage.moment, point) : "";
  };
  stage.plot.addEventListener("keydown", (event) => {
    if (event.target !== stage.plot || !stage.moment) return;
    const way = event.shiftKey && ARROWS[event.key];
    if (way) mark(pointTowards(stage.moment, stage.ranges(), marked, way));
    else if (event.key === "Enter" && marked >= 0) pin(marked);
    else return;
    event.preventDefault();
  });
  stage.plot.addEventListener("blur", () => mark(-1));
}

/** @param {Moment} moment @param {number} point */
function described({ numbers, position }, point) {
  const [x, y] = positionOf(numbers, position, point);
  const sight = numbers.is_prediction || isVisible(numbers, position, point) ? "" : ", hidden";
  return `Point ${point} at ${x.toFixed(1)}, ${y.toFixed(1)}${sight}`;
}

/**
 * The next point that way which is shown and in view, or the same one; without one the nearest to the middle.
 * @param {Moment} moment @param {number[]} ranges in view: left, right, top, bottom @param {number} from or -1
 * @param {[number, number]} way to the right and down
 */
function pointTowards({ numbers, position, settings }, [left, right, top, bottom], from, [toRight, down]) {
  const start = from < 0 ? [(left + right) / 2, (top + bottom) / 2] : positionOf(numbers, position, from);
  let [nearest, least] = [from, Infinity];
  for (let point = 0; point < numbers.points; point++) {
    const [x, y] = positionOf(numbers, position, point);
    const isInView = x >= left && x <= right && y >= top && y <= bottom;
    if (point === from || !isInView || (settings.hidden !== "dim" && !isVisible(numbers, position, point))) continue;
    const [along, aside] = [(x - start[0]) * toRight + (y - start[1]) * down, (x - start[0]) * down + (y - start[1]) * toRight];
    const cost = Math.hypot(along, 2 * aside); // rather straight on than to the side
    if (from >= 0 && along <= Math.abs(aside)) continue;
    if (cost < least) [nearest, least] = [point, cost];
  }
  return nearest;
}

/** The pins with a point more, or without it. @param {number[]} pins @param {number} point */
export const toggled = (pins, point) =>
  pins.includes(point) ? pins.filter((pin) => pin !== point) : [...pins, point];

/** List the pins, with what they do in this frame. @param {HTMLElement} root @param {Numbers} numbers @param {number[]} pins @param {number} position */
export function describePins(root, numbers, pins, position) {
  finder(root)("unpin").hidden = pins.length === 0;
  finder(root)("pins").innerHTML = pins.map((point, k) => {
    const [x, y] = positionOf(numbers, position, point);
    return `<li><i style="background: ${pinColour(k)}" aria-hidden="true"></i><b>${point}</b>
      <span>${x.toFixed(1)}, ${y.toFixed(1)} · ${speedAt(numbers, position, point).toFixed(2)} px/frame</span>
      <button type="button" data-point="${point}" aria-label="Unpin point ${point}" title="Unpin">×</button></li>`;
  }).join("");
}

/** The plots of the pinned points, and a line that is at the frame. */
export class Courses {
  /** @param {HTMLElement} root @param {(frame: number) => void} go shows a frame of the clip */
  constructor(root, go) {
    this.area = finder(root)("courses");
    this.plot = /** @type {PlotElement} */ (root.querySelector(".viewer-courses-plot"));
    this.line = finder(root)("now");
    this.go = go;
    this.isOpen = false;
  }

  /** @param {Numbers} numbers @param {number[]} pins @param {number} position */
  async show(numbers, pins, position) {
    this.area.hidden = pins.length === 0;
    if (pins.length === 0) return;
    this.frames = numbers.frames;
    await plotlyThere();
    const axis = (/** @type {string} */ title) => ({ ...axisLook(title), nticks: 4 });
    const [first, last] = [numbers.frames[0], numbers.frames[numbers.count - 1]];
    /** @type {Record<string, any>} */
    const layout = {
      ...plotLook(11),
      margin: { l: 56, r: 14, t: 8, b: 34 }, hovermode: "x", uirevision: "keep",
      grid: { rows: ROWS.length, columns: 1, pattern: "coupled", roworder: "top to bottom", ygap: 0.18 },
      xaxis: { ...axis("frame"), range: [first - 0.02 * (last - first || 1), last + 0.02 * (last - first || 1)] },
    };
    const traces = this.traces(numbers, pins);
    ROWS.forEach(([name, unit], row) => {
      const id = `y${row ? row + 1 : ""}`;
      layout[id.replace("y", "yaxis")] = { ...axis(`${name}<br>${unit}`), range: rangeOf(name, traces.filter(({ yaxis }) => yaxis === id)) };
    });
    await Plotly.react(this.plot, traces, layout, PLAIN_PLOT);
    if (!this.isOpen) {
      this.isOpen = true;
      this.plot.on("plotly_click", ({ points: [hit] }) => this.go(Number(hit.x)));
      this.plot.on("plotly_afterplot", () => this.moveLine(this.position ?? 0));
    }
    this.moveLine(position);
  }

  /** @param {Numbers} numbers @param {number[]} pins */
  traces(numbers, pins) {
    const { frames, count, points, truth } = numbers;
    const course = (/** @type {(index: number) => number} */ value) => Array.from({ length: count }, (_, index) => value(index));
    return pins.flatMap((point, k) => {
      const look = { type: "scatter", mode: "lines", line: { color: pinColour(k), width: 1.8 }, name: `point ${point}` };
      const values = [
        course((index) => positionOf(numbers, index, point)[0]),
        course((index) => positionOf(numbers, index, point)[1]),
        course((index) => speedAt(numbers, index, point)),
        course((index) => numbers.visibility[index * points + point] / 255),
      ];
      const own = values.map((y, row) => ({ ...look, x: frames, y, yaxis: `y${row ? row + 1 : ""}`, meta: { role: ROWS[row][0], point } }));
      if (!truth || truth.points !== points) return own;
      const dashed = { ...look, line: { ...look.line, dash: "dot" }, name: `point ${point}, true` };
      const real = (/** @type {number} */ axis) => course((index) =>
        truth.visible[index * points + point] ? truth.xy[2 * (index * points + point) + axis] : NaN);
      return [...own, ...[0, 1].map((axis) =>
        ({ ...dashed, x: frames, y: real(axis), yaxis: axis ? "y2" : "y", meta: { role: `true ${ROWS[axis][0]}`, point } }))];
    });
  }

  /** Let the line be at a frame. @param {number} position */
  moveLine(position) {
    this.position = position;
    if (!this.isOpen || this.area.hidden || !this.frames) return;
    const { xaxis } = this.plot._fullLayout;
    const share = (this.frames[position] - xaxis.range[0]) / (xaxis.range[1] - xaxis.range[0]);
    this.line.style.transform = `translateX(${xaxis._offset + share * xaxis._length}px)`;
  }

  close() {
    if (this.isOpen) Plotly.purge(this.plot);
  }
}

/** What an axis shows: all values with a margin. @param {string} name @param {{ y: number[] }[]} traces */
function rangeOf(name, traces) {
  if (name === "visibility") return [-0.05, 1.05];
  const values = traces.flatMap(({ y }) => y).filter(Number.isFinite);
  const [low, high] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  if (name === "speed") return [0, 1.08 * Math.max(1, high)];
  const half = Math.max(LEAST_SPAN, 1.16 * (high - low)) / 2;
  return [(low + high) / 2 - half, (low + high) / 2 + half];
}

export const MOST_PINS = PIN_COLOURS.length;
