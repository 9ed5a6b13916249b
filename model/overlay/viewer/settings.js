// @ts-check
// What the viewer shows: at first, and what can be chosen.

import { offeredColourings } from "./colours.js";
import { hypothesisCount } from "./variants.js";

/** @import { Numbers } from "./numbers.js" */
/** @typedef {ReturnType<typeof initialSettings>} Settings */

const SHORT = 16; // frames up to which whole paths are shown at first and playback is slow
const SHORT_RATE = 5; // frames per second of those
const UNKNOWN_RATE = 10; // frames per second where the clip has none of its own

/** How many times as fast as filmed. */
export const SPEEDS = [0.1, 0.2, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4];

/** What can be laid over the picture, itself included, with the key that switches it. */
export const LAYERS = /** @type {const} */ ({
  picture: "i", dots: "d", grid: "g", uncertainty: "u", moving: "e", seams: "s", truth: "t",
});

/** The layers for which there is something to show. @param {Numbers} numbers */
export function offeredLayers({ grid, interval, moving, handovers, truth }) {
  const isThere = {
    picture: true, dots: true, grid, uncertainty: interval, moving: moving && grid, seams: handovers.length > 0, truth,
  };
  const names = /** @type {(keyof typeof LAYERS)[]} */ (Object.keys(LAYERS));
  return names.filter((name) => Boolean(isThere[name]));
}

/** @param {Numbers} numbers */
export const isShort = ({ count }) => count <= SHORT;

/** @param {Numbers} numbers */
export function initialSettings(numbers) {
  return {
    position: numbers.position,
    colour: numbers.moving ? "chance" : "direction",
    trail: isShort(numbers) ? "all" : "8",
    hidden: "dim",
    size: 1,
    speed: isShort(numbers) ? nearestSpeed(SHORT_RATE / baseRate(numbers)) : 1,
    loop: "loop",
    from: 0,
    to: numbers.count - 1,
    shade: 80,
    camera: numbers.camera.is_removed ? "removed" : "filmed",
    motion: "arrows",
    hypothesis: numbers.withheld && hypothesisCount(numbers) > 0 ? "all" : "answer", // then they are all there is to see
    picture: true,
    dots: true,
    grid: false,
    uncertainty: Boolean(numbers.interval),
    moving: Boolean(numbers.moving && numbers.grid),
    opacity: 80, // of the map of what moves, in %
    seams: false,
    truth: false,
    /** @type {number[]} */
    pins: [],
    /** The selected points; null: there is no selection. @type {number[] | null} */
    chosen: null,
    /** Left, right, top, bottom of the frame's part that is in view; empty for all of it. @type {number[]} */
    zoom: [],
  };
}

/** The settings that a person chooses by one control each, with all values that there are; null for true or false. @param {Numbers} numbers */
export function choices(numbers) {
  const layers = Object.fromEntries(offeredLayers(numbers).map((name) => [name, null]));
  const ways = Array.from({ length: hypothesisCount(numbers) }, (_, k) => `${k}`);
  return /** @type {Record<string, string[] | null>} */ ({
    colour: offeredColourings(numbers),
    trail: trailChoices(numbers).map(([value]) => value),
    hidden: ["dim", "hide"],
    loop: ["loop", "bounce", "once"],
    ...(numbers.camera.homographies || numbers.camera.is_removed ? { camera: ["filmed", "removed"] } : {}),
    ...(numbers.is_prediction && numbers.grid ? { motion: ["arrows", "field", "still"] } : {}),
    ...(ways.length > 0 ? { hypothesis: ["answer", ...(numbers.moving ? ["likely"] : []), "all", ...ways] } : {}),
    ...layers,
  });
}

/** @param {number} wanted */
const nearestSpeed = (wanted) =>
  SPEEDS.reduce((best, speed) => (Math.abs(speed - wanted) < Math.abs(best - wanted) ? speed : best));

/** Tracked frames per second at which the clip plays as it was filmed; 0 where that is unknown. @param {Numbers} numbers */
export function realRate({ count, frames, fps }) {
  if (count < 2) return 0;
  return (fps * (count - 1)) / (frames[count - 1] - frames[0]);
}

/** Frames per second at speed 1. @param {Numbers} numbers */
export const baseRate = (numbers) => realRate(numbers) || UNKNOWN_RATE;

/** Lengths of the drawn paths, as [value, text]. @param {Numbers} numbers @returns {[string, string][]} */
export function trailChoices({ count, frames, fps }) {
  const lengths = [4, 8, 16, 32, 64].filter((length) => length < count);
  const duration = fps > 0 && count > 1 ? (frames[count - 1] - frames[0]) / fps : 0;
  const seconds = [0.25, 0.5, 1, 2, 5].filter((length) => length < duration);
  return [
    ["all", "whole path"],
    ["past", "up to this frame"],
    ...lengths.map((length) => /** @type {[string, string]} */ ([`${length}`, `last ${length} frames`])),
    ...seconds.map((length) => /** @type {[string, string]} */ ([`${length}s`, `last ${length} s`])),
    ["0", "none"],
  ];
}
