// @ts-check
// Marks on the canvas: where the points are, which are pinned, where chunks met, where a point may be, and the grid.

import { binAt } from "./colours.js";
import { isVisible, positionOf } from "./numbers.js";
import { stroke } from "./paths.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Colouring } from "./colours.js"
 */

const OUTLINE = "rgba(8, 12, 18, 0.65)"; // dots stay visible on bright frames
const HIDDEN_OPACITY = 0.35;
const MANY_POINTS = 1000; // of which more are drawn as squares
/** Colours of pinned points, on the picture and in their plots. */
export const PIN_COLOURS = ["#ff8787", "#74c0fc", "#8ce99a", "#ffd43b", "#da77f2", "#ffa94d", "#66d9e8", "#f783ac"];

/** @param {number} k of the pin */
export const pinColour = (k) => PIN_COLOURS[k % PIN_COLOURS.length];

/** Dots thin out where points are close to each other on the screen. @param {number} points @param {number} screenWidth */
export function usualSizes(points, screenWidth) {
  const spacing = screenWidth / Math.sqrt(Math.max(1, points));
  return {
    dot: Math.max(3.5, Math.min(7, 0.2 * spacing)),
    line: Math.max(1.1, Math.min(1.8, 0.05 * spacing)),
  };
}

/** Dots as small pictures, one for each colour: many are stamped faster than drawn. */
export class Stamps {
  /** @type {Map<string, HTMLCanvasElement>} */
  made = new Map();

  /** @param {string} colour @param {number} size in pixels of the canvas @param {boolean} isRing */
  get(colour, size, isRing) {
    const key = `${colour} ${size.toFixed(1)} ${isRing}`;
    const found = this.made.get(key);
    if (found) return found;
    if (this.made.size > 300) this.made.clear();
    const side = Math.ceil(size) + 4;
    const stamp = document.createElement("canvas");
    stamp.width = stamp.height = side;
    const pen = /** @type {CanvasRenderingContext2D} */ (stamp.getContext("2d"));
    pen.arc(side / 2, side / 2, size / 2 - (isRing ? 0.5 : 0), 0, 2 * Math.PI);
    pen.lineWidth = 1;
    pen.strokeStyle = isRing ? colour : OUTLINE;
    pen.fillStyle = colour;
    if (!isRing) pen.fill();
    if (isRing || size >= 5) pen.stroke();
    this.made.set(key, stamp);
    return stamp;
  }
}

/**
 * Where the points are in this frame: full where visible, a faint ring where hidden. Many are squares, which are quick.
 * @param {CanvasRenderingContext2D} pen without a transform
 * @param {(x: number, y: number) => [number, number]} place of a point on the canvas
 * @param {Stamps} stamps @param {Numbers} numbers @param {Colouring} colouring
 * @param {number[]} points @param {number} index @param {number} size @param {boolean} areHiddenShown
 */
export function drawDots(pen, place, stamps, numbers, colouring, points, index, size, areHiddenShown) {
  const opacity = pen.globalAlpha;
  const side = Math.round(size);
  for (const areSeen of areHiddenShown ? [false, true] : [true]) { // what is seen lies on top
    pen.globalAlpha = areSeen ? opacity : opacity * HIDDEN_OPACITY;
    const shown = points.filter((point) => isVisible(numbers, index, point) === areSeen);
    for (const [bin, group] of Map.groupBy(shown, (point) => binAt(colouring, numbers.points, index, point))) {
      pen.fillStyle = colouring.colours[bin];
      const stamp = stamps.get(colouring.colours[bin], size, !areSeen);
      for (const point of group) {
        const [x, y] = positionOf(numbers, index, point);
        const [left, top] = place(x, y);
        if (numbers.points > MANY_POINTS) pen.fillRect(Math.round(left - side / 2), Math.round(top - side / 2), side, side);
        else pen.drawImage(stamp, left - stamp.width / 2, top - stamp.height / 2);
      }
    }
  }
  pen.globalAlpha = opacity;
}

/**
 * Rings around the pinned points.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number[]} pins @param {number} index @param {number} pixel
 */
export function drawPins(pen, numbers, pins, index, pixel) {
  pins.forEach((point, k) => drawRing(pen, numbers, point, index, 7 * pixel, pinColour(k), pixel));
}

/**
 * A ring around a point, dark outside so that it is seen on any picture.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number} point @param {number} index
 * @param {number} radius @param {string} colour @param {number} pixel
 */
export function drawRing(pen, numbers, point, index, radius, colour, pixel) {
  const [x, y] = positionOf(numbers, index, point);
  for (const [shade, width] of /** @type {[string, number][]} */ ([[OUTLINE, 4], [colour, 2]])) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    stroke(pen, shade, width * pixel);
  }
}

/**
 * Where points were handed on, in the part of their paths that is shown.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {boolean} areHiddenShown
 * @param {number} from @param {number} to @param {number} pixel
 */
export function drawSeams(pen, numbers, areHiddenShown, from, to, pixel) {
  for (const seam of shownSeams(numbers, areHiddenShown, from, to)) {
    pen.beginPath();
    pen.arc(numbers.xy[2 * seam], numbers.xy[2 * seam + 1], 3.5 * pixel, 0, 2 * Math.PI);
    stroke(pen, "#ffffff", 1.5 * pixel);
  }
}

/** @param {Numbers} numbers @param {boolean} areHiddenShown @param {number} from @param {number} to */
export const shownSeams = ({ handovers, points, visibility }, areHiddenShown, from, to) =>
  [...handovers].filter((seam) =>
    seam >= from * points && seam < (to + 1) * points && (areHiddenShown || visibility[seam] > 127));

/**
 * A fan of where a point is expected: an ellipse for each frame up to this one, within its intervals.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number} point @param {number} index @param {number} pixel
 */
export function drawFan(pen, numbers, point, index, pixel) {
  for (let k = 1; k <= index; k++) {
    const [left, right, top, bottom] = intervalOf(numbers, k, point);
    pen.beginPath();
    pen.ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2, 0, 0, 2 * Math.PI);
    pen.fillStyle = "rgba(255, 255, 255, 0.1)";
    pen.fill();
    stroke(pen, `rgba(255, 255, 255, ${k === index ? 0.9 : 0.25})`, (k === index ? 1.5 : 1) * pixel);
  }
}

/**
 * A point's interval as left, right, top, bottom; nothing where there is none.
 * @param {Numbers} numbers @param {number} index @param {number} point
 */
export function intervalOf({ interval, points }, index, point) {
  if (!interval) return [];
  const { low, high } = interval;
  const place = 2 * (index * points + point);
  return [low[place], high[place], low[place + 1], high[place + 1]];
}

/**
 * The query points' grid, where it was in the first frame.
 * @param {CanvasRenderingContext2D} pen @param {Numbers} numbers @param {number} pixel
 */
export function drawGrid(pen, numbers, pixel) {
  const [rows, columns] = numbers.grid ?? [0, 0];
  const across = Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => row * columns + column));
  const down = Array.from({ length: columns }, (_, column) => across.map((line) => line[column]));
  pen.beginPath();
  for (const line of [...across, ...down]) {
    line.forEach((point, k) => {
      const [x, y] = positionOf(numbers, 0, point);
      if (k) pen.lineTo(x, y);
      else pen.moveTo(x, y);
    });
  }
  stroke(pen, "rgba(255, 255, 255, 0.35)", pixel);
}
