// @ts-check
// The list of training sets, the work on them, and the clips to make one of.

import { hasEnded, request } from "./api.js";
import { byId, element, sayIn } from "./dom.js";
import { ago, bytes, count, splitCounts, stateOf } from "./format.js";
import { card, clipList, keepLoading, line } from "./lists.js";

async function showSets() {
  const { items } = await request("/datasets?limit=500");
  byId("datasets-list").replaceChildren(...(items.length ? await Promise.all(items.map(setCard)) : [nothing()]));
}

function nothing() {
  const { content } = /** @type {HTMLTemplateElement} */ (document.getElementById("datasets-empty"));
  return element("li", { className: "empty" }, content.cloneNode(true));
}

/** @param {Dataset} set */
async function setCard(set) {
  if (set.error) return card(null, null, set.name, element("span", { className: "bad-text" }, set.error));
  const unfinished = set.is_complete ? [] : [element("span", { className: "badge running" }, "not complete")];
  return card(
    set.links.page,
    await firstPicture(set),
    set.name,
    line("", `${count(set.samples, "sample")} of ${count(set.videos, "video")}`),
    line("", splitCounts(set)),
    line("faint", ...unfinished, `${set.method_title} · ${set.grid} × ${set.grid} · ${bytes(set.bytes)}`),
  );
}

/** @param {Dataset} set @returns {Promise<string | null>} */
async function firstPicture(set) {
  if (!set.samples) return null;
  const { items } = await request(`${set.links.samples}?limit=1&order=most-motion`).catch(() => ({ items: [] }));
  return items[0]?.links.picture ?? null;
}

/** List the work on the sets, as long as the page is open; what ends may have made a set. */
async function showJobs() {
  let wasMoving = false;
  await keepLoading(async () => {
    /** @type {{ items: Job[] }} */
    const { items } = await request("/jobs?limit=24");
    byId("jobs-list").replaceChildren(...items.map(jobCard));
    byId("jobs").hidden = items.length === 0;
    const isMoving = !items.every(hasEnded);
    if (wasMoving && !isMoving) await showSets();
    return (wasMoving = isMoving);
  });
}

/** @param {Job} job */
function jobCard(job) {
  return card(
    job.links.page,
    null,
    job.name,
    line("", job.title),
    line("", element("span", { className: `badge ${job.state}` }, stateOf(job)),
      element("span", { className: "faint" }, ago(job.finished_at ?? job.created_at))),
  );
}

const loadClips = clipList();
loadClips();
showJobs().catch(sayIn("datasets-error"));
showSets()
  .catch(sayIn("datasets-error"))
  .finally(() => byId("datasets-list").setAttribute("aria-busy", "false"));
