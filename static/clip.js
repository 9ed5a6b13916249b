// @ts-check
// A clip's page: the points over a frame, the settings, and the start.

import { API, ROOT, request } from "./api.js";
import { byId, element, pause, say, sayIn, showFacts, startBy, wasStopped } from "./dom.js";
import { bytes, clipFacts, count, seconds } from "./format.js";
import { showRuns } from "./lists.js";
import { fitted, MOST_POINTS, pointChooser } from "./points.js";
import { paintRange } from "./viewer/controls.js";

const { dataset } = byId("setup");
const clip = {
  id: dataset.clip ?? "",
  name: dataset.name ?? "",
  width: Number(dataset.width),
  height: Number(dataset.height),
  frames: Number(dataset.frames),
  fps: Number(dataset.fps),
  bytes: Number(dataset.bytes),
};
const stage = /** @type {HTMLElement} */ (document.querySelector(".preview-stage"));
const isStill = clip.frames < 2;
/** @type {Method[]} empty until they are known */
let offers = [];
const dots = /** @type {HTMLCanvasElement} */ (document.getElementById("dots"));
const chooser = pointChooser(dots, clip, () => {
  const { length } = chooser.points();
  byId("own-count").textContent = length === MOST_POINTS ? `${count(length, "point")}, the most there can be` : count(length, "point");
  describe();
  drawDots();
});

/** The value that is chosen of some radio buttons. @param {string} name */
const choice = (name) =>
  /** @type {HTMLInputElement | null} */ (document.querySelector(`[name=${name}]:checked`))?.value ?? "";

/** @param {string} id */
const number = (id) => (byId(id).value.trim() === "" ? NaN : Number(byId(id).value));

stage.style.setProperty("--frame-width", `${clip.width}`);
stage.style.setProperty("--frame-height", `${clip.height}`);
showFacts("facts", clipFacts(clip));

// ---- the plan ----

/** What a run is started with; a prediction needs no more than its first frame. */
function settings() {
  const chosen = choice("method");
  const method = offers.find(({ name }) => name === chosen);
  const weights = byId("weights").value || null;
  const body = { clip: clip.id, method: method?.name, weights, grid: number("grid"), start: number("start") };
  if (isStill || method?.from_one_image) return { body, method };
  const frames = byId("to-end").checked ? null : number("frames");
  const own = choice("points") === "own" ? { points: chooser.points() } : {};
  return { body, method, span: { frames, frame_step: number("step"), direction: choice("direction"), ...own } };
}

/** @typedef {ReturnType<typeof settings>} Settings */

/**
 * What the settings would track or predict, or the sentence that says why they cannot.
 * @param {ReturnType<typeof settings>} settings
 * @returns {{ sentence?: string, problem?: string, missing?: string }} missing: what is still to be chosen
 */
function plan({ body: { grid, start }, span }) {
  const points = count(span?.points?.length ?? grid * grid, "point");
  if (!span) {
    const picture = isStill ? "this picture" : `frame ${start}, and from nothing else`;
    return { sentence: `${points}: where will they go? Predicted from ${picture}.` };
  }
  const { frames, frame_step: step, direction } = span;
  if (span.points?.length === 0) return { missing: "No points yet: click into the frame, or draw a box or a lasso." };
  const isWhole = (/** @type {number} */ value, /** @type {number} */ least) => Number.isInteger(value) && value >= least;
  if (!isWhole(step, 1)) return { problem: "“Every n-th frame” must be a whole number from 1." };
  if (frames !== null && !isWhole(frames, 2)) return { problem: "The number of frames must be a whole number from 2." };
  const there = {
    before: direction === "forward" ? 0 : Math.floor(start / step),
    after: direction === "backward" ? 0 : Math.floor((clip.frames - 1 - start) / step),
  };
  const before = Math.min((frames ?? Infinity) - 1, there.before);
  const after = Math.min((frames ?? Infinity) - 1, there.after);
  if (before + after < 1) {
    const elsewhere = { forward: "an earlier frame", backward: "a later frame", both: "another frame" }[direction];
    return { problem: `Only one frame is left from frame ${start} with this step; choose ${elsewhere} or a smaller step.` };
  }
  const [first, last] = [start - before * step, start + after * step];
  const time = clip.fps > 0 ? `, ${seconds((last - first) / clip.fps)}` : "";
  const isCut = frames !== null && ((direction !== "backward" && frames - 1 > there.after)
    || (direction !== "forward" && frames - 1 > there.before));
  const cut = isCut ? " The clip ends before the frames you asked for." : "";
  const way = direction === "forward" ? `${first} to ${last}` : `${first} to ${last}, from frame ${start}`;
  return { sentence: `${points} through ${count(before + after + 1, "frame")}: ${way}${time}.${cut}` };
}

function describe() {
  arrange(settings());
  const chosen = settings(); // another method may have moved the start
  const { grid, start } = chosen.body;
  byId("grid-value").textContent = `${grid} × ${grid}`;
  byId("start-value").textContent = clip.fps > 0 ? `${start} (${(start / clip.fps).toFixed(2)} s)` : `${start}`;
  byId("spacing-value").textContent = `${number("spacing")} px`;
  byId("frames").disabled = byId("to-end").checked;
  paintRange(byId("spacing"));
  paintRange(byId("grid"));
  paintRange(byId("start"));
  if (isStill && !chosen.method) return; // until there is a method for it
  const { problem = "", sentence = "", missing = "" } = plan(chosen);
  say("form-error", problem);
  byId("plan").textContent = sentence || missing;
  byId("start-run").disabled = sentence === "";
  if (!sentence) byId("estimate").textContent = "";
  else estimateSoon(chosen);
}

/**
 * Show the settings that tracking needs, or those of a prediction, which may begin in the last frame.
 * @param {ReturnType<typeof settings>} settings
 */
function arrange({ method, span }) {
  if (!method) return;
  /** @type {NodeListOf<HTMLElement>} */
  const fields = document.querySelectorAll("[data-for=tracking]");
  for (const field of fields) field.hidden = !span;
  const isForward = span?.direction === "forward";
  byId("start").max = `${isForward ? Math.max(0, clip.frames - 2) : clip.frames - 1}`;
  const isOwn = Boolean(span?.points);
  byId("start-name").textContent = !span ? "Frame to predict from"
    : isForward && !isOwn ? "First frame" : "Frame with the points";
  byId("frames-name").textContent = span?.direction === "both" ? "Frames each way" : "Frames";
  byId("to-end-name").textContent = {
    forward: "Track to the end of the clip",
    backward: "Track back to the start of the clip",
    both: "Track the whole clip",
  }[span?.direction ?? "forward"] ?? "";
  byId("grid-field").hidden = isOwn;
  byId("own-field").hidden = !isOwn;
  byId("spacing-field").hidden = choice("tool") === "click";
  byId("undo").disabled = !chooser.canUndo();
  byId("clear").disabled = chooser.points().length === 0;
  chooser.isOn = isOwn;
  chooser.tool = /** @type {import("./points.js").Tool} */ (choice("tool"));
  chooser.spacing = number("spacing");
  dots.classList.toggle("is-on", isOwn);
  dots.tabIndex = isOwn ? 0 : -1;
  dots.setAttribute("aria-hidden", `${!isOwn}`);
  byId("start-run").textContent = span ? "Track" : "Predict";
  offerWeights(method);
}

/** Let a person choose the weights where there is a choice; none chosen are the usual ones. @param {Method} method */
function offerWeights({ name, weights }) {
  const field = byId("weights-field");
  if (field.dataset.method === name) return;
  field.dataset.method = name;
  field.hidden = weights.length < 2;
  const names = field.hidden ? [] : ["", ...weights];
  const wanted = asked.get("weights");
  byId("weights").replaceChildren(
    ...names.map((value) => element("option", { value, selected: value === wanted }, value || "as installed")),
  );
}

let estimating = new AbortController();
/**
 * Ask what the run would cost, once the settings have rested for a moment.
 * @param {ReturnType<typeof settings>} settings
 */
async function estimateSoon({ body, method, span }) {
  estimating.abort();
  estimating = new AbortController();
  const { signal } = estimating;
  await pause(200);
  if (signal.aborted || !method) return;
  try {
    const cost = await request("/runs/estimate", { method: "POST", body: { ...body, ...span }, signal });
    byId("estimate").textContent = costs(cost, method);
  } catch (error) {
    if (!wasStopped(error)) byId("estimate").textContent = ""; // the start says what is wrong
  }
}

/** @param {{ seconds: number, memory_bytes: number, is_rough: boolean }} cost @param {Method} method */
function costs({ seconds: time, memory_bytes: memory, is_rough: isRough }, { title }) {
  const long = time < 1 ? "less than a second" : `about ${seconds(Math.round(time))}`;
  const basis = isRough ? `A rough guess: no run of ${title} has been measured here yet.` : "Going by the last runs here.";
  return `Takes ${long} and about ${bytes(memory)} of memory. ${basis}`;
}

// ---- the picture ----

let shown = -1;
let isLoading = false;
async function showFrame() {
  const frame = isStill ? 0 : number("start");
  if (isLoading || frame === shown) return; // the newest choice is looked at again when this one is done
  isLoading = true;
  const late = setTimeout(() => say("preview-note", `Loading frame ${frame} …`), 300);
  try {
    const image = new Image();
    image.src = `${API}/clips/${clip.id}/frames/${frame}.jpg`;
    await image.decode();
    byId("preview").src = image.src;
    byId("preview").alt = `Frame ${frame} of the clip with the points to follow`;
    byId("caption").textContent = `Frame ${frame} of ${clip.frames}`;
    say("preview-note", "");
  } catch {
    say("preview-note", `Frame ${frame} cannot be shown.`);
  }
  clearTimeout(late);
  shown = frame;
  isLoading = false;
  showFrame();
}

/** Where the grid's corner points lie, as [x, y] in pixels of the frame. */
const corners = [dataset.first, dataset.last].map((corner) => JSON.parse(corner ?? ""));

/** @returns {import("./points.js").Point[]} */
function gridPoints() {
  const [first, last] = corners;
  const grid = number("grid");
  const along = (/** @type {0 | 1} */ axis, /** @type {number} */ k) =>
    first[axis] + (k / (grid - 1)) * (last[axis] - first[axis]);
  return Array.from({ length: grid * grid }, (_, point) => [along(0, point % grid), along(1, Math.floor(point / grid))]);
}

function drawDots() {
  const { scale, left, top, box } = fitted(stage, clip);
  const ratio = window.devicePixelRatio || 1;
  dots.width = Math.round(box.width * ratio);
  dots.height = Math.round(box.height * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (dots.getContext("2d"));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const onPage = (/** @type {import("./points.js").Point} */ [x, y]) =>
    /** @type {const} */ ([left + (x + 0.5) * scale, top + (y + 0.5) * scale]);
  const points = chooser.isOn ? chooser.points() : gridPoints();
  const radius = chooser.isOn && points.length < 300 ? 4
    : Math.max(1.1, Math.min(3, (box.width / Math.sqrt(points.length)) * 0.09));
  context.fillStyle = "#7cc8ff";
  context.strokeStyle = "rgba(5, 12, 20, 0.75)";
  context.lineWidth = 1;
  for (const point of points) {
    context.beginPath();
    context.arc(...onPage(point), radius, 0, 7);
    context.fill();
    if (radius > 1.5) context.stroke();
  }
  if (chooser.isOn) drawTools(context, onPage);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {(point: import("./points.js").Point) => readonly [number, number]} onPage
 */
function drawTools(context, onPage) {
  context.strokeStyle = "#ffd166";
  context.lineWidth = 1.5;
  const outline = chooser.outline();
  if (outline.length > 0) {
    context.setLineDash([5, 4]);
    context.beginPath();
    for (const point of outline) context.lineTo(...onPage(point));
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }
  const crosshair = chooser.crosshair();
  if (!crosshair) return;
  const [x, y] = onPage(crosshair);
  for (const [dx, dy] of [[12, 0], [0, 12]]) {
    context.beginPath();
    context.moveTo(x - dx, y - dy);
    context.lineTo(x + dx, y + dy);
    context.stroke();
  }
}

// ---- methods ----

/** @param {string | null} wanted name of a method */
async function showMethods(wanted) {
  const { items, default: usual } = await request("/methods");
  offers = items;
  const usable = offers.filter((method) => method.available && (method.from_one_image || !isStill));
  const names = usable.map((method) => method.name);
  const chosen = [wanted, usual, names[0]].find((name) => names.includes(name));
  if (isStill && !chosen) {
    say("one-image", "This is a single picture: its motion cannot be tracked, only predicted, and no "
      + "predictor is installed yet. Upload a video, a GIF, or several images at once to track them.");
  }
  byId("methods").replaceChildren(
    ...offers.map((method) => methodChoice(method, method.name === chosen, names.includes(method.name))),
  );
}

/** @param {Method} method @param {boolean} checked @param {boolean} isUsable with this clip */
function methodChoice({ name, title, summary, available, reason }, checked, isUsable) {
  const text = element("span", {}, element("b", {}, title), element("small", {}, summary));
  if (available && !isUsable) text.append(element("small", {}, "Needs at least two frames."));
  if (reason) {
    const how = element("summary", {}, "Not available yet: how to get it");
    text.append(element("details", { className: "why" }, how, element("p", {}, reason)));
  }
  const radio = element("input", { type: "radio", name: "method", value: name, checked, disabled: !isUsable });
  return element("label", { className: "method" }, radio, text);
}

// ---- wiring ----

/** The address may bring settings: /clips/ID?method=lk&grid=32&start=10&frames=24. */
const asked = new URLSearchParams(location.search);
for (const [id, name] of [["grid", "grid"], ["start", "start"], ["frames", "frames"], ["step", "frame_step"]]) {
  const value = asked.get(name) ?? "";
  if (/^\d+$/.test(value)) byId(id).value = value;
}

/** The points and the direction of an earlier run: /clips/ID?…&points_of=RUN&direction=both. */
async function takePoints() {
  const direction = asked.get("direction");
  /** @type {PageElement | null} */
  const button = document.querySelector(`[name=direction][value="${CSS.escape(direction ?? "")}"]`);
  if (button) button.checked = true;
  const run = asked.get("points_of");
  if (!run || isStill) return;
  const { points } = await request(`/runs/${encodeURIComponent(run)}/points.json`);
  byId("own-points").checked = true;
  chooser.set(points);
}

byId("undo").addEventListener("click", () => chooser.undo());
byId("clear").addEventListener("click", () => chooser.set([]));
byId("form").addEventListener("input", () => {
  describe();
  showFrame();
  drawDots();
});
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  startBy(byId("start-run"), "form-error", async () => {
    const { body, span } = settings();
    const run = await request("/runs", { method: "POST", body: { ...body, ...span } });
    return `${ROOT}/runs/${run.id}`;
  });
});
byId("delete").addEventListener("click", () => byId("confirm").showModal());
byId("confirm").addEventListener("close", async () => {
  if (byId("confirm").returnValue !== "delete") return;
  await request(`/clips/${clip.id}`, { method: "PATCH", body: { deleted: true } }).then(() => location.assign(`${ROOT}/`), sayIn("form-error"));
});
window.addEventListener("pageshow", describe); // the browser may have put back what was chosen
new ResizeObserver(drawDots).observe(stage);

describe();
showFrame();
takePoints().catch(sayIn("form-error"));
showMethods(asked.get("method")).then(describe, sayIn("form-error"));
showRuns({ clip, empty: `This ${isStill ? "picture has not been predicted" : "clip has not been tracked"} yet.` });
