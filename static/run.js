// A run's page: its progress while it works, its tracks when it is done, its reason when it failed.

import { API, Refused, Unreachable, request } from "./api.js";
import {
  byId, count, isPrediction, pause, runFacts, say, scriptsLoaded, seconds, setBar, settingsOf, showFacts,
} from "./format.js";
import { showViewer } from "./viewer/viewer.js";

const { run: id, clip, fps, frames, name } = byId("run").dataset;
const ENDED = ["done", "failed", "cancelled"];
const bar = document.querySelector("#waiting .bar");
const waitingStage = document.querySelector(".waiting-stage");
waitingStage.style.setProperty("--frame-width", byId("waiting-picture").getAttribute("width"));
waitingStage.style.setProperty("--frame-height", byId("waiting-picture").getAttribute("height"));
let spoken = "";

async function follow() {
  for (;;) {
    let run;
    try {
      run = await request(`/runs/${id}`);
      say(byId("run-error"), "");
    } catch (error) {
      say(byId("run-error"), error.message);
      if (error instanceof Refused && error.status === 404) return;
      await pause(error instanceof Unreachable ? 2000 : 5000);
      continue;
    }
    showFacts(byId("facts"), runFacts(run, { fps: Number(fps), frames: Number(frames) }));
    if (ENDED.includes(run.state)) return showEnd(run);
    showProgress(run);
    await pause(run.state === "queued" ? 700 : 400);
  }
}

function showProgress(run) {
  const picture = byId("waiting-picture");
  if (!picture.src) picture.src = `${API}/clips/${clip}/frames/${run.start}.jpg`;
  byId("waiting").hidden = false;
  const isQueued = run.state === "queued";
  const percent = Math.floor(100 * run.progress);
  byId("stage").textContent = isQueued ? "Waiting for its turn" : sentence(run.stage);
  byId("percent").textContent = isQueued ? "" : `${percent} %`;
  byId("left").textContent = isQueued ? place(run.queue_position) : timeLeft(run);
  setBar(bar, isQueued ? 0 : run.progress);
  document.title = `${isQueued ? "Waiting" : `${percent} %`} · ${name} – Stillmotion`;
  // Spoken at each stage and each quarter, not at each percent.
  announce(isQueued ? place(run.queue_position) : `${sentence(run.stage)}, ${25 * Math.floor(percent / 25)} %`);
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function place(position) {
  if (position === null) return "It starts in a moment.";
  return position <= 1 ? "It is next." : `${position - 1} ${position === 2 ? "run is" : "runs are"} before it.`;
}

function timeLeft(run) {
  const left = run.eta_seconds ?? run.estimate;
  return left === null ? "Working out how long it takes …" : `About ${seconds(Math.max(1, Math.round(left)))} left`;
}

async function showEnd(run) {
  byId("waiting").hidden = true;
  const again = new URLSearchParams(settingsOf(run));
  byId("change").textContent = isPrediction(run) ? "Predict again …" : "Track again …";
  byId("change").href = byId("change-ended").href = `/clips/${clip}?${again}`;
  document.title = `${name} – Stillmotion`;
  if (run.state === "done") return showTracks(run);
  const [title, reason] = ending(run);
  byId("ended-title").textContent = title;
  byId("ended-reason").textContent = reason;
  byId("ended").classList.toggle("bad", run.state === "failed");
  byId("ended").classList.toggle("slim", Boolean(run.links.tracks));
  byId("ended").hidden = false;
  announce(`${title}. ${reason}`);
  byId("retry").addEventListener("click", () => startAgain(run));
  if (run.links.tracks) showTracks(run);
}

/** What to say of a run that has no complete result, as [title, reason]. */
function ending(run) {
  if (run.state === "failed") return ["This run failed", run.error ?? ""];
  if (!run.links.tracks) return ["This run was cancelled", "Nothing had been tracked yet, so nothing was kept."];
  const title = `Cancelled after ${run.tracked_frames.toLocaleString("en")} of ${count(run.frames, "frame")}`;
  return [title, "What was tracked until then is below; the downloads hold the same frames."];
}

async function showTracks(run) {
  const { links } = run;
  byId("get-npz").href = links.tracks;
  byId("get-mp4").href = links.mp4;
  byId("get-gif").href = links.gif;
  byId("get-csv").href = links.csv;
  byId("get-json").href = links.json;
  byId("downloads").hidden = false;
  try {
    const figure = await request(`/runs/${id}/figure.json`);
    await scriptsLoaded();
    await showViewer(byId("viewer"), figure, (position) => links.frames.replace("{position}", position));
    if (run.state === "done") announce(`Done. ${figure.layout.meta.stillmotion.summary}`);
  } catch (error) {
    say(byId("run-error"), `The tracks cannot be shown: ${error.message}`);
  }
}

async function startAgain(run) {
  byId("retry").disabled = true;
  try {
    const started = await request("/runs", { method: "POST", body: { clip, ...settingsOf(run) } });
    location.assign(`/runs/${started.id}`);
  } catch (error) {
    say(byId("run-error"), error.message);
    byId("retry").disabled = false;
  }
}

function announce(text) {
  if (text === spoken) return;
  spoken = text;
  byId("run-status").textContent = text;
}

byId("cancel").addEventListener("click", async () => {
  byId("cancel").disabled = true;
  byId("left").textContent = "Stopping …";
  try {
    await request(`/runs/${id}`, { method: "DELETE" });
  } catch (error) {
    say(byId("run-error"), error.message);
    byId("cancel").disabled = false;
  }
});

follow();
