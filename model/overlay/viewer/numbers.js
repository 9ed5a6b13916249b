// @ts-check
// The numbers of a figure, as model/overlay/numbers.py packs them into layout.meta.stillmotion.

const ARRAYS = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };

/**
 * Arrays in base64; positions are whole numbers of steps from an origin where there are many.
 * @typedef {{ dtype: keyof typeof ARRAYS, bdata: string }} Packed
 * @typedef {{ points: Packed, scale: { step: number, origin: number[] } | null }} PackedPositions
 *
 * What layout.meta.stillmotion holds; truth, interval and hypotheses where there are such.
 * @typedef {{
 *   size: [number, number], frames: number[], fps: number, is_prediction: boolean, position: number,
 *   summary: string, camera: { is_removed: boolean, share: number | null, reason: string | null }, visibility: Packed, handovers: Packed, withheld?: boolean,
 *   colourings: Record<string, { bins: Packed, colours: string[], top: number | null }>,
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
  const { frames, size, fps, is_prediction, position, summary, camera, withheld } = packed;
  const [height, width] = size;
  const count = frames.length;
  const visibility = decode(packed.visibility);
  const truth = packed.truth && { ...pathsOf(packed.truth, count), visible: decode(packed.truth.visible) };
  return {
    frames, count, height, width, fps, is_prediction, position, summary, camera, visibility,
    ...pathsOf(packed, count),
    withheld: Boolean(withheld),
    colourings: Object.fromEntries(Object.entries(packed.colourings).map(([name, way]) => [name, readColouring(way)])),
    handovers: decode(packed.handovers),
    truth: truth && { ...truth, summary: packed.truth?.summary ?? "" },
    interval: packed.interval && { low: positions(packed.interval.low), high: positions(packed.interval.high) },
    hypotheses: packed.hypotheses && { xy: positions(packed.hypotheses), weights: decode(packed.hypotheses.weights) },
  };
}

/** The points of each colour, and each point's colour. @param {PackedNumbers["colourings"][string]} packed */
function readColouring({ bins: packed, colours, top }) {
  const bins = decode(packed);
  const groups = colours.map(() => /** @type {number[]} */ ([]));
  bins.forEach((bin, point) => groups[bin].push(point));
  return { bins, groups, colours, top: top ?? 0 };
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
  if (!bdata) return new Uint8Array(); // Plotly writes an empty array as a plain list
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
