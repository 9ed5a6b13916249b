// @ts-check
// The comparison's page: a run beside another one that follows the same points, and how far it is off.
//
// The address names both: /compare?candidate=RUN&reference=RUN, and &camera=removed or filmed, &also=RUN,RUN for further
// runs in the table, &shown=over for both in one picture.

import { ROOT, follow, hasEnded, request } from "./api.js";
import { drawHistogram, drawMap, drawScatter } from "./compare_plots.js";
import { showScores, verdict, worstPoints } from "./compare_scores.js";
import { showStages } from "./compare_stages.js";
import { announce, byId, element, say, sayIn, setBar, showFacts, wasStopped } from "./dom.js";
import { ago, count, frameSpan, lastFrame, progressOf, runFacts, whole } from "./format.js";
import { onOtherTheme } from "./viewer/theme.js";

const { run: id = "", clip, fps, frames } = byId("compare").dataset;
const clipFrames = Number(frames);
const MOST_LISTED = 500;
const MOST_FURTHER = 5;
let showing = new AbortController();

// ---- which runs ----

async function begin() {
  /** @type {Run} */
  let candidate = await request(`/runs/${id}`);
  showFacts("facts", runFacts(candidate, { fps: Number(fps), frames: clipFrames }));
  if (!hasEnded(candidate)) candidate = await showProgress(candidate, "The run is not done yet");
  if (!candidate.links.tracks) {
    return nothing("This run has no tracks", candidate.error ?? "It was cancelled before anything was tracked.");
  }
  /** @type {[{ items: Run[] }, { items: Method[] }]} */
  const [runs, methods] = await Promise.all([request(`/runs?clip=${clip}&limit=${MOST_LISTED}`), request("/methods")]);
  const references = runs.items.filter((run) => isReference(run, candidate));
  const address = new URLSearchParams(location.search);
  const wanted = address.get("reference");
  const camera = address.get("camera") ?? (await usualCamera(candidate));
  byId("camera").value = camera === "removed" ? "removed" : "filmed";
  byId("arrangement").value = address.get("shown") === "over" ? "over" : "beside";
  byId("arrangement").addEventListener("change", () => keepAddress(byId("reference").value));
  const others = runs.items.filter((run) => isAlike(run, candidate));
  offerFurther(candidate, others, address.get("also")?.split(",") ?? []);
  for (const choice of ["reference", "camera"]) {
    byId(choice).addEventListener("change", () => show(candidate, byId("reference").value));
  }
  onOtherTheme(() => {
    const { shown } = byId("compare").dataset;
    if (shown) show(candidate, shown);
  });
  // Another run in the address is asked for all the same, so that the answer says what is wrong with it.
  if (wanted && !references.some((run) => run.id === wanted)) return show(candidate, wanted);
  if (references.length === 0) return offerTracking(candidate, methods.items);
  fillChoice(references);
  // The methods are listed with the best one first.
  const done = references.filter((run) => run.state === "done");
  const [usual] = methods.items.flatMap(({ name }) => (done.length ? done : references).find((run) => run.method === name) ?? []);
  await show(candidate, wanted ?? (usual ?? references[0]).id);
}

/** A prediction of scene motion is compared with scene motion. @param {Run} candidate */
async function usualCamera(candidate) {
  if (!candidate.is_prediction) return "filmed";
  /** @type {Figure} */
  const { layout } = await request(`/runs/${id}/figure.json`);
  return layout.meta.stillmotion.camera.is_removed ? "removed" : "filmed";
}

/** Whether a run can be measured against. @param {Run} run @param {Run} candidate */
const isReference = (run, candidate) => !run.is_prediction && isAlike(run, candidate);

/** Whether a run begins with the candidate's points and shares a later frame with it. @param {Run} run @param {Run} candidate */
function isAlike(run, candidate) {
  if (run.id === id || !run.links.tracks) return false;
  if (run.start !== candidate.start || run.grid !== candidate.grid) return false;
  const theirs = new Set(framesOf(run));
  return framesOf(candidate).slice(1).some((frame) => theirs.has(frame));
}

/** @param {Run} run */
function framesOf(run) {
  const length = run.state === "done" ? run.frames : (run.tracked_frames ?? 0);
  return Array.from({ length }, (_, k) => run.start + k * run.frame_step);
}

/** @param {Run[]} references */
function fillChoice(references) {
  byId("reference").replaceChildren(
    ...references.map((run) => {
      const state = run.state === "done" ? "" : `, ${run.state}`;
      return new Option(`${run.method_title}, ${frameSpan(run, clipFrames)}${state}, ${ago(run.created_at)}`, run.id);
    }),
  );
  byId("choice").hidden = false;
}

/** Let further runs be measured in the same table. @param {Run} candidate @param {Run[]} others @param {string[]} chosen ids */
function offerFurther(candidate, others, chosen) {
  for (const run of others) {
    const box = element("input", { type: "checkbox", value: run.id, checked: chosen.includes(run.id) });
    box.addEventListener("change", () => show(candidate, byId("reference").value));
    byId("further").append(element("label", {}, box, ` ${run.name || run.method_title}, ${frameSpan(run, clipFrames)}, ${ago(run.created_at)}`));
  }
  byId("further").hidden = others.length === 0;
}

/** Those of the further runs that are chosen, but for the reference. @param {string} reference id @returns {string[]} */
function furtherRuns(reference) {
  /** @type {NodeListOf<HTMLInputElement>} */
  const boxes = document.querySelectorAll("#further input");
  const chosen = [...boxes].filter(({ checked, value }) => checked && value !== reference);
  for (const box of boxes) box.disabled = box.value === reference || (!box.checked && chosen.length >= MOST_FURTHER);
  return chosen.slice(0, MOST_FURTHER).map(({ value }) => value);
}

/** Let the address say what is shown. @param {string} reference id */
function keepAddress(reference) {
  const [camera, shown] = ["camera", "arrangement"].map((choice) => byId(choice).value);
  const also = furtherRuns(reference);
  const query = new URLSearchParams({ candidate: id, reference, camera, ...(shown === "over" && { shown }), ...(also.length && { also: also.join() }) });
  history.replaceState(null, "", `${location.pathname}?${decodeURIComponent(`${query}`)}`);
}

// ---- when there is nothing to compare with ----

/** @param {string} title @param {string} reason @param {string} [offer] what the button says; without one there is none */
function nothing(title, reason, offer = "") {
  byId("nothing-title").textContent = title;
  byId("nothing-reason").textContent = reason;
  say("track", offer);
  byId("nothing").hidden = false;
  announce(`${title}. ${reason}`);
}

/** @param {Run} candidate @param {Method[]} methods */
function offerTracking(candidate, methods) {
  const there = clipFrames - 1;
  if (there < 1) {
    return nothing("Nothing to compare with", "A single picture has no later frames that could be tracked.");
  }
  const needed = candidate.frames === 2 ? lastFrame(candidate) : candidate.start + candidate.frame_step;
  if (needed > there) {
    const reason = `The clip ends with frame ${there}, so what really happened up to frame ${needed} is not known;`;
    return nothing("Nothing to compare with", `${reason} predict from an earlier frame.`);
  }
  const last = Math.min(lastFrame(candidate), there);
  const method = methods.find((offer) => offer.available && !offer.from_one_image && offer.name !== candidate.method);
  if (!method) return nothing("Nothing to compare with", "No other method that could track these points is there.");
  nothing(
    "No other run follows these points yet",
    `Tracked through the frames up to ${last}, they show how far off this is.`,
    `Track these points with ${method.title}`,
  );
  byId("track").addEventListener("click", () => track(candidate, method, last));
}

/** @param {Run} candidate @param {Method} method @param {number} last frame */
async function track(candidate, method, last) {
  byId("track").disabled = true;
  say("compare-error", "");
  const { grid, start } = candidate;
  const step = candidate.is_prediction ? 1 : candidate.frame_step;
  const length = Math.floor((last - start) / step) + 1;
  const body = { clip, method: method.name, grid, start, frames: length, frame_step: step };
  try {
    const started = await request("/runs", { method: "POST", body });
    byId("nothing").hidden = true;
    const done = await showProgress(started, `Tracking with ${method.title}`);
    if (!done.links.tracks) throw new Error(done.error ?? "The tracking was cancelled.");
    fillChoice([done]);
    await show(candidate, done.id);
  } catch (error) {
    byId("nothing").hidden = false;
    byId("track").disabled = false;
    sayIn("compare-error")(error);
  }
}

/** Show a run's progress until it has ended, and return it. @param {Run} run @param {string} what */
async function showProgress(run, what) {
  byId("progress").hidden = false;
  byId("progress-link").href = run.links.page;
  announce(`${what} …`);
  /** @param {Run} now */
  const show = ({ state, progress }) => {
    byId("stage").textContent = `${what}: ${state === "queued" ? "waiting" : progressOf(progress)}`;
    setBar(progress);
  };
  const ended = await follow(`/runs/${run.id}`, show, (problem) => say("compare-error", problem));
  byId("progress").hidden = true;
  return ended;
}

// ---- the comparison ----

/** @param {Run} candidate @param {string} reference id */
async function show(candidate, reference) {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  const isRemoved = byId("camera").value === "removed";
  const query = isRemoved ? "&camera=removed" : "";
  byId("reference").value = reference;
  keepAddress(reference);
  byId("reference-link").href = `${ROOT}/runs/${reference}`;
  try {
    const compared = (/** @type {string} */ run) =>
      request(`/compare?${new URLSearchParams({ reference, candidate: run })}${query}`, { signal });
    /** @type {Comparison} */
    const found = await compared(id);
    const further = await Promise.all(furtherRuns(reference).map(async (run) =>
      ({ run: await request(`/runs/${run}`, { signal }), found: await compared(run) })));
    const [other, ours, theirs] = await Promise.all([
      request(`/runs/${reference}`, { signal }),
      ...[id, reference].map((run) =>
        request(`/runs/${run}/figure.json?until=${found.frames.at(-1)}`, { signal })),
    ]);
    signal.throwIfAborted();
    sayWhetherCameraIsKnown(candidate.is_prediction ? [theirs] : [ours, theirs], isRemoved);
    say("compare-error", "");
    byId("comparison").hidden = false;
    describe(found, candidate, other);
    showScores(byId("scores"), [{ run: candidate, found }, ...further]);
    say("said", candidate.is_prediction ? ours.layout.meta.stillmotion.summary : "");
    const pin = await showStages({ candidate: ours, reference: theirs }, { candidate, reference: other }, found.frames, isRemoved, signal);
    byId("worst").replaceChildren(...worstPoints(found, pin));
    await drawMap(found, ours.layout);
    await drawHistogram(found);
    await drawScatter(found, pin);
    byId("compare").dataset.shown = reference;
  } catch (error) {
    if (wasStopped(error)) return;
    byId("comparison").hidden = true;
    sayIn("compare-error")(error);
  }
}

/** @param {Figure[]} figures those whose camera would be removed @param {boolean} isRemoved */
function sayWhetherCameraIsKnown(figures, isRemoved) {
  const [reason] = figures.flatMap(({ layout }) => layout.meta.stillmotion.camera.reason ?? []);
  byId("camera").disabled = Boolean(reason) && !isRemoved;
  byId("camera-note").textContent = isRemoved ? "" : (reason ?? "");
}

/** @param {Comparison} found @param {Run} candidate @param {Run} other */
function describe(found, candidate, other) {
  const { frames, metrics } = found;
  const last = frames.at(-1);
  const how = candidate.is_prediction ? `Predicted from frame ${frames[0]} alone` : `Tracked with ${candidate.method_title}`;
  byId("verdict").textContent = verdict(found);
  byId("candidate-title").replaceChildren(`${how} `, element("span", {}, `to frame ${last}`));
  byId("reference-title").replaceChildren(
    `Tracked with ${other.method_title} `,
    element("span", {}, `the reference, to frame ${last}`),
  );
  byId("counted").textContent =
    `Measured on ${whole(metrics.points)} of ${count(found.points, "point")}, those that the reference ` +
    `sees in frame ${last}; ${whole(metrics.moving)} of them move. The reference is a tracker's answer, ` +
    "and may be wrong itself.";
  announce(verdict(found));
}

begin().catch(sayIn("compare-error"));
