// @ts-check
// The view in the page's address, so that a link restores it: #frame=12&colour=speed&paths=8&pins=3,40&zoom=0,320,0,240.

import { SPEEDS, choices, initialSettings } from "./settings.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 */

/** What the address calls a setting. @param {string} setting */
const nameOf = (setting) => (setting === "trail" ? "paths" : setting);

/** Numbers that the address may hold, with their least and greatest values. */
const RANGES = /** @type {const} */ ({ size: [0.5, 3], shade: [0, 100], opacity: [10, 100] });

/** What the address asks for; a frame by its number in the clip. @param {Numbers} numbers @returns {Partial<Settings>} */
export function readAddress(numbers) {
  const hash = new URLSearchParams(location.hash.slice(1));
  /** @type {Record<string, any>} */
  const read = {};
  for (const [setting, values] of Object.entries(choices(numbers))) {
    const given = hash.get(nameOf(setting));
    if (given === null) continue;
    if (values === null) read[setting] = given === "1";
    else if (values.includes(given)) read[setting] = given;
  }
  for (const [setting, [least, most]] of Object.entries(RANGES)) {
    const given = Number(hash.get(setting) ?? NaN);
    if (given >= least && given <= most) read[setting] = given;
  }
  const speed = Number(hash.get("speed") ?? NaN);
  if (SPEEDS.includes(speed)) read.speed = speed;
  const frameOf = (/** @type {string | null} */ text) => numbers.frames.indexOf(Number(text ?? NaN));
  const position = frameOf(hash.get("frame"));
  if (position >= 0) read.position = position;
  const [from, to] = (hash.get("range") ?? "").split("-").map(frameOf);
  if (from >= 0 && to > from) Object.assign(read, { from, to });
  const isPoint = (/** @type {number} */ point) => Number.isInteger(point) && point >= 0 && point < numbers.points;
  const pins = numbersIn(hash.get("pins")).filter(isPoint);
  if (hash.has("pins")) read.pins = [...new Set(pins)];
  if (hash.has("selected")) read.chosen = spansIn(hash.get("selected"), numbers.points);
  const zoom = numbersIn(hash.get("zoom"));
  if (zoom.length === 4 && zoom.every(Number.isFinite) && zoom[0] < zoom[1] && zoom[2] < zoom[3]) read.zoom = zoom;
  // A link of before the viewer could do it itself.
  if (new URLSearchParams(location.search).get("camera") === "removed" && numbers.camera.homographies) {
    read.camera ??= "removed";
  }
  return read;
}

/** @param {string | null} text */
const numbersIn = (text) => (text ? text.split(",").map(Number) : []);

/** The points of "3-5,9". @param {string | null} text @param {number} points */
function spansIn(text, points) {
  const chosen = new Set();
  for (const span of (text ?? "").split(",").filter(Boolean)) {
    const [first, last = first] = span.split("-").map(Number);
    for (let point = first; point <= Math.min(last, points - 1); point++) chosen.add(point);
  }
  return [...chosen].filter((point) => Number.isInteger(point) && point >= 0);
}

/** Points as "3-5,9". @param {number[]} points in order */
function spansOf(points) {
  /** @type {number[][]} */
  const spans = [];
  for (const point of points) {
    const span = spans.at(-1);
    if (span && span[1] === point - 1) span[1] = point;
    else spans.push([point, point]);
  }
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join();
}

/** Write what differs from the view at first, and the frame. @param {Settings} settings @param {Numbers} numbers */
export function writeAddress(settings, numbers) {
  const usual = /** @type {Record<string, any>} */ (initialSettings(numbers));
  const now = /** @type {Record<string, any>} */ (settings);
  const hash = new URLSearchParams({ frame: `${numbers.frames[settings.position]}` });
  for (const setting of [...Object.keys(choices(numbers)), ...Object.keys(RANGES), "speed"]) {
    if (now[setting] === usual[setting]) continue;
    hash.set(nameOf(setting), typeof now[setting] === "boolean" ? `${Number(now[setting])}` : `${now[setting]}`);
  }
  const { from, to, pins, chosen, zoom } = settings;
  if (from > 0 || to < numbers.count - 1) hash.set("range", `${numbers.frames[from]}-${numbers.frames[to]}`);
  if (pins.length > 0) hash.set("pins", pins.join());
  if (chosen) hash.set("selected", spansOf(chosen));
  if (zoom.length > 0) hash.set("zoom", zoom.map((value) => Number(value.toFixed(2))).join());
  const search = new URLSearchParams(location.search);
  search.delete("camera"); // it is in the hash now
  const text = decodeURIComponent(`${hash}`); // commas stay as they are
  history.replaceState(null, "", `${location.pathname}${search.size ? `?${search}` : ""}#${text}`);
}
