// @ts-check
// Fields over the picture, interpolated between the grid's points: predicted motion in colours, and how likely motion is.

import { roundTop } from "./colours.js";
import { distance } from "./numbers.js";
import { between, motionAt } from "./picture.js";

/** @import { Numbers } from "./numbers.js" */

const PIXELS = 96; // of a field, along its longer side; the canvas smooths between them
const OPACITY = 0.8;

/**
 * Motion up to a frame as colours: hue is its direction, opacity its size.
 * @param {Numbers} numbers with a grid @param {number} index
 */
export function motionField(numbers, index) {
  const top = fieldTop(numbers);
  const wheel = numbers.palettes.wheel.map(channels);
  return fieldOf(numbers, (x, y) => {
    const [moveX, moveY] = motionAt(numbers, x, y, index);
    const turn = ((Math.atan2(moveY, moveX) / (2 * Math.PI) + 1) % 1) * wheel.length;
    const [before, after] = [wheel[Math.floor(turn) % wheel.length], wheel[(Math.floor(turn) + 1) % wheel.length]];
    const colour = before.map((value, k) => value + (turn % 1) * (after[k] - value));
    return [...colour, 255 * OPACITY * Math.min(1, Math.hypot(moveX, moveY) / top)];
  });
}

/** The motion that is drawn with full opacity: pixels, a round number near the largest. @param {Numbers} numbers */
export const fieldTop = (numbers) =>
  roundTop(Float32Array.from({ length: numbers.points }, (_, point) => distance(numbers, point, 0, numbers.count - 1)));

/**
 * How likely it is that a place moves as colours: the likelier, the brighter and the more opaque.
 * @param {Numbers} numbers with a grid @param {number} opacity 0 to 1, of what surely moves
 */
export function movingField(numbers, opacity) {
  const scale = numbers.palettes.scale.map(channels);
  const moving = numbers.moving ?? [];
  return fieldOf(numbers, (x, y) => {
    const [chance] = between(numbers, x, y, (point) => [moving[point] / 255]);
    return [...scale[Math.min(scale.length - 1, Math.floor(chance * scale.length))], 255 * opacity * chance];
  });
}

/**
 * @param {Numbers} numbers @param {(x: number, y: number) => number[]} colourAt a place of the frame: red, green, blue, opacity
 */
function fieldOf({ width, height }, colourAt) {
  const scale = PIXELS / Math.max(width, height);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const field = pen.createImageData(canvas.width, canvas.height);
  for (let k = 0; k < canvas.width * canvas.height; k++) {
    const [column, row] = [k % canvas.width, Math.floor(k / canvas.width)];
    const place = [((column + 0.5) / canvas.width) * width - 0.5, ((row + 0.5) / canvas.height) * height - 0.5];
    field.data.set(colourAt(place[0], place[1]), 4 * k);
  }
  pen.putImageData(field, 0, 0);
  return canvas;
}

/** Red, green and blue of a colour as #rrggbb. @param {string} colour */
const channels = (colour) => [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
