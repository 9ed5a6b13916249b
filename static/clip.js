// A clip's page: the grid over the first frame, the settings, and the start.

import { API, request } from "./api.js";
import {
  METHODS, byId, bytes, clipFacts, count, element, paintRange, pause, say, seconds, showFacts,
} from "./format.js";
import { listRuns } from "./lists.js";

const { dataset } = byId("setup");
const clip = {
  id: dataset.clip,
  width: Number(dataset.width),
  height: Number(dataset.height),
  frames: Number(dataset.frames),
  fps: Number(dataset.fps),
  bytes: Number(dataset.bytes),
};
const corners = [JSON.parse(dataset.first), JSON.parse(dataset.last)];
const stage = document.querySelector(".preview-stage");
const preview = byId("preview");
const dots = byId("dots");
const isStill = clip.frames < 2;
let offers = []; // the methods; empty until they are known
const number = (id) => (byId(id).value.trim() === "" ? NaN : Number(byId(id).value));

stage.style.setProperty("--frame-width", clip.width);
stage.style.setProperty("--frame-height", clip.height);
showFacts(byId("facts"), clipFacts(clip));

// ---- the plan ----

function settings() {
  const method = document.querySelector("[name=method]:checked")?.value;
  const wish = { clip: clip.id, method, grid: number("grid"), start: number("start") };
  if (predicts(method)) return wish;
  return { ...wish, frames: byId("to-end").checked ? null : number("frames"), frame_step: number("step") };
}

/** Whether a method looks at one frame alone. */
const predicts = (name) => isStill || offers.some((offer) => offer.name === name && offer.from_one_image);

/** What the settings would track or predict, or the sentence that says why they cannot. */
function plan({ method, grid, start, frames, frame_step: step }) {
  if (predicts(method)) {
    const picture = isStill ? "this picture" : `frame ${start}, and from nothing else`;
    return { sentence: `${count(grid * grid, "point")}: where will they go? Predicted from ${picture}.` };
  }
  const whole = (value, least) => Number.isInteger(value) && value >= least;
  if (!whole(step, 1)) return { problem: "“Every n-th frame” must be a whole number from 1." };
  if (frames !== null && !whole(frames, 2)) return { problem: "The number of frames must be a whole number from 2." };
  const there = Math.floor((clip.frames - 1 - start) / step) + 1;
  const tracked = Math.min(frames ?? there, there);
  if (tracked < 2) {
    return { problem: `Only one frame is left from frame ${start} with this step; start earlier or take a smaller step.` };
  }
  const last = start + (tracked - 1) * step;
  const span = clip.fps > 0 ? `, ${seconds((last - start) / clip.fps)}` : "";
  const cut = frames !== null && frames > there ? " The clip ends before the frames you asked for." : "";
  return {
    sentence: `${count(grid * grid, "point")} through ${count(tracked, "frame")}: ${start} to ${last}${span}.${cut}`,
  };
}

function describe() {
  const wish = settings();
  if (wish.method) arrange(predicts(wish.method));
  wish.start = number("start"); // another method may have moved it
  byId("grid-value").textContent = `${wish.grid} × ${wish.grid}`;
  byId("start-value").textContent =
    clip.fps > 0 ? `${wish.start} (${(wish.start / clip.fps).toFixed(2)} s)` : `${wish.start}`;
  byId("frames").disabled = byId("to-end").checked;
  paintRange(byId("grid"));
  paintRange(byId("start"));
  if (isStill && !wish.method) return; // until there is a method for it
  const { problem, sentence } = plan(wish);
  say(byId("form-error"), problem ?? "");
  byId("plan").textContent = sentence ?? "";
  byId("start-run").disabled = Boolean(problem);
  if (problem) byId("estimate").textContent = "";
  else estimateSoon(wish);
}

/** Show the settings that tracking needs, or those of a prediction, which may begin in the last frame. */
function arrange(isPrediction) {
  for (const field of document.querySelectorAll("[data-for=tracking]")) field.hidden = isPrediction;
  byId("start").max = isPrediction ? clip.frames - 1 : Math.max(0, clip.frames - 2);
  byId("start-name").textContent = isPrediction ? "Frame to predict from" : "First frame";
  byId("start-run").textContent = isPrediction ? "Predict" : "Track";
}

let estimating = null;
/** Ask what the run would cost, once the settings have rested for a moment. */
async function estimateSoon(wish) {
  estimating?.abort();
  const { signal } = (estimating = new AbortController());
  await pause(200);
  if (signal.aborted || !wish.method) return;
  try {
    const cost = await request("/runs/estimate", { method: "POST", body: wish, signal });
    byId("estimate").textContent = costs(cost, wish.method);
  } catch {
    if (!signal.aborted) byId("estimate").textContent = ""; // the start says what is wrong
  }
}

function costs({ seconds: time, memory_bytes: memory, is_rough: rough }, method) {
  const long = time < 1 ? "less than a second" : `about ${seconds(Math.round(time))}`;
  const basis = rough
    ? `A rough guess: no run of ${METHODS[method] ?? method} has been measured here yet.`
    : "Going by the last runs here.";
  return `Takes ${long} and about ${bytes(memory)} of memory. ${basis}`;
}

// ---- the picture ----

let shown = -1;
let loading = null;
async function showFrame() {
  const frame = clip.frames < 2 ? 0 : number("start");
  if (loading || frame === shown) return; // the newest wish is looked at again when this one is done
  loading = loadFrame(frame);
  const late = setTimeout(() => say(byId("preview-note"), `Loading frame ${frame} …`), 300);
  try {
    const image = await loading;
    preview.src = image.src;
    preview.alt = `Frame ${frame} of the clip with the points to follow`;
    byId("caption").textContent = `Frame ${frame} of ${clip.frames}`;
    say(byId("preview-note"), "");
  } catch {
    say(byId("preview-note"), `Frame ${frame} cannot be shown.`);
  } finally {
    clearTimeout(late);
    shown = frame;
    loading = null;
  }
  showFrame();
}

async function loadFrame(frame) {
  const image = new Image();
  image.src = `${API}/clips/${clip.id}/frames/${frame}.jpg`;
  await image.decode();
  return image;
}

function drawDots() {
  const box = stage.getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  dots.width = Math.round(box.width * ratio);
  dots.height = Math.round(box.height * ratio);
  const context = dots.getContext("2d");
  // The picture keeps its shape inside the stage, as object-fit: contain has it.
  const scale = Math.min(box.width / clip.width, box.height / clip.height);
  const left = (box.width - clip.width * scale) / 2;
  const top = (box.height - clip.height * scale) / 2;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const [first, last] = corners;
  const grid = number("grid");
  const radius = Math.max(1.1, Math.min(3, (box.width / grid) * 0.09));
  const along = (axis, k) => first[axis] + (k / (grid - 1)) * (last[axis] - first[axis]) + 0.5;
  context.fillStyle = "#7cc8ff";
  context.strokeStyle = "rgba(5, 12, 20, 0.75)";
  context.lineWidth = 1;
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      context.beginPath();
      context.arc(left + along(0, column) * scale, top + along(1, row) * scale, radius, 0, 7);
      context.fill();
      if (radius > 1.5) context.stroke();
    }
  }
}

// ---- methods ----

async function showMethods(wanted) {
  const { items, default: usual } = await request("/methods");
  offers = items;
  const isUsable = (method) => method.available && (method.from_one_image || !isStill);
  const usable = items.filter(isUsable).map((method) => method.name);
  const chosen = [wanted, usual, usable[0]].find((name) => usable.includes(name));
  if (isStill) {
    say(byId("one-image"), chosen ? "" : "This is a single picture: its motion cannot be tracked, only predicted, and no "
      + "predictor is installed yet. Upload a video, a GIF, or several images at once to track them.");
  }
  byId("methods").replaceChildren(
    ...items.map((method) => {
      const label = element("label", "method");
      const radio = element("input");
      Object.assign(radio, {
        type: "radio",
        name: "method",
        value: method.name,
        checked: method.name === chosen,
        disabled: !isUsable(method),
      });
      const text = element("span");
      text.append(element("b", "", method.title), element("small", "", method.summary));
      label.append(radio, text);
      if (method.available && !isUsable(method)) text.append(element("small", "", "Needs at least two frames."));
      if (!method.reason) return label;
      const why = element("details", "why");
      why.append(element("summary", "", "Not available yet: how to get it"), element("p", "", method.reason));
      text.append(why);
      return label;
    }),
  );
}

// ---- wiring ----

/** The address may bring settings: /clips/ID?grid=32&start=10&frames=24. */
function takeWishes() {
  const wishes = new URLSearchParams(location.search);
  for (const [id, name] of [["grid", "grid"], ["start", "start"], ["frames", "frames"], ["step", "frame_step"]]) {
    if (/^\d+$/.test(wishes.get(name) ?? "")) byId(id).value = wishes.get(name);
  }
  return wishes.get("method");
}

byId("form").addEventListener("input", () => {
  describe();
  showFrame();
  drawDots();
});
byId("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("start-run");
  button.disabled = true;
  try {
    const run = await request("/runs", { method: "POST", body: settings() });
    location.assign(`/runs/${run.id}`);
  } catch (error) {
    say(byId("form-error"), error.message);
    button.disabled = false;
  }
});
byId("delete").addEventListener("click", () => byId("confirm").showModal());
byId("confirm").addEventListener("close", async () => {
  if (byId("confirm").returnValue !== "delete") return;
  try {
    await request(`/clips/${clip.id}`, { method: "DELETE" });
    location.assign("/");
  } catch (error) {
    say(byId("form-error"), error.message);
  }
});
// A page that the browser brings back from its memory still has the button switched off.
window.addEventListener("pageshow", describe);
new ResizeObserver(drawDots).observe(stage);

const method = takeWishes();
describe();
showFrame();
showMethods(method)
  .then(describe)
  .catch((error) => say(byId("form-error"), error.message));
listRuns({ clip, empty: `This ${isStill ? "picture has not been predicted" : "clip has not been tracked"} yet.` });
