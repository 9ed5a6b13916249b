// @ts-check
// Other numbers made of a figure's: with the camera's motion taken out, or one hypothesis in place of the answer.

import { moves, positionOf } from "./numbers.js";

/** @import { Numbers } from "./numbers.js" */

/**
 * The homography from each of the file's frames to the first, row by row as nine numbers; null where it is not known.
 * @param {Numbers} numbers @returns {(number[] | null)[]}
 */
export function homographiesToFirst({ camera, count }) {
  const all = camera.homographies;
  if (!all) return [];
  return Array.from({ length: count }, (_, row) => {
    const one = [...all.subarray(9 * row, 9 * row + 9)];
    return one.every(Number.isFinite) ? inverse(one) : null;
  });
}

/** @param {number[]} m of 3 × 3, row by row */
function inverse([a, b, c, d, e, f, g, h, i]) {
  const cofactors = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f,
    d * h - e * g, b * g - a * h, a * e - b * d];
  const determinant = a * cofactors[0] + b * cofactors[3] + c * cofactors[6];
  return cofactors.map((value) => value / determinant);
}

/** @param {number[]} m homography @param {number} x @param {number} y */
export function mapped(m, x, y) {
  const w = m[6] * x + m[7] * y + m[8];
  return [(m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w];
}

/**
 * The numbers with the camera's motion taken out: positions in pixels of the first frame. Frames whose camera is not
 * known are left out.
 * @param {Numbers} numbers @returns {Numbers}
 */
export function withoutCamera(numbers) {
  const back = homographiesToFirst(numbers);
  const rows = numbers.rows.filter((row) => back[row]);
  const { points } = numbers;
  /** @param {Float32Array} xy @param {number} count points in each frame */
  const still = (xy, count) => {
    const found = new Float32Array(2 * rows.length * count);
    rows.forEach((row, index) => {
      const homography = /** @type {number[]} */ (back[row]);
      for (let point = 0; point < count; point++) {
        const from = 2 * (row * count + point);
        found.set(mapped(homography, xy[from], xy[from + 1]), 2 * (index * count + point));
      }
    });
    return found;
  };
  /** @param {ArrayLike<number>} values @param {number} count */
  const kept = (values, count) => Uint8Array.from(rows.flatMap((row) =>
    Array.from({ length: count }, (_, point) => values[row * count + point])));
  const { truth } = numbers;
  return {
    ...numbers,
    rows,
    count: rows.length,
    frames: rows.map((row) => numbers.frames[row]),
    summary: numbers.camera.summary ?? numbers.summary,
    xy: still(numbers.xy, points),
    visibility: kept(numbers.visibility, points),
    handovers: Int32Array.from([...numbers.handovers].flatMap((seam) => {
      const index = rows.indexOf(Math.floor(seam / points));
      return index < 0 ? [] : [index * points + (seam % points)];
    })),
    truth: truth && { ...truth, xy: still(truth.xy, truth.points), visible: kept(truth.visible, truth.points) },
    position: 0,
    camera: { ...numbers.camera, is_removed: true },
  };
}

/** The numbers with one hypothesis as the answer. @param {Numbers} numbers @param {number} which @returns {Numbers} */
export function withHypothesis(numbers, which) {
  const size = 2 * numbers.count * numbers.points;
  const all = numbers.hypotheses?.xy ?? numbers.xy;
  return { ...numbers, xy: all.subarray(which * size, (which + 1) * size) };
}

/**
 * The numbers with a possible motion as the answer: each point goes its likeliest way, as far as it is likely to move.
 * @param {Numbers} numbers @returns {Numbers}
 */
export function withLikeliestWay(numbers) {
  const { count, points, xy, hypotheses, moving } = numbers;
  if (!hypotheses || !moving) return numbers;
  const ways = Array.from({ length: hypothesisCount(numbers) }, (_, k) => withHypothesis(numbers, k));
  const found = Float32Array.from(xy);
  for (let point = 0; point < points; point++) {
    const way = ways.find((one) => moves(one, point, count - 1)) ?? numbers;
    const [x, y] = positionOf(numbers, 0, point);
    const share = moving[point] / 255;
    for (let index = 0; index < count; index++) {
      const [farX, farY] = positionOf(way, index, point);
      found.set([x + share * (farX - x), y + share * (farY - y)], 2 * (index * points + point));
    }
  }
  return { ...numbers, xy: found };
}

/** How many hypotheses there are beside the answer. @param {Numbers} numbers */
export const hypothesisCount = ({ hypotheses, points }) => (hypotheses ? hypotheses.weights.length / points : 0);
