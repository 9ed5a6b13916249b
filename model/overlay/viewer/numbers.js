// @ts-check
// The numbers of a figure, as model/overlay/numbers.py packs them into layout.meta.stillmotion.

const ARRAYS = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };

/**
 * Arrays in base64; positions are whole numbers of steps from an origin where there are many.
 * @typedef {{ dtype: keyof typeof ARRAYS, bdata: string }} Packed
 * @typedef {{ points: Packed, scale: { step: number, origin: number[] } | null }} PackedPositions
 *
 * Homographies and the summary of the motion without the camera, where it can be taken out.
 * @typedef {{ is_removed: boolean, share: number | null, reason: string | null,
 *   homographies?: Packed, summary?: string }} PackedCamera
 * What it all comes from, and a sentence that says so.
 * @typedef {{ stillmotion: string, citation: string, [fact: string]: unknown }} About
 * @typedef {{ wheel: string[], scale: string[], still: string[] }} Palettes
 *
 * What layout.meta.stillmotion holds; truth, interval and hypotheses where there are such.
 * @typedef {{
 *   size: [number, number], frames: number[], fps: number, is_prediction: boolean, position: number,
 *   summary: string, measured?: string, about?: About, camera: PackedCamera, visibility: Packed, handovers: Packed, withheld?: boolean,
 *   palettes: Palettes, grid: [number, number] | null, moving?: Packed,
 *   truth?: PackedPositions & { visible: Packed, summary: string },
 *   interval?: { low: PackedPositions, high: PackedPositions },
 *   hypotheses?: PackedPositions & { weights: Packed },
 * } & PackedPositions} PackedNumbers
 *
 * Positions of `points` points in frame after frame: x, y, x, y, ...
 * @typedef {{ xy: Float32Array, points: number }} Paths
 * @typedef {ReturnType<typeof readNumbers>} Numbers
 */

/** @param {PackedNumbers} packed */
export function readNumbers(packed) {
  const { frames, size, fps, is_prediction, position, summary, camera, withheld, palettes, grid } = packed;
  const [height, width] = size;
  const count = frames.length;
  const truth = packed.truth && { ...pathsOf(packed.truth, count), visible: decode(packed.truth.visible) };
  const homographies = /** @type {Float32Array | null} */ (camera.homographies ? decode(camera.homographies) : null);
  return {
    frames, count, height, width, fps, is_prediction, position, summary, palettes, grid,
    ...pathsOf(packed, count),
    visibility: decode(packed.visibility),
    camera: { ...camera, homographies },
    withheld: Boolean(withheld),
    about: packed.about,
    measured: packed.measured ?? "", // how well the predictor is known to do
    moving: packed.moving && decode(packed.moving),
    handovers: decode(packed.handovers),
    truth: truth && { ...truth, summary: packed.truth?.summary ?? "" },
    interval: packed.interval && { low: positions(packed.interval.low), high: positions(packed.interval.high) },
    hypotheses: packed.hypotheses && { xy: positions(packed.hypotheses), weights: decode(packed.hypotheses.weights) },
    /** Which frame of the file each position is; without the camera some may be left out. */
    rows: Array.from(frames, (_, row) => row),
  };
}

/** @param {PackedPositions} packed @param {number} count frames @returns {Paths} */
function pathsOf(packed, count) {
  const xy = positions(packed);
  return { xy, points: xy.length / 2 / count };
}

/** @param {PackedPositions} packed */
function positions({ points, scale }) {
  const values = decode(points);
  if (!scale) return Float32Array.from(values);
  return Float32Array.from(values, (value, k) => scale.origin[k % 2] + scale.step * value);
}

/** @param {Packed} packed */
function decode({ dtype, bdata }) {
  const bytes = Uint8Array.from(atob(bdata), (letter) => letter.charCodeAt(0));
  return new ARRAYS[dtype](bytes.buffer);
}

/** @param {Numbers} numbers @param {number} index frame @param {number} point */
export const isVisible = (numbers, index, point) => numbers.visibility[index * numbers.points + point] > 127;

/** @param {Paths} paths @param {number} index frame @param {number} point */
export function positionOf({ xy, points }, index, point) {
  const place = 2 * (index * points + point);
  return [xy[place], xy[place + 1]];
}

/** How far a point is from where it was. @param {Paths} paths @param {number} point @param {number} from @param {number} to */
export function distance(paths, point, from, to) {
  const [x, y] = positionOf(paths, to, point);
  const [beforeX, beforeY] = positionOf(paths, from, point);
  return Math.hypot(x - beforeX, y - beforeY);
}

/** The position of a frame of the clip, or of the last one before it. @param {Pick<Numbers, "frames">} numbers @param {number} frame */
export const positionAt = ({ frames }, frame) => Math.max(0, frames.findLastIndex((one) => one <= frame));

const MOVES = 0.5; // pixels

/** Whether a point ends elsewhere than it begins. @param {Paths} paths @param {number} point @param {number} last frame */
export const moves = (paths, point, last) => distance(paths, point, 0, last) >= MOVES;

/** Whether any point does. @param {Numbers} numbers */
export const anyMoves = (numbers) => Array.from({ length: numbers.points }, (_, k) => k).some((k) => moves(numbers, k, numbers.count - 1));

/**
 * A point's speed on its way to a frame, in pixels per frame of the clip; at the first frame that of the first step.
 * @param {Numbers} numbers @param {number} index @param {number} point
 */
export function speedAt(numbers, index, point) {
  if (numbers.count < 2) return 0;
  const end = Math.max(1, index);
  return distance(numbers, point, end - 1, end) / (numbers.frames[end] - numbers.frames[end - 1]);
}

/** A point's mean speed along its path, in pixels per frame of the clip. @param {Numbers} numbers @param {number} point */
export function meanSpeed(numbers, point) {
  let length = 0;
  for (let index = 1; index < numbers.count; index++) length += distance(numbers, point, index - 1, index);
  return length / Math.max(1, (numbers.frames.at(-1) ?? 0) - numbers.frames[0]);
}

/** How far a point is from its true position, in pixels; NaN where that is not known. @param {Numbers} numbers @param {number} index @param {number} point */
export function errorAt({ xy, points, truth }, index, point) {
  if (!truth || truth.points !== points || !truth.visible[index * points + point]) return NaN;
  const place = 2 * (index * points + point);
  return Math.hypot(xy[place] - truth.xy[place], xy[place + 1] - truth.xy[place + 1]);
}

/** Whether the true paths are those of the tracked points, one for one. @param {Numbers} numbers */
export function hasErrors({ xy, points, truth }) {
  if (!truth || truth.points !== points) return false;
  return xy.subarray(0, 2 * points).every((value, k) => Math.abs(value - truth.xy[k]) < 0.05);
}
