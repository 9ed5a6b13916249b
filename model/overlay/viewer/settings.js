// @ts-check
// What the viewer shows: at first, as chosen, and as the address holds it.

/** @import { Numbers } from "./numbers.js" */
/** @typedef {ReturnType<typeof initialSettings>} Settings */

export const SHORT = 16; // frames up to which whole paths are shown at first and playback is slow

/** What can be shown beside the tracks, with the key that switches it. */
export const OPTIONS = /** @type {const} */ ({ interval: "u", hypotheses: "y", seams: "s", truth: "t" });

/** The names of the options for which there is something to show. @param {Numbers} numbers */
export function offeredOptions({ interval, hypotheses, handovers, truth }) {
  const isThere = { interval, hypotheses, seams: handovers.length > 0, truth };
  const names = /** @type {(keyof typeof OPTIONS)[]} */ (Object.keys(OPTIONS));
  return names.filter((name) => Boolean(isThere[name]));
}

/** @param {Numbers} numbers */
export function initialSettings(numbers) {
  const isShort = numbers.count <= SHORT;
  return {
    position: numbers.position,
    colour: "direction",
    trail: isShort ? "all" : "8",
    hidden: "dim",
    rate: isShort ? 5 : Math.min(30, realRate(numbers) || 10),
    shade: 80,
    tips: numbers.is_prediction,
    interval: Boolean(numbers.interval),
    hypotheses: numbers.withheld, // then they are all that there is to see
    seams: false,
    truth: false,
  };
}

/** Tracked frames per second at which the clip plays as it was filmed; 0 where that is unknown. @param {Numbers} numbers */
export function realRate({ count, frames, fps }) {
  if (count < 2) return 0;
  const step = (frames[count - 1] - frames[0]) / (count - 1);
  return Math.round((100 * fps) / step) / 100;
}

/** Lengths of the drawn paths, as [value, text]. @param {Numbers} numbers */
export function trailChoices({ count }) {
  const lengths = [4, 8, 16, 32, 64].filter((length) => length < count);
  return [
    ["all", "whole path"],
    ["past", "up to this frame"],
    ...lengths.map((length) => [String(length), `last ${length} frames`]),
    ["0", "none"],
  ];
}

/**
 * What the address asks for: #frame=12&colour=speed&paths=8&hidden=hide&interval=0&hypotheses=1&truth=1.
 * @param {Numbers} numbers
 */
export function readHash(numbers) {
  const hash = new URLSearchParams(location.hash.slice(1));
  /** @type {Partial<Settings>} */
  const read = {};
  const position = numbers.frames.indexOf(Number(hash.get("frame") ?? NaN));
  const [colour, paths, hidden] = ["colour", "paths", "hidden"].map((name) => hash.get(name) ?? "");
  if (position >= 0) read.position = position;
  if (Object.hasOwn(numbers.colourings, colour)) read.colour = colour;
  if (trailChoices(numbers).some(([value]) => value === paths)) read.trail = paths;
  if (["dim", "hide"].includes(hidden)) read.hidden = hidden;
  if (hash.has("frame")) {
    for (const name of offeredOptions(numbers)) {
      read[name] = name === "interval" ? hash.get(name) !== "0" : hash.get(name) === "1";
    }
  }
  return read;
}

/** @param {Settings} settings @param {Numbers} numbers */
export function writeHash(settings, numbers) {
  const { position, colour, trail, hidden } = settings;
  const hash = new URLSearchParams({ frame: `${numbers.frames[position]}`, colour, paths: trail, hidden });
  for (const name of offeredOptions(numbers)) {
    if (name === "interval" && !settings.interval) hash.set(name, "0");
    if (name !== "interval" && settings[name]) hash.set(name, "1");
  }
  history.replaceState(null, "", `#${hash}`);
}
