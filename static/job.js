// @ts-check
// A job's page: how far it is, what it made, or why it ended before that.

import { API, ROOT, follow, hasEnded, request } from "./api.js";
import { showCurve } from "./curve.js";
import { byId, element, say, sayIn, showFacts } from "./dom.js";
import { count, jobFacts, timeLeft } from "./format.js";
import { card, line } from "./lists.js";
import { onOtherTheme } from "./viewer/theme.js";
import { offerCancel, showEnding, showProgress } from "./work.js";

const { job: id = "" } = byId("job").dataset;
const path = `/jobs/${id}`;
const CURVE_MILLISECONDS = 2500;
let wasUnfinished = false;
let nextCurve = 0;

/** @param {Job} job */
function show(job) {
  showFacts("facts", jobFacts(job));
  byId("progress").hidden = hasEnded(job);
  if (hasEnded(job)) return;
  wasUnfinished = true;
  if (job.links.log && Date.now() >= nextCurve) {
    nextCurve = Date.now() + CURVE_MILLISECONDS;
    showCurve(job).catch(sayIn("job-error"));
  }
  showProgress(job, job.name, timeLeft(job.eta_seconds));
}

/** @param {Job} job */
function showEnd(job) {
  const titles = { done: "Done", failed: "This failed", cancelled: "Cancelled" };
  const title = titles[/** @type {"done"} */ (job.state)];
  const isLong = job.kind === "convert" || job.kind === "train";
  const kept = isLong ? "What it has done is kept, and it can go on from there." : "";
  showEnding(job, title, [job.error ?? "", job.state === "done" ? "" : kept].join(" ").trim());
  byId("continue").textContent = isLong ? "Continue" : "Try again";
  byId("continue").hidden = job.state === "done";
  for (const what of ["dataset", "clip"]) {
    byId(`to-${what}`).hidden = !job.links[what];
    byId(`to-${what}`).href = job.links[what] ?? "";
  }
  document.title = `${job.name} – Stillmotion`;
  if (job.links.log) {
    const draw = () => showCurve(job).catch(sayIn("job-error"));
    draw();
    onOtherTheme(draw);
  }
  showClasses(job);
  offerClips(job).catch(sayIn("job-error"));
  if (job.kind === "convert" && job.state === "done" && wasUnfinished) location.replace(job.links.dataset);
}

/** Lead to the newest clips, with the weights that were trained. @param {Job} job */
async function offerClips({ weights }) {
  const { items } = weights ? await request("/clips?limit=6") : { items: [] };
  const cards = items.map((/** @type {Clip} */ { id: clip, name, frames }) =>
    card(`${ROOT}/clips/${clip}?${new URLSearchParams({ method: "fcn", weights: weights ?? "" })}`,
      `${API}/clips/${clip}/frames/0.jpg`, name, line("", count(frames, "frame"))));
  byId("predict-weights").textContent = weights;
  byId("predict-list").replaceChildren(...cards);
  byId("predict").hidden = cards.length === 0;
}

/** Show the classes of a segmentation. @param {Job} job */
function showClasses({ links, result }) {
  byId("classes").hidden = !links.picture;
  if (!links.picture) return;
  byId("classes-picture").src = links.picture;
  /** @type {{ classes: { name: string, share: number, colour: number[] }[] }} */
  const { classes } = /** @type {any} */ (result);
  byId("classes-list").replaceChildren(...classes.map(({ name, share, colour }) => {
    const swatch = element("i");
    swatch.style.background = name === "background" ? "none" : `rgb(${colour})`;
    return element("li", {}, swatch, name, element("b", {}, `${(100 * share).toFixed(1)} %`));
  }));
}

function followIt() {
  byId("ended").hidden = true;
  byId("cancel").disabled = false;
  follow(path, show, (problem) => say("job-error", problem)).then(showEnd).catch(sayIn("job-error"));
}

offerCancel(path, "job-error");
byId("delete").addEventListener("click", () => byId("confirm").showModal());
byId("confirm").addEventListener("close", async () => {
  if (byId("confirm").returnValue !== "delete") return;
  await request(`${path}?remove=true`, { method: "DELETE" }).then(() => location.assign(`${ROOT}/datasets`), sayIn("job-error"));
});
byId("continue").addEventListener("click", async () => {
  say("job-error", "");
  await request(`${path}/continue`, { method: "POST" }).then(followIt, sayIn("job-error"));
});
followIt();
