// @ts-check
// A run's page: its progress while it works, its tracks when it is done, its reason when it failed.

import { API, ROOT, follow, frameAddresses, hasEnded, request, startLike } from "./api.js";
import { announce, byId, pause, say, sayIn, sentenceOf, showFacts, startBy } from "./dom.js";
import { capitalized, count, percent, runFacts, settingsOf, timeLeft, whole } from "./format.js";
import { notify, offerNotices } from "./notices.js";
import { showPartial } from "./partial.js";
import { showViewer } from "./viewer/viewer.js";
import { offerCancel, showEnding, showProgress } from "./work.js";

/**
 * @import { Numbers } from "./viewer/numbers.js"
 * @import { Settings } from "./viewer/settings.js"
 */

const OVERLAYS = ["mp4", "gif", "html"];

const { run: id = "", clip, fps, frames, name } = byId("run").dataset;
let wasUnfinished = false; // when the page was opened
const waitingStage = /** @type {HTMLElement} */ (document.querySelector(".waiting-stage"));
for (const side of ["width", "height"]) {
  waitingStage.style.setProperty(`--frame-${side}`, byId("waiting-picture").getAttribute(side));
}

/** @param {Run} run */
function show(run) {
  showFacts("facts", runFacts(run, { fps: Number(fps), frames: Number(frames) }));
  if (hasEnded(run)) return;
  const picture = byId("waiting-picture");
  if (!picture.src) picture.src = `${API}/clips/${clip}/frames/${run.start}.jpg`;
  byId("waiting").hidden = false;
  wasUnfinished = true;
  const place = run.tracked_frames ? `frame ${whole(run.tracked_frames)} of ${whole(run.frames)}, ` : "";
  showProgress(run, name ?? "", place + timeLeft(run.eta_seconds ?? run.estimate));
  showPartial(run);
}

/** @param {Run} run */
function showEnd(run) {
  byId("waiting").hidden = true;
  const again = new URLSearchParams(Object.entries(settingsOf(run)).map(([key, value]) => [key, `${value}`]));
  byId("change").textContent = run.is_prediction ? "Predict again …" : "Track again …";
  byId("change").href = byId("change-ended").href = `${ROOT}/clips/${clip}?${again}`;
  document.title = `${wasUnfinished ? `${capitalized(run.state)} · ` : ""}${name} – Stillmotion`;
  if (wasUnfinished) notify(`${name}: ${run.state}`, run.error ?? `${run.method_title}, ${count(run.point_count, "point")}`);
  if (run.state !== "done" || run.error) showEnding(run, ...ending(run));
  byId("ended").classList.toggle("slim", Boolean(run.links.tracks));
  byId("retry").addEventListener("click", () => startBy(byId("retry"), "run-error", async () => {
    const started = await startLike(run);
    return `${ROOT}/runs/${started.id}`;
  }));
  if (run.links.tracks) showTracks(run);
}

/** Of a run that has no complete result: a title, and why. @param {Run} run @returns {[string, string]} */
function ending(run) {
  if (run.state === "failed") return ["This run failed", run.error ?? ""];
  if (run.state === "done") return ["Of this clip", run.error ?? ""];
  if (!run.links.tracks) return ["This run was cancelled", "Nothing had been tracked yet, so nothing was kept."];
  const title = `Cancelled after ${whole(run.tracked_frames ?? 0)} of ${count(run.frames, "frame")}`;
  return [title, "What was tracked until then is below; the downloads hold the same frames."];
}

/** @param {Run} run */
async function showTracks(run) {
  byId("get-npz").href = run.links.tracks;
  for (const form of ["csv", "json"]) byId(`get-${form}`).href = run.links[form];
  for (const form of OVERLAYS) linkOverlay(run, form, {});
  byId("downloads").hidden = false;
  try {
    /** @type {Figure} */
    const figure = await request(run.links.figure);
    await showViewer(byId("viewer"), figure, frameAddresses(run, figure), { changed: (settings, numbers) => linkOverlays(run, settings, numbers) });
    if (run.state === "done") announce(`Done. ${figure.layout.meta.stillmotion.summary}`);
  } catch (error) {
    say("run-error", `The tracks cannot be shown: ${sentenceOf(error)}`);
  }
}

/** Let MP4, GIF and HTML show what is shown here. @param {Run} run @param {Settings} settings @param {Numbers} numbers */
function linkOverlays(run, settings, numbers) {
  const { camera, colour, trail, hidden, size, shade, picture, dots, moving, opacity, from, to, speed, hypothesis } = settings;
  const look = {
    camera: run.is_prediction ? "filmed" : camera, colour: colour === "error" ? "direction" : colour, paths: trail,
    hidden, size, shade, picture, dots, moving: moving && settings.motion === "arrows", opacity,
    first: numbers.frames[from], last: numbers.frames[to], speed,
    ...(/^\d+$/.test(hypothesis) && { hypothesis }),
  };
  linkOverlay(run, "mp4", look);
  linkOverlay(run, "gif", look);
  linkOverlay(run, "html", { view: location.hash.slice(1) });
  const lacking = leftOut(settings);
  byId("left-out").textContent = lacking.length ? `MP4 and GIF leave out: ${lacking.join(", ")}.` : "";
}

/** What is on the screen and not in a film. @param {Settings} settings */
function leftOut({ zoom, pins, colour, motion, hypothesis, grid, seams, truth }) {
  const shown = /** @type {[unknown, string][]} */ ([
    [zoom.length, "the zoom"], [pins.length, "pinned points"], [colour === "error", "colours by error"],
    [motion === "field", "the field"], [motion === "still", "the animation"], [hypothesis === "all", "all hypotheses"],
    [hypothesis === "likely", "the likeliest way"],
    [grid, "the grid"], [seams, "chunk seams"], [truth, "the true motion"],
  ]);
  return shown.flatMap(([isShown, name]) => (isShown ? [name] : []));
}

/** @param {Run} run @param {string} form @param {Record<string, unknown>} look */
function linkOverlay({ links }, form, look) {
  const query = new URLSearchParams(Object.entries(look).map(([name, value]) => [name, `${value}`]));
  byId(`get-${form}`).href = `${links[form]}${query.size ? `?${query}` : ""}`;
  byId(`get-${form}`).onclick = saveOnceDrawn;
}

/** Wait until the server has drawn an overlay, then save it. @param {Event} event */
async function saveOnceDrawn(event) {
  event.preventDefault();
  const link = /** @type {HTMLAnchorElement} */ (event.currentTarget);
  const { href, id: form } = link;
  const [say, what] = [(/** @type {string} */ text) => { byId("drawing").textContent = text; }, form.replace("get-", "").toUpperCase()];
  link.setAttribute("aria-busy", "true");
  announce(`Drawing the ${what}`);
  try {
    for (;;) {
      const answer = await fetch(href, { headers: { Prefer: "respond-async" } });
      if (answer.status !== 202) {
        await answer.body?.cancel();
        break;
      }
      const { progress } = await answer.json();
      say(progress === null ? `The ${what} waits for its turn …` : `Drawing the ${what}: ${percent(progress)}`);
      await pause(400);
    }
    location.assign(href); // a file to save, or the reason why there is none
  } catch (error) {
    sayIn("run-error")(error);
  } finally {
    say("");
    link.removeAttribute("aria-busy");
  }
}

offerNotices(byId("notices"), (problem) => say("notices-problem", problem));
offerCancel(`/runs/${id}`, "run-error");
follow(`/runs/${id}`, show, (problem) => say("run-error", problem)).then(showEnd).catch(sayIn("run-error"));
