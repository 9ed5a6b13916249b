// The start page: uploading, what was found, and what is there already.

import { API, request, upload } from "./api.js";
import { bytes, byId, clipFacts, element, say, setBar, showFacts } from "./format.js";
import { listClips, listRuns } from "./lists.js";

const area = document.querySelector(".upload");
const drop = byId("drop");
const input = byId("files");
const largest = Number(area.dataset.maxBytes);
const bar = area.querySelector(".bar");
let sending = null;

byId("limit").textContent = bytes(largest);
byId("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  send([...input.files]);
  input.value = ""; // choosing the same file again is a change again
});
byId("stop-sending").addEventListener("click", () => sending?.stop());
byId("again").addEventListener("click", () => {
  show("drop");
  byId("choose").focus();
});

// A file that misses the drop zone must not replace the page.
for (const type of ["dragover", "drop"]) {
  window.addEventListener(type, (event) => event.preventDefault());
}
window.addEventListener("dragover", (event) => {
  const isOver = area.contains(event.target);
  event.dataTransfer.dropEffect = isOver && !sending ? "copy" : "none";
  drop.classList.toggle("is-over", isOver);
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("is-over");
});
area.addEventListener("drop", async (event) => {
  drop.classList.remove("is-over");
  if (sending) return;
  send(await droppedFiles(event.dataTransfer));
});

async function send(files) {
  const refusal = whyNot(files);
  say(byId("upload-error"), refusal);
  if (refusal || files.length === 0) return;
  const total = files.reduce((sum, file) => sum + file.size, 0);
  byId("sending-name").textContent = files.length === 1 ? files[0].name : `${files.length} files`;
  progress(0, total);
  show("sending");
  announce("Uploading");
  sending = upload(files, progress);
  try {
    const clip = await sending.done;
    showFound(clip);
    listClips();
  } catch (error) {
    show("drop");
    if (error.name === "AbortError") announce("The upload was stopped.");
    else say(byId("upload-error"), error.message);
  } finally {
    sending = null;
  }
}

function whyNot(files) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total > largest) {
    const what = files.length === 1 ? `“${files[0].name}” has` : `These ${files.length} files have`;
    return `${what} ${bytes(total)}, but an upload may have ${bytes(largest)} at most. Nothing was sent.`;
  }
  const other = files.length > 1 && files.find((file) => !isImage(file));
  if (other) return `“${other.name}” is not an image. Several files at once must all be images; upload a video by itself.`;
  return "";
}

const isImage = (file) => file.type.startsWith("image/") || /\.(tiff?|bmp|webp|jpe?g|png)$/i.test(file.name);

function progress(sent, total) {
  const share = total > 0 ? Math.min(1, sent / total) : 0;
  setBar(bar, share);
  byId("sending-amount").textContent =
    share < 1 ? `${bytes(sent)} of ${bytes(total)}` : "Looking at what is in it …";
}

function showFound(clip) {
  byId("found-picture").src = `${API}/clips/${clip.id}/frames/0.jpg`;
  byId("found-name").textContent = clip.name;
  byId("found-mark").textContent = clip.isNew ? "Uploaded" : "Already here, so it was not stored twice";
  byId("found-open").href = `/clips/${clip.id}`;
  byId("found-open").textContent = clip.frames > 1 ? "Choose points and track" : "Choose points and predict";
  say(
    byId("found-note"),
    clip.frames > 1 ? "" : "One picture cannot be tracked, but where its points will go can be predicted.",
  );
  const facts = clipFacts(clip);
  showFacts(byId("found-facts"), facts);
  show("found");
  announce(`Uploaded ${clip.name}: ${facts.map(([name, value]) => `${name} ${value}`).join(", ")}.`);
  byId("found-open").focus();
}

function show(part) {
  for (const id of ["drop", "sending", "found"]) byId(id).hidden = id !== part;
}

function announce(text) {
  byId("upload-status").textContent = text;
}

/** The dropped files, with those inside dropped folders. */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = (await Promise.all(entries.map(filesIn))).flat();
  return found.filter((file) => !file.name.startsWith(".")); // what systems leave in folders
}

async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break;
    inside.push(...batch);
  }
  return (await Promise.all(inside.map(filesIn))).flat();
}

// ---- samples ----

async function showSamples() {
  const { items } = await request("/samples");
  byId("samples-list").replaceChildren(...items.map(sampleCard));
  byId("samples").hidden = items.length === 0;
}

function sampleCard(sample) {
  const item = element("li");
  const button = element("button", "sample");
  button.type = "button";
  const picture = element("img");
  Object.assign(picture, { src: sample.picture, alt: "", loading: "lazy" });
  const text = element("span", "sample-text");
  text.append(element("b", "", sample.title), element("span", "", sample.description));
  if (sample.has_truth) text.append(element("small", "", "Its true motion is known, to compare with."));
  button.append(picture, text);
  button.title = `Licence: ${sample.licence}`;
  button.addEventListener("click", () => useSample(sample, button));
  item.append(button);
  return item;
}

async function useSample(sample, button) {
  button.disabled = true;
  say(byId("samples-error"), "");
  try {
    const clip = await request(`/samples/${sample.name}`, { method: "POST" });
    location.assign(`/clips/${clip.id}`);
  } catch (error) {
    say(byId("samples-error"), error.message);
    button.disabled = false;
  }
}
// A page that the browser brings back from its memory still has the button switched off.
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll(".sample")) button.disabled = false;
});

showSamples().catch((error) => {
  byId("samples").hidden = false;
  say(byId("samples-error"), error.message);
});
listClips();
listRuns({ empty: "No runs yet. Upload a clip, choose a grid of points, and track it." });
