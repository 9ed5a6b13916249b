// @ts-check
// All layers of a moment on one canvas, from below to above. What does not change from frame to frame is kept.

import { Stamps, drawDots, drawFan, drawGrid, drawPins, drawRing, drawSeams, usualSizes } from "./dots.js";
import { motionField, movingField } from "./field.js";
import { drawHidden, drawTips, drawTrails, drawTruth, drawWays, hasManySteps, trailWindow } from "./paths.js";
import { drawAlong, drawMapped, drawPicture } from "./picture.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Colouring } from "./colours.js"
 * @import { Settings } from "./settings.js"
 *
 * What is to be seen. bitmap: the picture, if it is there. homography: from the picture to where it is drawn.
 * chosen: the points that are not faint, all of them if null. hovered: the point under the pointer, or -1.
 * @typedef {{ numbers: Numbers, settings: Settings, colouring: Colouring, position: number, time: number,
 *   bitmap: ImageBitmap | null, homography: number[] | null, chosen: Set<number> | null, hovered: number }} Moment
 *
 * Where the frame lies on the canvas: pixels of the canvas for one of the frame, and where its origin is.
 * @typedef {{ scale: number, left: number, top: number, width: number, height: number, density: number }} View
 */

const BACKDROP = "#07090c"; // the stage's own
const FAINT = 0.12; // opacity of the points that are not chosen

export class Painter {
  stamps = new Stamps();
  /** Layers that are kept as pictures, with what they were made of. @type {Map<string, { key: string, canvas: HTMLCanvasElement }>} */
  kept = new Map();
  /** Ids of objects, for the keys. @type {WeakMap<object, number>} */
  ids = new WeakMap();
  counted = 0;

  /** @param {HTMLCanvasElement} canvas @param {Moment} moment @param {View} view */
  paint(canvas, moment, view) {
    if (!canvas.width || !canvas.height) return; // it is hidden
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.setTransform(view.scale, 0, 0, view.scale, view.left, view.top);
    this.paintPicture(pen, moment);
    this.paintFields(pen, moment);
    const { settings } = moment;
    if (settings.grid) drawGrid(pen, moment.numbers, view.density / view.scale);
    if (settings.motion === "arrows") this.paintLines(pen, canvas, moment, view);
    this.paintMarks(pen, moment, view);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Moment} moment */
  paintPicture(pen, { numbers, settings, bitmap, homography, time }) {
    if (!settings.picture || !bitmap) return;
    if (settings.motion === "still") drawAlong(pen, bitmap, numbers, time);
    else if (homography) drawMapped(pen, bitmap, numbers, homography);
    else drawPicture(pen, bitmap, numbers);
    // Darkened afterwards, where something is drawn: pieces of a warped picture overlap.
    pen.save();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.globalCompositeOperation = "source-atop";
    pen.globalAlpha = 1 - settings.shade / 100;
    pen.fillStyle = BACKDROP;
    pen.fillRect(0, 0, pen.canvas.width, pen.canvas.height);
    pen.restore();
  }

  /** @param {CanvasRenderingContext2D} pen @param {Moment} moment */
  paintFields(pen, { numbers, settings, position }) {
    if (settings.motion === "field") {
      const field = this.keep("field", `${this.idOf(numbers)} ${position}`, () => motionField(numbers, position));
      pen.drawImage(field, -0.5, -0.5, numbers.width, numbers.height);
    }
    if (settings.moving && settings.motion === "arrows") {
      const { opacity } = settings;
      const map = this.keep("map", `${this.idOf(numbers)} ${opacity}`, () => movingField(numbers, opacity / 100));
      pen.drawImage(map, -0.5, -0.5, numbers.width, numbers.height);
    }
  }

  /** Lines; whole paths stay from frame to frame. @param {CanvasRenderingContext2D} pen @param {HTMLCanvasElement} canvas @param {Moment} moment @param {View} view */
  paintLines(pen, canvas, moment, view) {
    const { numbers, settings, colouring, chosen } = moment;
    if (settings.trail !== "all") return drawLines(pen, moment, view);
    const { hidden, hypothesis, truth, seams, size } = settings;
    const parts = [numbers, colouring, chosen].map((part) => (part ? this.idOf(part) : 0));
    const key = JSON.stringify([parts, view, hidden, hypothesis, truth, seams, size]);
    const layer = this.keep("lines", key, () => {
      const made = document.createElement("canvas");
      [made.width, made.height] = [canvas.width, canvas.height];
      const layerPen = /** @type {CanvasRenderingContext2D} */ (made.getContext("2d"));
      layerPen.setTransform(view.scale, 0, 0, view.scale, view.left, view.top);
      drawLines(layerPen, moment, view);
      return made;
    });
    pen.save();
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(layer, 0, 0);
    pen.restore();
  }

  /** @param {CanvasRenderingContext2D} pen @param {Moment} moment @param {View} view */
  paintMarks(pen, { numbers, settings, colouring, position, chosen, hovered }, view) {
    const pixel = view.density / view.scale;
    const uncertain = new Set([...settings.pins, ...(hovered >= 0 ? [hovered] : [])]);
    if (settings.uncertainty && numbers.interval) {
      for (const point of uncertain) drawFan(pen, numbers, point, position, pixel);
    }
    if (settings.dots && settings.motion === "arrows") {
      const size = sizesOf(numbers, settings, view).dot * view.density;
      const place = (/** @type {number} */ x, /** @type {number} */ y) =>
        /** @type {[number, number]} */ ([view.left + view.scale * x, view.top + view.scale * y]);
      pen.save();
      pen.setTransform(1, 0, 0, 1, 0, 0);
      for (const [group, opacity] of groupsByChoice(numbers, chosen)) {
        pen.globalAlpha = opacity;
        drawDots(pen, place, this.stamps, numbers, colouring, group, position, size, settings.hidden === "dim");
      }
      pen.restore();
    }
    drawPins(pen, numbers, settings.pins, position, pixel);
    if (hovered >= 0) drawRing(pen, numbers, hovered, position, 10 * pixel, "#ffffff", pixel);
  }

  /** @param {string} name @param {string} key @param {() => HTMLCanvasElement} make */
  keep(name, key, make) {
    const kept = this.kept.get(name);
    if (kept?.key === key) return kept.canvas;
    const canvas = make();
    this.kept.set(name, { key, canvas });
    return canvas;
  }

  /** @param {object} thing */
  idOf(thing) {
    const id = this.ids.get(thing) ?? ++this.counted;
    this.ids.set(thing, id);
    return id;
  }
}

/** @param {CanvasRenderingContext2D} pen @param {Moment} moment @param {View} view */
function drawLines(pen, { numbers, settings, colouring, position, chosen }, view) {
  const [from, to] = trailWindow(numbers, settings, position);
  const pixel = view.density / view.scale;
  const width = sizesOf(numbers, settings, view).line * pixel;
  for (const [points, opacity] of groupsByChoice(numbers, chosen)) {
    pen.globalAlpha = opacity;
    if (settings.hypothesis === "all") drawWays(pen, numbers, points, from, to, pixel);
    if (settings.hidden === "dim") drawHidden(pen, numbers, points, from, to, pixel);
    drawTrails(pen, numbers, colouring, points, from, to, width);
    if (numbers.is_prediction && from < to) drawTips(pen, numbers, colouring, points, to, width);
  }
  pen.globalAlpha = 1;
  if (settings.truth && numbers.truth) drawTruth(pen, numbers.truth, from, to, 1.2 * pixel);
  if (settings.seams) drawSeams(pen, numbers, settings.hidden === "dim", from, to, pixel);
}

/** The points that are not chosen, faint and below, and those that are. @param {Numbers} numbers @param {Set<number> | null} chosen @returns {[number[], number][]} */
function groupsByChoice({ points }, chosen) {
  const all = Array.from({ length: points }, (_, point) => point);
  if (!chosen) return [[all, 1]];
  return [[all.filter((point) => !chosen.has(point)), FAINT], [all.filter((point) => chosen.has(point)), 1]];
}

/** Sizes on the screen, in CSS pixels. @param {Numbers} numbers @param {Settings} settings @param {View} view */
function sizesOf(numbers, settings, view) {
  const { dot, line } = usualSizes(numbers.points, view.width / view.density);
  const isArrow = numbers.is_prediction && settings.trail === "all"; // its tip must be seen beside the dot
  return {
    dot: settings.size * (isArrow ? Math.min(4, dot) : dot),
    line: hasManySteps(numbers, settings) ? 0.99 : line * Math.max(0.6, Math.min(1.5, settings.size)),
  };
}
