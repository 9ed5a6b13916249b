// A training set's page: one sample after the other, of those that the filters let through.
//
// The address holds the filters and the sample's place among them: ?split=train&min_motion=2&position=12.

import { request } from "./api.js";
import { METHODS, byId, bytes, count, element, say, scriptsLoaded, showFacts } from "./format.js";
import { showViewer } from "./viewer/viewer.js";

const { name } = byId("dataset").dataset;
const address = `/datasets/${encodeURIComponent(name)}`;
const filters = byId("filters");
const PAGE = 12;
const percent = (share) => `${Math.round(100 * share)} %`;

let position = 1; // of the sample that is shown, from 1
let total = 0;
let page = { first: 0, items: [] }; // the samples around it; `first` counts from 1
let showing = new AbortController();
let isFirst = true; // what is asked for by the page's address

// ---- which samples ----

function query() {
  const wanted = new URLSearchParams();
  for (const [field, value] of new FormData(filters)) {
    if (value === "" || (field === "order" && value === "set")) continue;
    wanted.set(field, field === "min_quality" ? Number(value) / 100 : value);
  }
  return wanted;
}

function readAddress() {
  const asked = new URLSearchParams(location.search);
  for (const field of filters.elements) {
    if (!field.name || !asked.has(field.name)) continue;
    const value = asked.get(field.name);
    field.value = field.name === "min_quality" ? Number((100 * Number(value)).toFixed(6)) : value;
  }
  position = Math.max(1, Math.round(Number(asked.get("position"))) || 1);
}

function writeAddress() {
  const wanted = query();
  if (position > 1) wanted.set("position", position);
  const text = wanted.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${isFirst ? location.hash : viewOnly()}`);
  isFirst = false;
}

/** The viewer's part of the address without the frame, which belongs to the sample that was shown. */
function viewOnly() {
  const hash = new URLSearchParams(location.hash.slice(1));
  hash.delete("frame");
  return hash.size ? `#${hash}` : "";
}

async function load(signal) {
  const first = position - ((position - 1) % PAGE);
  const wanted = query();
  const key = `${first} ${wanted}`;
  if (page.key === key) return;
  wanted.set("limit", PAGE);
  wanted.set("offset", first - 1);
  const found = await request(`${address}/samples?${wanted}`, { signal });
  total = found.total;
  page = { first, items: found.items, key };
}

// ---- showing ----

/** Show the sample at a place among the wanted ones; only the newest wish is drawn. */
async function go(wanted) {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  position = wanted;
  try {
    await load(signal);
    if (total > 0 && position > total) return go(total);
    say(byId("dataset-error"), "");
    writeAddress();
    byId("no-samples").hidden = total > 0;
    byId("browse").hidden = total === 0;
    if (total === 0) return announce("No sample passes these filters.");
    describePlace();
    await showSample(page.items[position - page.first], signal);
  } catch (error) {
    if (error.name !== "AbortError") say(byId("dataset-error"), error.message);
  }
}

function describePlace() {
  byId("position").value = position;
  byId("position").max = total;
  byId("total").textContent = `of ${total.toLocaleString("en")}`;
  byId("previous").disabled = position <= 1;
  byId("next").disabled = position >= total;
  byId("strip").replaceChildren(...page.items.map(thumbnail));
  const strip = byId("strip");
  const current = strip.querySelector("[aria-current]");
  if (current) strip.scrollLeft = current.offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + current.clientWidth / 2;
}

function thumbnail(sample, index) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  const place = page.first + index;
  button.title = `${sample.source}, frame ${sample.start}`;
  button.setAttribute("aria-label", `Sample ${place}: ${button.title}`);
  if (place === position) button.setAttribute("aria-current", "true");
  button.append(Object.assign(element("img"), { src: sample.links.picture, alt: "" }), element("span", "", `${sample.motion.toFixed(1)} px`));
  button.addEventListener("click", () => go(place));
  item.append(button);
  return item;
}

async function showSample(sample, signal) {
  const path = sample.links.self.replace("/api/v1", "");
  const [detail, figure] = await Promise.all([
    request(path, { signal }),
    request(`${path}/figure.json`, { signal }),
    scriptsLoaded(),
  ]);
  signal.throwIfAborted();
  showFacts(byId("sample-facts"), sampleFacts(detail));
  // A new element: what the last sample's viewer still draws must not land in this one's.
  const viewer = Object.assign(element("div"), { id: "viewer" });
  byId("viewer").replaceWith(viewer);
  const plot = await showViewer(viewer, figure, () => sample.links.picture, { signal });
  if (signal.aborted) return Plotly.purge(plot); // the end came while it was being drawn
  viewer.dataset.sample = sample.key;
  announce(`Sample ${position} of ${total}: ${sample.source}, frame ${sample.start}. ${figure.layout.meta.stillmotion.summary}`);
}

function sampleFacts({ facts, motion, moving, visible, quality, split }) {
  const last = facts.start + (facts.count - 1) * facts.frame_step;
  const step = facts.frame_step > 1 ? `, every ${facts.frame_step}` : "";
  const seconds = facts.fps > 0 ? ` (${(facts.start / facts.fps).toFixed(2)} s)` : "";
  return [
    ["Video", facts.source],
    ["Frames", `${facts.start} to ${last}${step}${seconds}`],
    ["Split", split],
    ["Motion", `${motion.toFixed(1)} px`],
    ["Moving", percent(moving)],
    ["Visible", percent(visible)],
    ["Quality", quality === null ? "not checked" : percent(quality)],
    ["Picture", `${facts.image_size[1]} × ${facts.image_size[0]} of ${facts.size[1]} × ${facts.size[0]} px`],
  ];
}

function announce(text) {
  byId("dataset-status").textContent = text;
}

async function showSet() {
  const set = await request(address);
  const splits = Object.entries(set.samples_by_split).filter(([, samples]) => samples > 0);
  showFacts(byId("set-facts"), [
    ["Samples", splits.map(([split, samples]) => `${samples.toLocaleString("en")} ${split}`).join(" · ") || "none"],
    ["Videos", set.videos.toLocaleString("en")],
    ["Method", METHODS[set.method] ?? set.method],
    ["Points", `${set.grid} × ${set.grid}`],
    ["Frames", set.horizon],
    ["Size", bytes(set.bytes)],
  ]);
  if (!set.is_complete) say(byId("set-note"), "The conversion of this set has not ended; it shows what there is so far.");
  else if (set.failures > 0) say(byId("set-note"), `${count(set.failures, "video")} could not be used; errors.jsonl of the set says why.`);
  byId("sources").replaceChildren(
    ...set.sources.map(({ source, samples }) => Object.assign(element("option"), { value: source, label: count(samples, "sample") })),
  );
}

// ---- what people do ----

filters.addEventListener("change", () => go(1));
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", () => setTimeout(() => go(1)));
byId("previous").addEventListener("click", () => position > 1 && go(position - 1));
byId("next").addEventListener("click", () => position < total && go(position + 1));
byId("jump").addEventListener("submit", (event) => event.preventDefault());
byId("position").addEventListener("change", (event) => {
  go(Math.max(1, Math.min(total, Math.round(Number(event.target.value)) || 1)));
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
  if (event.key === "n" || event.key === "N") byId("next").click();
  else if (event.key === "p" || event.key === "P") byId("previous").click();
});

readAddress();
showSet().catch((error) => say(byId("dataset-error"), error.message));
go(position);
