// @ts-check
// The picture on the canvas: as it is, with the camera's motion taken out, or warped along predicted motion.

import { positionOf } from "./numbers.js";
import { mapped } from "./variants.js";

/**
 * @import { Numbers } from "./numbers.js"
 * A corner of a mesh: where it is in the picture, and where it is drawn; both in pixels of the frame.
 * @typedef {{ x: number, y: number, toX: number, toY: number }} Corner
 */

const STRAIGHT = 0.5; // pixels: a homography that is affine to within this is drawn as such
const CELLS = 12; // of a mesh, along each side
const OVERLAP = 0.6; // pixels that triangles reach beyond their sides, or seams would show

/**
 * The picture of a frame. The pen is in pixels of the frame, whose top left pixel has its centre at (0, 0).
 * @param {CanvasRenderingContext2D} pen @param {ImageBitmap} bitmap @param {Numbers} numbers
 */
export const drawPicture = (pen, bitmap, { width, height }) => pen.drawImage(bitmap, -0.5, -0.5, width, height);

/**
 * The picture where a homography puts it.
 * @param {CanvasRenderingContext2D} pen @param {ImageBitmap} bitmap @param {Numbers} numbers @param {number[]} homography
 */
export function drawMapped(pen, bitmap, numbers, homography) {
  const { width, height } = numbers;
  const corners = [[0, 0], [width, 0], [0, height]].map(([x, y]) => mapped(homography, x, y));
  const [[x, y], [rightX, rightY], [downX, downY]] = corners;
  const affine = [(rightX - x) / width, (rightY - y) / width, (downX - x) / height, (downY - y) / height, x, y];
  const [farX, farY] = mapped(homography, width, height);
  if (Math.hypot(rightX + downX - x - farX, rightY + downY - y - farY) < STRAIGHT) {
    pen.save();
    pen.transform(affine[0], affine[1], affine[2], affine[3], affine[4], affine[5]);
    drawPicture(pen, bitmap, numbers);
    pen.restore();
    return;
  }
  drawMesh(pen, bitmap, numbers, evenMesh(numbers, (px, py) => mapped(homography, px, py)));
}

/**
 * A mesh over the frame whose corners a function moves.
 * @param {Numbers} numbers @param {(x: number, y: number) => number[]} move @returns {Corner[][]}
 */
function evenMesh({ width, height }, move) {
  return Array.from({ length: CELLS + 1 }, (_, row) => Array.from({ length: CELLS + 1 }, (_, column) => {
    const [x, y] = [(column / CELLS) * width - 0.5, (row / CELLS) * height - 0.5];
    const [toX, toY] = move(x, y);
    return { x, y, toX, toY };
  }));
}

/** @param {CanvasRenderingContext2D} pen @param {ImageBitmap} bitmap @param {Numbers} numbers @param {Corner[][]} mesh */
function drawMesh(pen, bitmap, numbers, mesh) {
  for (let row = 1; row < mesh.length; row++) {
    for (let column = 1; column < mesh[row].length; column++) {
      const [a, b] = [mesh[row - 1][column - 1], mesh[row - 1][column]];
      const [c, d] = [mesh[row][column - 1], mesh[row][column]];
      drawTriangle(pen, bitmap, numbers, [a, b, c]);
      drawTriangle(pen, bitmap, numbers, [d, c, b]);
    }
  }
}

/** @param {CanvasRenderingContext2D} pen @param {ImageBitmap} bitmap @param {Numbers} numbers @param {Corner[]} corners */
function drawTriangle(pen, bitmap, numbers, [p, q, r]) {
  // The affine map that takes the picture's triangle to the drawn one.
  const [ux, uy, vx, vy] = [q.x - p.x, q.y - p.y, r.x - p.x, r.y - p.y];
  const size = ux * vy - vx * uy;
  const [Ux, Uy, Vx, Vy] = [q.toX - p.toX, q.toY - p.toY, r.toX - p.toX, r.toY - p.toY];
  const [a, c] = [(Ux * vy - Vx * uy) / size, (Vx * ux - Ux * vx) / size];
  const [b, d] = [(Uy * vy - Vy * uy) / size, (Vy * ux - Uy * vx) / size];
  pen.save();
  pen.beginPath();
  const [middleX, middleY] = [(p.toX + q.toX + r.toX) / 3, (p.toY + q.toY + r.toY) / 3];
  for (const { toX, toY } of [p, q, r]) {
    const [awayX, awayY] = [toX - middleX, toY - middleY];
    const reach = 1 + OVERLAP / Math.max(1, Math.hypot(awayX, awayY));
    pen.lineTo(middleX + reach * awayX, middleY + reach * awayY);
  }
  pen.clip();
  pen.transform(a, b, c, d, p.toX - a * p.x - c * p.y, p.toY - b * p.x - d * p.y);
  drawPicture(pen, bitmap, numbers);
  pen.restore();
}

/**
 * The picture warped along its predicted motion up to a time between two frames. Only for a grid of points.
 * @param {CanvasRenderingContext2D} pen @param {ImageBitmap} bitmap @param {Numbers} numbers @param {number} time in frames
 */
export function drawAlong(pen, bitmap, numbers, time) {
  drawPicture(pen, bitmap, numbers); // what the warped picture uncovers shows what was there
  drawMesh(pen, bitmap, numbers, evenMesh(numbers, (x, y) => {
    const [moveX, moveY] = motionAt(numbers, x, y, time);
    return [x + moveX, y + moveY];
  }));
}

/**
 * How far a place of the first frame has moved at a time, interpolated between the grid's points and the frames.
 * @param {Numbers} numbers with a grid @param {number} x @param {number} y @param {number} time in frames
 */
export function motionAt(numbers, x, y, time) {
  const before = Math.min(numbers.count - 1, Math.floor(time));
  const after = Math.min(numbers.count - 1, before + 1);
  const share = time - before;
  return between(numbers, x, y, (point) => {
    const [startX, startY] = positionOf(numbers, 0, point);
    const [[fromX, fromY], [toX, toY]] = [positionOf(numbers, before, point), positionOf(numbers, after, point)];
    return [fromX + share * (toX - fromX) - startX, fromY + share * (toY - fromY) - startY];
  });
}

/**
 * Values of the grid's points, interpolated at a place of the first frame; beyond the outer points it is theirs.
 * @param {Numbers} numbers @param {number} x @param {number} y @param {(point: number) => number[]} valueOf
 */
export function between(numbers, x, y, valueOf) {
  const [rows, columns] = numbers.grid ?? [1, 1];
  const [column, right] = placeIn(columns, (k) => positionOf(numbers, 0, k)[0], x);
  const [row, down] = placeIn(rows, (k) => positionOf(numbers, 0, k * columns)[1], y);
  const next = [Math.min(columns - 1, column + 1), Math.min(rows - 1, row + 1)];
  const [a, b] = [valueOf(row * columns + column), valueOf(row * columns + next[0])];
  const [c, d] = [valueOf(next[1] * columns + column), valueOf(next[1] * columns + next[0])];
  return a.map((value, k) =>
    (1 - down) * ((1 - right) * value + right * b[k]) + down * ((1 - right) * c[k] + right * d[k]));
}

/** The line of a grid before a place, and the share of the way to the next. @param {number} count @param {(k: number) => number} line @param {number} place */
function placeIn(count, line, place) {
  if (count < 2) return [0, 0];
  const spacing = (line(count - 1) - line(0)) / (count - 1);
  const exact = Math.max(0, Math.min(count - 1, (place - line(0)) / spacing));
  const before = Math.min(count - 2, Math.floor(exact));
  return [before, exact - before];
}
