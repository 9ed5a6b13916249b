// @ts-check
// What a point's colour can say, and the colour of each point at each step.

import { errorAt, hasErrors, isVisible, meanSpeed, positionOf, speedAt } from "./numbers.js";

/**
 * @import { Numbers } from "./numbers.js"
 *
 * Colours for points, or for each step of each point (then `isPerStep`, and bins are frame by frame).
 * top: the value at the upper end of the scale; 0 for colours that are no scale. unit: of that value.
 * @typedef {{ colours: string[], bins: Uint8Array, isPerStep: boolean, top: number, unit: string }} Colouring
 */

const STILL_PATH = 0.5; // pixels of a whole path, below which it has no direction worth a colour
const STILL_STEP = 0.2; // the same of one step

/** Each way of colouring: its name and what it says. */
export const COLOURINGS = {
  direction: ["Direction overall", "Where a point ends, seen from where it starts. Grey: it stays within half a pixel."],
  "direction-now": ["Direction now", "Where a point goes at each step. Grey: it hardly moves there."],
  speed: ["Speed overall", "Mean speed along the whole path, in pixels per frame of the clip."],
  "speed-now": ["Speed now", "Speed at each step, in pixels per frame of the clip."],
  visibility: ["Visibility", "How sure it is that the point is seen: bright is sure."],
  error: ["Error", "Distance from the true position in the same frame, in pixels. Grey: not known."],
  chance: ["Likely to move", "How likely it is that the point moves at all until the end."],
  index: ["Index", "Points in their order: from red, once around the wheel."],
};

/** The names of the ways there are for these numbers. @param {Numbers} numbers */
export const offeredColourings = (numbers) =>
  Object.keys(COLOURINGS).filter((name) =>
    (name !== "error" || hasErrors(numbers)) && (name !== "chance" || Boolean(numbers.moving)));

/** @param {string} name of a way of colouring @param {Numbers} numbers @returns {Colouring} */
export function colouring(name, numbers) {
  const { count, points, palettes } = numbers;
  const wheel = [...palettes.wheel, ...palettes.still];
  const scale = [...palettes.scale, ...palettes.still];
  const perPoint = (/** @type {(point: number) => number} */ value) => Float32Array.from({ length: points }, (_, k) => value(k));
  const perStep = (/** @type {(index: number, point: number) => number} */ value) =>
    Float32Array.from({ length: points * count }, (_, k) => value(Math.floor(k / points), k % points));
  /** @param {Float32Array} values @param {boolean} isPerStep @param {string} unit @returns {Colouring} */
  const scaled = (values, isPerStep, unit, top = roundTop(values)) =>
    ({ colours: scale, bins: Uint8Array.from(values, (value) => levelOf(value, top, scale.length - 1)), isPerStep, top, unit });
  const sector = (/** @type {number} */ from, /** @type {number} */ to, /** @type {number} */ point, /** @type {number} */ still) => {
    const [[x, y], [startX, startY]] = [positionOf(numbers, to, point), positionOf(numbers, from, point)];
    return sectorOf(x - startX, y - startY, still, wheel.length - 1);
  };
  const plain = { colours: wheel, top: 0, unit: "" };
  if (name === "direction-now") {
    const step = (/** @type {number} */ k) => Math.min(count - 1, Math.max(1, k));
    const bins = Uint8Array.from(perStep((k, point) => sector(Math.max(0, step(k) - 1), step(k), point, STILL_STEP)));
    return { ...plain, bins, isPerStep: true };
  }
  if (name === "speed") return scaled(perPoint((point) => meanSpeed(numbers, point)), false, "px/frame");
  if (name === "speed-now") return scaled(perStep((index, point) => speedAt(numbers, index, point)), true, "px/frame");
  if (name === "error") return scaled(perStep((index, point) => errorAt(numbers, index, point)), true, "px");
  if (name === "visibility") {
    return scaled(perStep((index, point) => numbers.visibility[index * points + point] / 255), true, "", 1);
  }
  if (name === "chance") return scaled(perPoint((point) => (numbers.moving?.[point] ?? 0) / 255), false, "", 1);
  if (name === "index") {
    const bins = Uint8Array.from({ length: points }, (_, k) => (k * (wheel.length - 1)) / points);
    return { ...plain, bins, isPerStep: false };
  }
  return { ...plain, bins: Uint8Array.from(perPoint((point) => sector(0, count - 1, point, STILL_PATH))), isPerStep: false };
}

/**
 * The wheel's sector of a way, or the bin of what stands still, which follows them.
 * @param {number} x @param {number} y @param {number} still pixels @param {number} sectors
 */
export function sectorOf(x, y, still, sectors) {
  if (!(Math.hypot(x, y) >= still)) return sectors;
  return (Math.round((Math.atan2(y, x) * sectors) / (2 * Math.PI)) + sectors) % sectors;
}

/** The step of the scale from 0 to `top`, or the bin of what is not known. @param {number} value @param {number} top @param {number} levels */
const levelOf = (value, top, levels) =>
  Number.isNaN(value) ? levels : Math.max(0, Math.min(levels - 1, Math.floor((value / top) * levels)));

/** A round number near the 98th percentile: 1, 1.5, 2, 3, 5 or 7 times a power of ten, at least 0.1. @param {Float32Array} values */
export function roundTop(values) {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort();
  const value = Math.max(0.1, sorted[Math.floor(0.98 * (sorted.length - 1))] ?? 0);
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 1.5, 2, 3, 5, 7].find((step) => step * power >= value * 0.999) ?? 10);
}

/** A colouring's colour of a point at a step. @param {Colouring} colouring @param {number} points @param {number} index @param {number} point */
export const binAt = ({ bins, isPerStep }, points, index, point) => bins[isPerStep ? index * points + point : point];
