// @ts-check
// Choosing points on a frame: by clicks, or a box or a lasso filled with a grid; all of it by keys, too.

/** @typedef {[number, number]} Point in pixels of the frame */
/** @typedef {"click" | "box" | "lasso"} Tool */

export const MOST_POINTS = 4096;

/** Pixels of the page within which a click means a point that is there. */
const NEAR = 9;

/**
 * Where a picture lies in an element that shows it whole, as object-fit: contain has it.
 * @param {HTMLElement} element @param {{ width: number, height: number }} frame
 */
export function fitted(element, { width, height }) {
  const box = element.getBoundingClientRect();
  const scale = Math.min(box.width / width, box.height / height);
  return { scale, left: (box.width - width * scale) / 2, top: (box.height - height * scale) / 2, box };
}

/**
 * Let a person choose points on a canvas that lies over a frame.
 * @param {HTMLCanvasElement} canvas @param {{ width: number, height: number }} frame
 * @param {() => void} changed called when points or the shape under way have changed
 */
export function pointChooser(canvas, frame, changed) {
  /** @type {Point[]} */
  let points = [];
  /** What each change put in place of. @type {Point[][]} */
  const before = [];
  /** The corners of what is being drawn. @type {Point[]} */
  let outline = [];
  /** @type {Point | null} */
  let crosshair = null;
  const chooser = { tool: /** @type {Tool} */ ("click"), spacing: 24, isOn: false };

  /** @param {Point[]} next */
  function change(next) {
    before.push(points);
    points = next.slice(0, MOST_POINTS);
    changed();
  }

  /** @param {PointerEvent} event @returns {Point} */
  function placeOf(event) {
    const { scale, left, top, box } = fitted(canvas, frame);
    return inside([(event.clientX - box.left - left) / scale - 0.5, (event.clientY - box.top - top) / scale - 0.5]);
  }

  /** @param {Point} place @returns {Point} the same, or the nearest pixel of the frame */
  const inside = ([x, y]) => [clamp(x, frame.width - 1), clamp(y, frame.height - 1)];

  /** Add a point, or take away the one that is there. @param {Point} place */
  function toggle(place) {
    const reach = NEAR / fitted(canvas, frame).scale;
    const distances = points.map(([x, y]) => Math.hypot(x - place[0], y - place[1]));
    const nearest = distances.indexOf(Math.min(...distances));
    if (points.length > 0 && distances[nearest] < reach) change(points.filter((_, index) => index !== nearest));
    else change([...points, place]);
  }

  /** Fill what was drawn with a grid. */
  function fill() {
    const shape = chooser.tool === "box" ? corners(outline) : outline;
    outline = [];
    const known = new Set(points.map(String));
    const added = gridIn(shape, chooser.spacing).map(inside).filter((point) => !known.has(String(point)));
    if (added.length > 0) change([...points, ...added]);
    else changed();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!chooser.isOn || event.button !== 0) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    crosshair = null;
    const place = placeOf(event);
    if (chooser.tool === "click") {
      toggle(place);
      return;
    }
    canvas.setPointerCapture(event.pointerId);
    outline = [place];
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    outline = chooser.tool === "box" ? [outline[0], placeOf(event)] : [...outline, placeOf(event)];
    changed();
  });
  canvas.addEventListener("pointerup", (event) => {
    if (canvas.hasPointerCapture(event.pointerId)) fill();
  });
  canvas.addEventListener("pointercancel", () => {
    outline = [];
    changed();
  });
  canvas.addEventListener("keydown", (event) => {
    if (!chooser.isOn || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? 1 : Math.max(1, Math.round(frame.width / 64));
      const [x, y] = crosshair ?? [Math.round(frame.width / 2), Math.round(frame.height / 2)];
      crosshair = crosshair ? inside([x + step * arrow[0], y + step * arrow[1]]) : [x, y];
      if (outline.length > 0 && chooser.tool === "box") outline = [outline[0], crosshair];
    } else if ((event.key === "Enter" || event.key === " ") && crosshair) {
      mark(crosshair);
    } else if (event.key === "Escape") {
      outline = [];
    } else if (event.key === "Backspace" || event.key === "Delete") {
      undo();
    } else {
      return;
    }
    event.preventDefault();
    changed();
  });
  canvas.addEventListener("blur", () => {
    crosshair = null;
    changed();
  });

  /** Do at the crosshair what a click or a drag would. @param {Point} place */
  function mark(place) {
    if (chooser.tool === "click") {
      toggle(place);
      return;
    }
    const isClosed = outline.length > 2 && Math.hypot(place[0] - outline[0][0], place[1] - outline[0][1]) < 1;
    if (chooser.tool === "box" ? outline.length > 0 : isClosed) {
      if (chooser.tool === "box") outline = [outline[0], place];
      fill();
    } else {
      outline = [...outline, place];
    }
  }

  function undo() {
    points = before.pop() ?? [];
    changed();
  }

  return Object.assign(chooser, {
    points: () => points,
    outline: () => (chooser.tool === "box" && outline.length > 1 ? corners(outline) : outline),
    crosshair: () => crosshair,
    undo,
    canUndo: () => before.length > 0,
    /** @param {Point[]} next */
    set: (next) => change(next),
  });
}

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {number} value @param {number} largest */
const clamp = (value, largest) => Math.min(largest, Math.max(0, value));

/** The four corners of a box that is drawn from one to the opposite one. @param {Point[]} ends @returns {Point[]} */
function corners(ends) {
  const [[x0, y0], [x1, y1]] = [ends[0], ends[ends.length - 1]];
  return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]];
}

/**
 * The points of an even grid inside a shape; its middle one where it is too small for any.
 * @param {Point[]} shape its corners, in order @param {number} spacing in pixels @returns {Point[]}
 */
function gridIn(shape, spacing) {
  const xs = shape.map(([x]) => x);
  const ys = shape.map(([, y]) => y);
  const across = places(Math.min(...xs), Math.max(...xs), spacing);
  const down = places(Math.min(...ys), Math.max(...ys), spacing);
  /** @type {Point[]} */
  const grid = down.flatMap((y) => across.map((x) => /** @type {Point} */ ([x, y])));
  const found = shape.length < 3 ? grid : grid.filter((point) => isIn(point, shape));
  return found.slice(0, MOST_POINTS);
}

/** Even places between two ends, about `spacing` apart. @param {number} from @param {number} to @param {number} spacing */
function places(from, to, spacing) {
  const steps = Math.max(1, Math.round((to - from) / spacing));
  return Array.from({ length: steps }, (_, k) => from + ((k + 0.5) / steps) * (to - from));
}

/** Whether a point lies in a polygon, by the even-odd rule. @param {Point} point @param {Point[]} shape */
function isIn([x, y], shape) {
  let isInside = false;
  for (let index = 0; index < shape.length; index++) {
    const [ax, ay] = shape[index];
    const [bx, by] = shape[(index + 1) % shape.length];
    if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) isInside = !isInside;
  }
  return isInside;
}
