// @ts-check
// A clip's page: the grid over the first frame, the settings, and the start.

import { API, ROOT, request } from "./api.js";
import { byId, element, pause, say, sayIn, showFacts, wasStopped } from "./dom.js";
import { bytes, clipFacts, count, seconds } from "./format.js";
import { showRuns } from "./lists.js";
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

/** @param {string} id */
const number = (id) => (byId(id).value.trim() === "" ? NaN : Number(byId(id).value));

stage.style.setProperty("--frame-width", `${clip.width}`);
stage.style.setProperty("--frame-height", `${clip.height}`);
showFacts("facts", clipFacts(clip));

// ---- the plan ----

/** What a run is started with; a prediction needs no more than its first frame. */
function settings() {
  const chosen = /** @type {HTMLInputElement | null} */ (document.querySelector("[name=method]:checked"));
  const method = offers.find(({ name }) => name === chosen?.value);
  const wish = { clip: clip.id, method: method?.name, grid: number("grid"), start: number("start") };
  if (isStill || method?.from_one_image) return { wish, method };
  const frames = byId("to-end").checked ? null : number("frames");
  return { wish, method, span: { frames, frame_step: number("step") } };
}

/**
 * What the settings would track or predict, or the sentence that says why they cannot.
 * @param {ReturnType<typeof settings>} settings
 * @returns {{ sentence?: string, problem?: string }}
 */
function plan({ wish: { grid, start }, span }) {
  const points = count(grid * grid, "point");
  if (!span) {
    const picture = isStill ? "this picture" : `frame ${start}, and from nothing else`;
    return { sentence: `${points}: where will they go? Predicted from ${picture}.` };
  }
  const { frames, frame_step: step } = span;
  const isWhole = (/** @type {number} */ value, /** @type {number} */ least) => Number.isInteger(value) && value >= least;
  if (!isWhole(step, 1)) return { problem: "“Every n-th frame” must be a whole number from 1." };
  if (frames !== null && !isWhole(frames, 2)) return { problem: "The number of frames must be a whole number from 2." };
  const there = Math.floor((clip.frames - 1 - start) / step) + 1;
  const tracked = Math.min(frames ?? there, there);
  if (tracked < 2) {
    return { problem: `Only one frame is left from frame ${start} with this step; start earlier or take a smaller step.` };
  }
  const last = start + (tracked - 1) * step;
  const time = clip.fps > 0 ? `, ${seconds((last - start) / clip.fps)}` : "";
  const cut = frames !== null && frames > there ? " The clip ends before the frames you asked for." : "";
  return { sentence: `${points} through ${count(tracked, "frame")}: ${start} to ${last}${time}.${cut}` };
}

function describe() {
  arrange(settings());
  const chosen = settings(); // another method may have moved the start
  const { grid, start } = chosen.wish;
  byId("grid-value").textContent = `${grid} × ${grid}`;
  byId("start-value").textContent = clip.fps > 0 ? `${start} (${(start / clip.fps).toFixed(2)} s)` : `${start}`;
  byId("frames").disabled = byId("to-end").checked;
  paintRange(byId("grid"));
  paintRange(byId("start"));
  if (isStill && !chosen.method) return; // until there is a method for it
  const { problem = "", sentence = "" } = plan(chosen);
  say("form-error", problem);
  byId("plan").textContent = sentence;
  byId("start-run").disabled = problem !== "";
  if (problem) byId("estimate").textContent = "";
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
  byId("start").max = `${span ? Math.max(0, clip.frames - 2) : clip.frames - 1}`;
  byId("start-name").textContent = span ? "First frame" : "Frame to predict from";
  byId("start-run").textContent = span ? "Track" : "Predict";
}

let estimating = new AbortController();
/**
 * Ask what the run would cost, once the settings have rested for a moment.
 * @param {ReturnType<typeof settings>} settings
 */
async function estimateSoon({ wish, method, span }) {
  estimating.abort();
  estimating = new AbortController();
  const { signal } = estimating;
  await pause(200);
  if (signal.aborted || !method) return;
  try {
    const cost = await request("/runs/estimate", { method: "POST", body: { ...wish, ...span }, signal });
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
  if (isLoading || frame === shown) return; // the newest wish is looked at again when this one is done
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

const dots = /** @type {HTMLCanvasElement} */ (document.getElementById("dots"));
/** Where the grid's corner points lie, as [x, y] in pixels of the frame. */
const corners = [dataset.first, dataset.last].map((corner) => JSON.parse(corner ?? ""));

function drawDots() {
  const box = stage.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  dots.width = Math.round(box.width * ratio);
  dots.height = Math.round(box.height * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (dots.getContext("2d"));
  // The picture keeps its shape inside the stage, as object-fit: contain has it.
  const scale = Math.min(box.width / clip.width, box.height / clip.height);
  const left = (box.width - clip.width * scale) / 2;
  const top = (box.height - clip.height * scale) / 2;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const [first, last] = corners;
  const grid = number("grid");
  const radius = Math.max(1.1, Math.min(3, (box.width / grid) * 0.09));
  const along = (/** @type {0 | 1} */ axis, /** @type {number} */ k) =>
    (first[axis] + (k / (grid - 1)) * (last[axis] - first[axis]) + 0.5) * scale;
  context.fillStyle = "#7cc8ff";
  context.strokeStyle = "rgba(5, 12, 20, 0.75)";
  context.lineWidth = 1;
  for (let point = 0; point < grid * grid; point++) {
    context.beginPath();
    context.arc(left + along(0, point % grid), top + along(1, Math.floor(point / grid)), radius, 0, 7);
    context.fill();
    if (radius > 1.5) context.stroke();
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

byId("form").addEventListener("input", () => {
  describe();
  showFrame();
  drawDots();
});
byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("start-run").disabled = true;
  try {
    const { wish, span } = settings();
    const run = await request("/runs", { method: "POST", body: { ...wish, ...span } });
    location.assign(`${ROOT}/runs/${run.id}`);
  } catch (error) {
    sayIn("form-error")(error);
    byId("start-run").disabled = false;
  }
});
byId("delete").addEventListener("click", () => byId("confirm").showModal());
byId("confirm").addEventListener("close", async () => {
  if (byId("confirm").returnValue !== "delete") return;
  await request(`/clips/${clip.id}`, { method: "DELETE" }).then(() => location.assign(`${ROOT}/`), sayIn("form-error"));
});
// A page that the browser brings back from its memory still has the button switched off.
window.addEventListener("pageshow", describe);
new ResizeObserver(drawDots).observe(stage);

describe();
showFrame();
showMethods(asked.get("method")).then(describe, sayIn("form-error"));
showRuns({ clip, empty: `This ${isStill ? "picture has not been predicted" : "clip has not been tracked"} yet.` });
