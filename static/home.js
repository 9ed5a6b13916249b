// @ts-check
// The start page: uploading, what was found, and what is there already.

import { API, ROOT, request, upload } from "./api.js";
import { announce, byId, element, say, sayIn, setBar, showFacts, startBy, wasStopped } from "./dom.js";
import { bytes, clipFacts } from "./format.js";
import { clipList, showRuns } from "./lists.js";

const area = /** @type {HTMLElement} */ (document.querySelector(".upload"));
const drop = byId("drop");
const input = byId("files");
const largest = Number(area.dataset.maxBytes);
const loadRuns = showRuns({ empty: "No runs yet. Upload a clip, choose a grid of points, and track it." });
const loadClips = clipList(loadRuns);
/** @type {ReturnType<typeof upload> | null} */
let sending = null;

byId("limit").textContent = bytes(largest);
byId("choose").addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  send([...(input.files ?? [])]);
  input.value = ""; // choosing the same file again is a change again
});
byId("stop-sending").addEventListener("click", () => sending?.stop());
byId("again").addEventListener("click", () => {
  show("drop");
  byId("choose").focus();
});

// A file that misses the drop zone must not replace the page.
window.addEventListener("drop", (event) => event.preventDefault());
window.addEventListener("dragover", (event) => {
  event.preventDefault();
  const isOver = event.target instanceof Node && area.contains(event.target);
  if (event.dataTransfer) event.dataTransfer.dropEffect = isOver && !sending ? "copy" : "none";
  drop.classList.toggle("is-over", isOver);
});
window.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("is-over");
});
area.addEventListener("drop", async ({ dataTransfer }) => {
  drop.classList.remove("is-over");
  if (dataTransfer && !sending) send(await droppedFiles(dataTransfer));
});

/** @param {File[]} files */
async function send(files) {
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const refusal = whyNot(files, total);
  say("upload-error", refusal);
  if (refusal || files.length === 0) return;
  byId("sending-name").textContent = files.length === 1 ? files[0].name : `${files.length} files`;
  progress(0, total);
  show("sending");
  announce("Uploading");
  sending = upload(files, progress);
  try {
    showFound(await sending.done);
    loadClips();
  } catch (error) {
    show("drop");
    if (wasStopped(error)) announce("The upload was stopped.");
    else sayIn("upload-error")(error);
  } finally {
    sending = null;
  }
}

/** @param {File[]} files @param {number} total bytes */
function whyNot(files, total) {
  if (total > largest) {
    const what = files.length === 1 ? `“${files[0].name}” has` : `These ${files.length} files have`;
    return `${what} ${bytes(total)}, but an upload may have ${bytes(largest)} at most. Nothing was sent.`;
  }
  const other = files.length > 1 && files.find((file) => !isImage(file));
  if (other) return `“${other.name}” is not an image. Several files at once must all be images; upload a video by itself.`;
  return "";
}

/** @param {File} file */
const isImage = (file) => file.type.startsWith("image/") || /\.(tiff?|bmp|webp|jpe?g|png|hei[cf]|hif|avif)$/i.test(file.name);

/** @param {number} sent @param {number} total */
function progress(sent, total) {
  const share = total > 0 ? Math.min(1, sent / total) : 0;
  setBar(share);
  byId("sending-amount").textContent =
    share < 1 ? `${bytes(sent)} of ${bytes(total)}` : "Looking at what is in it …";
}

/** @param {Clip & { isNew: boolean }} clip */
function showFound(clip) {
  const isVideo = clip.frames > 1;
  byId("found-picture").src = `${API}/clips/${clip.id}/frames/0.jpg`;
  byId("found-name").textContent = clip.name;
  byId("found-mark").textContent = clip.isNew ? "Uploaded" : "Already here, so it was not stored twice";
  byId("found-open").href = `${ROOT}/clips/${clip.id}`;
  byId("found-open").textContent = `Choose points and ${isVideo ? "track" : "predict"}`;
  const onePicture = isVideo ? "" : "One picture cannot be tracked, but where its points will go can be predicted.";
  say("found-note", [clip.remark, onePicture].filter(Boolean).join(" "));
  const facts = clipFacts(clip);
  showFacts("found-facts", facts);
  show("found");
  announce(`Uploaded ${clip.name}: ${facts.map((fact) => fact.join(" ")).join(", ")}.`);
  byId("found-open").focus();
}

/** @param {"drop" | "sending" | "found"} part */
function show(part) {
  for (const id of ["drop", "sending", "found"]) byId(id).hidden = id !== part;
}

/** The dropped files, with those inside dropped folders. @param {DataTransfer} transfer */
async function droppedFiles(transfer) {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = (await Promise.all(entries.map(filesIn))).flat();
  const ofSystems = /(^|\/)(\.|__MACOSX\/|@eaDir\/|Thumbs\.db$|desktop\.ini$)/i;
  return found.filter((file) => !ofSystems.test(file.webkitRelativePath));
}

/** @param {FileSystemEntry} entry @returns {Promise<File[]>} */
async function filesIn(entry) {
  if (entry.isFile) {
    const { file } = /** @type {FileSystemFileEntry} */ (entry);
    /** @type {File} */
    const found = await new Promise((resolve, reject) => file.call(entry, resolve, reject));
    // As for a chosen folder: its folders tell which images belong together.
    return [Object.defineProperty(found, "webkitRelativePath", { value: entry.fullPath.slice(1) })];
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  const inside = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break;
    inside.push(...batch);
  }
  return (await Promise.all(inside.map(filesIn))).flat();
}

// ---- samples ----

/** @typedef {{ name: string, title: string, description: string, licence: string, has_truth: boolean, picture: string }} Sample */

async function showSamples() {
  const { items } = await request("/samples");
  byId("samples-list").replaceChildren(...items.map(sampleCard));
  byId("samples").hidden = items.length === 0;
}

/** @param {Sample} sample */
function sampleCard(sample) {
  const truth = sample.has_truth ? [element("small", {}, "Its true motion is known, to compare with.")] : [];
  const title = element("b", {}, sample.title);
  const button = element(
    "button",
    { className: "sample surface", type: "button", title: `Licence: ${sample.licence}` },
    element("img", { src: sample.picture, alt: "", loading: "lazy" }),
    element("span", { className: "sample-text" }, title, element("span", {}, sample.description), ...truth),
  );
  button.addEventListener("click", () => startBy(button, "samples-error", async () => {
    const clip = await request(`/samples/${sample.name}`, { method: "POST" });
    return `${ROOT}/clips/${clip.id}`;
  }));
  return element("li", {}, button);
}

showSamples().catch((error) => {
  byId("samples").hidden = false;
  sayIn("samples-error")(error);
});
loadClips();
