// @ts-check
// What is shown as a picture that says what it is, and the sentence to cite it by.

import { finder } from "./controls.js";
import { saveFile } from "./selection.js";

/** @import { Numbers } from "./numbers.js" */

const AFTER_HEADER = 33; // bytes of a PNG: its signature and its first chunk

export const SAVING = `
  <section class="viewer-card surface">
    <h2>Save</h2>
    <p class="viewer-note">The picture as it is shown, with its zoom, pins and selection.</p>
    <div class="viewer-row"><button type="button" class="viewer-tool viewer-save" title="Save the picture (P)">Picture as PNG</button></div>
    <details class="viewer-cite" hidden><summary>Cite this</summary>
      <p class="viewer-citation"></p><button type="button" class="viewer-tool viewer-copy">Copy</button></details>
  </section>`;

/** Show how to cite, and let it be copied. @param {HTMLElement} root @param {Numbers} numbers @param {() => void} save */
export function listenToSaving(root, { about }, save) {
  const find = finder(root);
  find("save").addEventListener("click", save);
  if (!about) return;
  find("cite").hidden = false;
  find("citation").textContent = about.citation;
  find("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(about.citation);
      find("copy").textContent = "Copied";
    } catch { // a browser that does not let pages copy lets people do it
      getSelection()?.selectAllChildren(find("citation"));
    }
  });
}

/**
 * Save a canvas as PNG, with what the numbers are about and the view in it.
 * @param {HTMLCanvasElement} canvas @param {Numbers} numbers @param {number} frame
 */
export function savePicture(canvas, { about }, frame) {
  const view = location.hash.slice(1);
  /** @type {Record<string, string>} */
  const texts = about
    ? { Software: `Stillmotion ${about.stillmotion}`, Description: about.citation, Comment: JSON.stringify({ ...about, view }) }
    : { Software: "Stillmotion", Comment: JSON.stringify({ view }) };
  canvas.toBlob((picture) => picture && saveFile(withTexts(picture, texts), `stillmotion-frame-${frame}.png`));
}

/** A PNG with texts (iTXt chunks) in it. @param {Blob} png @param {Record<string, string>} texts */
function withTexts(png, texts) {
  const chunks = Object.entries(texts).map(([name, text]) => chunkOf("iTXt", `${name}\0\0\0\0\0${text}`));
  return new Blob([png.slice(0, AFTER_HEADER), ...chunks, png.slice(AFTER_HEADER)], { type: "image/png" });
}

/** A chunk of a PNG: length, name, content, checksum. @param {string} name @param {string} content */
function chunkOf(name, content) {
  const body = new TextEncoder().encode(name + content);
  const chunk = new Uint8Array(body.length + 8);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(body.length + 4, checksum(body));
  return chunk;
}

/** CRC-32, as PNG has it. @param {Uint8Array} bytes */
function checksum(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ -1) >>> 0;
}
