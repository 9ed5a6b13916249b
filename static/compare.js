// The comparison's page: a run beside another one that follows the same points, and how far it is off.
//
// The address names both: /compare?candidate=RUN&reference=RUN.

import { request } from "./api.js";
import { drawHistogram, drawMap, drawTracks, linkZoom } from "./compare_plots.js";
import { scoreRows, verdict } from "./compare_scores.js";
import {
  METHODS, ago, byId, count, element, frameSpan, isPrediction, lastFrame, pause, runFacts, say, scriptsLoaded, setBar,
  showFacts,
} from "./format.js";

const { run: id, clip, fps, frames: clipFrames } = byId("compare").dataset;
const ENDED = ["done", "failed", "cancelled"];
const MOST_LISTED = 500;
const bar = document.querySelector("#progress .bar");
const methodOf = (run) => METHODS[run.method] ?? run.method;

let candidate = null;
let showing = new AbortController();

// ---- which runs ----

async function begin() {
  candidate = await request(`/runs/${id}`);
  showFacts(byId("facts"), runFacts(candidate, { fps: Number(fps), frames: Number(clipFrames) }));
  if (!ENDED.includes(candidate.state)) candidate = await follow(candidate, "The run is not done yet");
  if (!candidate.links.tracks) {
    return nothing("This run has no tracks", candidate.error ?? "It was cancelled before anything was tracked.");
  }
  const references = (await request(`/runs?clip=${clip}&limit=${MOST_LISTED}`)).items.filter(isReference);
  const wanted = new URLSearchParams(location.search).get("reference");
  // A wish for another run is kept, so that the answer says what is wrong with it.
  if (wanted && !references.some((run) => run.id === wanted)) return show(wanted);
  if (references.length === 0) return offerTracking();
  fillChoice(references);
  const usual = ["pips", "lk"].map((name) => references.find((run) => run.method === name)).find(Boolean);
  await show(wanted ?? (usual ?? references[0]).id);
}

/** Whether a run begins with the candidate's points and shares a later frame with it. */
function isReference(run) {
  if (run.id === id || isPrediction(run) || !run.links.tracks) return false;
  if (run.start !== candidate.start || run.grid !== candidate.grid) return false;
  const theirs = new Set(framesOf(run));
  return framesOf(candidate).slice(1).some((frame) => theirs.has(frame));
}

function framesOf(run) {
  const length = run.state === "done" ? run.frames : (run.tracked_frames ?? 0);
  return Array.from({ length }, (_, k) => run.start + k * run.frame_step);
}

function fillChoice(references) {
  byId("reference").replaceChildren(
    ...references.map((run) => new Option(`${methodOf(run)}, ${frameSpan(run, clipFrames)}, ${ago(run.created_at)}`, run.id)),
  );
  byId("choice").hidden = false;
}

// ---- when there is nothing to compare with ----

function nothing(title, reason) {
  byId("nothing-title").textContent = title;
  byId("nothing-reason").textContent = reason;
  byId("track").hidden = true;
  byId("nothing").hidden = false;
  announce(`${title}. ${reason}`);
}

async function offerTracking() {
  const last = lastFrame(candidate);
  const there = clipFrames - 1;
  if (clipFrames < 2) {
    return nothing("Nothing to compare with", "A single picture has no later frames that could be tracked.");
  }
  const needed = candidate.frames === 2 ? last : candidate.start + candidate.frame_step;
  if (needed > there) {
    return nothing(
      "Nothing to compare with",
      `The clip ends with frame ${there}, so what really happened up to frame ${needed} is not known; predict from an earlier frame.`,
    );
  }
  const { items } = await request("/methods");
  const method = ["pips", "lk"]
    .map((name) => items.find((offer) => offer.name === name && offer.available))
    .find((offer) => offer && offer.name !== candidate.method);
  nothing(
    "No other run follows these points yet",
    `Tracked through the frames up to ${Math.min(last, there)}, they show how far off this is.`,
  );
  byId("track").textContent = `Track these points with ${method.title}`;
  byId("track").hidden = false;
  byId("track").addEventListener("click", () => track(method.name, Math.min(last, there)));
}

async function track(method, last) {
  byId("track").disabled = true;
  say(byId("compare-error"), "");
  const { grid, start } = candidate;
  const step = isPrediction(candidate) ? 1 : candidate.frame_step;
  const body = { clip, method, grid, start, frames: Math.floor((last - start) / step) + 1, frame_step: step };
  try {
    const started = await request("/runs", { method: "POST", body });
    byId("nothing").hidden = true;
    const done = await follow(started, `Tracking with ${METHODS[method]}`);
    if (!done.links.tracks) throw new Error(done.error ?? "The tracking was cancelled.");
    fillChoice([done]);
    await show(done.id);
  } catch (error) {
    byId("nothing").hidden = false;
    byId("track").disabled = false;
    say(byId("compare-error"), error.message);
  }
}

/** Show a run's progress until it has ended, and return it. */
async function follow(run, what) {
  byId("progress").hidden = false;
  byId("progress-link").href = run.links.page;
  announce(`${what} …`);
  while (!ENDED.includes(run.state)) {
    byId("stage").textContent = `${what}: ${run.state === "queued" ? "waiting" : `${Math.floor(100 * run.progress)} %`}`;
    setBar(bar, run.progress);
    await pause(500);
    run = await request(`/runs/${run.id}`);
  }
  byId("progress").hidden = true;
  return run;
}

// ---- the comparison ----

async function show(reference) {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  history.replaceState(null, "", `${location.pathname}?${new URLSearchParams({ candidate: id, reference })}`);
  byId("reference").value = reference;
  byId("reference-link").href = `/runs/${reference}`;
  try {
    const found = await request(`/compare?${new URLSearchParams({ reference, candidate: id })}`, { signal });
    const other = await request(`/runs/${reference}`, { signal });
    const until = found.frames.at(-1);
    const [ours, theirs] = await Promise.all([
      request(`/runs/${id}/figure.json?until=${until}`, { signal }),
      request(`/runs/${reference}/figure.json?until=${until}`, { signal }),
      scriptsLoaded(),
    ]);
    signal.throwIfAborted();
    say(byId("compare-error"), "");
    byId("comparison").hidden = false;
    describe(found, other);
    await Promise.all([drawTracks("candidate-plot", ours), drawTracks("reference-plot", theirs)]);
    linkZoom(byId("candidate-plot"), byId("reference-plot"));
    await drawMap(found, ours.layout);
    await drawHistogram(found);
    byId("compare").dataset.shown = reference;
  } catch (error) {
    if (error.name === "AbortError") return;
    byId("comparison").hidden = true;
    say(byId("compare-error"), error.message);
  }
}

function describe(found, other) {
  const { frames, pixels, zero_pixels: zero, metrics } = found;
  const [first, last] = [frames[0], frames.at(-1)];
  byId("verdict").textContent = verdict(pixels.mean_final, zero.mean_final, last);
  const how = isPrediction(candidate) ? `Predicted from frame ${first} alone` : `Tracked with ${methodOf(candidate)}`;
  title("candidate-title", how, `to frame ${last}`);
  title("reference-title", `Tracked with ${methodOf(other)}`, `the reference, to frame ${last}`);
  byId("candidate-column").textContent = methodOf(candidate);
  byId("scores").replaceChildren(...scoreRows(found));
  byId("counted").textContent =
    `Measured on ${metrics.points.toLocaleString("en")} of ${count(found.points, "point")}, those that the reference ` +
    `sees in frame ${last}; ${metrics.moving.toLocaleString("en")} of them move. The reference is a tracker's answer, ` +
    "and may be wrong itself.";
  announce(byId("verdict").textContent);
}

function title(target, text, note) {
  byId(target).replaceChildren(text, " ", element("span", "", note));
}

function announce(text) {
  byId("compare-status").textContent = text;
}

byId("reference").addEventListener("change", (event) => show(event.target.value));
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => {
  const { shown } = byId("compare").dataset;
  if (shown) show(shown);
});

begin().catch((error) => say(byId("compare-error"), error.message));
