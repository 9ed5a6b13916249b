// @ts-check
// A training set's page: one sample after the other, of those that the filters let through.
//
// The address holds the filters and the sample's place among them: ?split=train&min_motion=2&position=12.

import { request } from "./api.js";
import { announce, byId, element, say, sayIn, showFacts, wasStopped } from "./dom.js";
import { bytes, count, percent, splitCounts, whole } from "./format.js";
import { showViewer } from "./viewer/viewer.js";

const address = `/datasets/${encodeURIComponent(byId("dataset").dataset.name ?? "")}`;
const filters = /** @type {HTMLFormElement} */ (document.getElementById("filters"));
const PAGE = 12;

let position = 1; // of the sample that is shown, from 1
let total = 0;
/** The samples around it; `first` counts from 1. @type {{ first: number, items: Sample[], key: string }} */
let page = { first: 0, items: [], key: "" };
let showing = new AbortController();
let isFirst = true; // what is asked for by the page's address

// ---- which samples ----

function query() {
  const wanted = new URLSearchParams();
  for (const [field, value] of new FormData(filters)) {
    if (value === "" || (field === "order" && value === "set")) continue;
    wanted.set(field, `${field === "min_quality" ? Number(value) / 100 : value}`);
  }
  return wanted;
}

function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const field of /** @type {Iterable<HTMLInputElement>} */ (filters.elements)) {
    const value = field.name && asked.get(field.name);
    if (!value) continue;
    field.value = field.name === "min_quality" ? `${Number((100 * Number(value)).toFixed(6))}` : value;
  }
  position = placeOf(asked.get("position"));
}

/** @param {string | null} text of the address or the field */
const placeOf = (text) => Math.max(1, Math.round(Number(text)) || 1);

function writeAddress() {
  const wanted = query();
  if (position > 1) wanted.set("position", `${position}`);
  const hash = new URLSearchParams(location.hash.slice(1));
  if (!isFirst) hash.delete("frame"); // it belongs to the sample that was shown
  isFirst = false;
  const [search, view] = [wanted.size ? `?${wanted}` : "", hash.size ? `#${hash}` : ""];
  history.replaceState(null, "", `${location.pathname}${search}${view}`);
}

/** @param {AbortSignal} signal */
async function load(signal) {
  const first = position - ((position - 1) % PAGE);
  const wanted = query();
  const key = `${first} ${wanted}`;
  if (page.key === key) return;
  wanted.set("limit", `${PAGE}`);
  wanted.set("offset", `${first - 1}`);
  const found = await request(`${address}/samples?${wanted}`, { signal });
  total = found.total;
  page = { first, items: found.items, key };
}

// ---- showing ----

/**
 * Show the sample at a place among the wanted ones; only the newest choice is drawn.
 * @param {number} wanted
 * @returns {Promise<void>}
 */
async function go(wanted) {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  position = wanted;
  try {
    await load(signal);
    if (total > 0 && position > total) return go(total);
    say("dataset-error", "");
    writeAddress();
    byId("no-samples").hidden = total > 0;
    byId("browse").hidden = total === 0;
    if (total === 0) return announce("No sample passes these filters.");
    describePlace();
    await showSample(page.items[position - page.first], signal);
  } catch (error) {
    if (!wasStopped(error)) sayIn("dataset-error")(error);
  }
}

function describePlace() {
  byId("position").value = `${position}`;
  byId("position").max = `${total}`;
  byId("total").textContent = `of ${whole(total)}`;
  byId("previous").disabled = position <= 1;
  byId("next").disabled = position >= total;
  const strip = byId("strip");
  const thumbnails = page.items.map(thumbnail);
  strip.replaceChildren(...thumbnails.map((button) => element("li", {}, button)));
  const current = thumbnails[position - page.first];
  current.setAttribute("aria-current", "true");
  strip.scrollLeft = current.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + current.clientWidth / 2;
}

/** @param {Sample} sample @param {number} index on this page */
function thumbnail(sample, index) {
  const place = page.first + index;
  const title = `${sample.source}, frame ${sample.start}`;
  const picture = element("img", { src: sample.links.picture, alt: `Sample ${place}: ${title},` });
  const motion = element("span", {}, `${sample.motion.toFixed(1)} px`);
  const button = element("button", { type: "button", title }, picture, motion);
  button.addEventListener("click", () => go(place));
  return button;
}

/** @param {Sample} sample @param {AbortSignal} signal */
async function showSample(sample, signal) {
  const [detail, figure] = await Promise.all([
    request(sample.links.self, { signal }),
    request(`${sample.links.self}/figure.json`, { signal }),
  ]);
  signal.throwIfAborted();
  showFacts("sample-facts", sampleFacts(detail));
  // A new element: what the last sample's viewer still draws must not land in this one's.
  const viewer = element("div", { id: "viewer" });
  byId("viewer").replaceWith(viewer);
  const plot = await showViewer(viewer, figure, () => sample.links.picture, { signal });
  if (signal.aborted) return Plotly.purge(plot); // the end came while it was being drawn
  viewer.dataset.sample = sample.key;
  announce(`Sample ${position} of ${total}: ${sample.source}, frame ${sample.start}. ${figure.layout.meta.stillmotion.summary}`);
}

/** @param {SampleDetail} detail @returns {[string, string][]} */
function sampleFacts({ facts, motion, moving, visible, quality, split }) {
  const last = facts.start + (facts.count - 1) * facts.frame_step;
  const step = facts.frame_step > 1 ? `, every ${facts.frame_step}` : "";
  const time = facts.fps > 0 ? ` (${(facts.start / facts.fps).toFixed(2)} s)` : "";
  return [
    ["Video", facts.source],
    ["Frames", `${facts.start} to ${last}${step}${time}`],
    ["Split", split],
    ["Motion", `${motion.toFixed(1)} px`],
    ["Moving", percent(moving)],
    ["Visible", percent(visible)],
    ["Quality", quality === null ? "not checked" : percent(quality)],
    ["Picture", `${facts.image_size[1]} × ${facts.image_size[0]} of ${facts.size[1]} × ${facts.size[0]} px`],
  ];
}

async function showSet() {
  /** @type {Dataset} */
  const set = await request(address);
  showFacts("set-facts", [
    ["Samples", splitCounts(set) || "none"],
    ["Videos", whole(set.videos)],
    ["Method", set.method_title],
    ["Points", `${set.grid} × ${set.grid}`],
    ["Frames", `${set.horizon}`],
    ["Size", bytes(set.bytes)],
  ]);
  if (!set.is_complete) say("set-note", "The conversion of this set has not ended; it shows what there is so far.");
  else if (set.failures > 0) say("set-note", `${count(set.failures, "video")} could not be used; errors.jsonl of the set says why.`);
  if (set.links.report) byId("set-report").href = set.links.report;
  byId("set-report").hidden = !set.links.report;
  await showJob();
  byId("sources").replaceChildren(
    ...set.sources.map(({ source, samples }) => element("option", { value: source, label: count(samples, "sample") })),
  );
}

/** Lead to the conversion that makes this set, if the app does. */
async function showJob() {
  const name = byId("dataset").dataset.name ?? "";
  const { items: [job] } = await request(`/jobs?${new URLSearchParams({ kind: "convert", name, limit: "1" })}`);
  if (!job) return;
  byId("set-job").href = job.links.page;
  byId("set-job").textContent = `Conversion: ${job.state}`;
  byId("set-job").hidden = false;
}

// ---- what people do ----

filters.addEventListener("change", () => go(1));
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(() => go(1)));
byId("previous").addEventListener("click", () => position > 1 && go(position - 1));
byId("next").addEventListener("click", () => position < total && go(position + 1));
byId("jump").addEventListener("submit", (event) => event.preventDefault());
byId("position").addEventListener("change", () => go(Math.min(total, placeOf(byId("position").value))));
document.addEventListener("keydown", ({ ctrlKey, metaKey, altKey, target, key }) => {
  if (ctrlKey || metaKey || altKey || /** @type {Element} */ (target).closest("input, select, textarea")) return;
  if (key.toLowerCase() === "n") byId("next").click();
  else if (key.toLowerCase() === "p") byId("previous").click();
});

readAddress();
showSet().catch(sayIn("dataset-error"));
go(position);
