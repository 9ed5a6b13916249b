// @ts-check
// The frames as decoded pictures, fetched before they are needed.

const KEPT_PIXELS = 64e6; // of decoded pictures: 256 MB
const AHEAD = 16;

export class Frames {
  /** @param {(row: number) => string} frameUrl @param {number} count how many there are */
  constructor(frameUrl, count) {
    this.frameUrl = frameUrl;
    this.count = count;
    /** Pictures, newest last. @type {Map<string, Promise<ImageBitmap>>} */
    this.kept = new Map();
    /** Those that are there. @type {Map<string, ImageBitmap>} */
    this.ready = new Map();
    this.preparation = 0;
  }

  /** The picture of a row, if it is there already. @param {number} row */
  now(row) {
    return this.ready.get(this.frameUrl(row));
  }

  /** @param {number} row @returns {Promise<ImageBitmap>} */
  get(row) {
    const url = this.frameUrl(row); // several rows may share one picture
    let picture = this.kept.get(url);
    if (!picture) {
      picture = load(url);
      picture.then((bitmap) => this.ready.set(url, bitmap), () => this.kept.delete(url)); // a later visit tries again
    }
    this.kept.delete(url);
    this.kept.set(url, picture);
    this.forgetOldest();
    return picture;
  }

  /** Load what comes next, in order, wrapping round as playback does. @param {number} row @param {number} direction 1 or -1 */
  async prepare(row, direction) {
    const ticket = ++this.preparation;
    for (let step = 1; step <= Math.min(AHEAD, this.count - 1); step++) {
      if (this.preparation !== ticket) return;
      // A frame that fails here is asked for, and reported, again when it is shown.
      await this.get((row + direction * step + this.count) % this.count).catch(() => null);
    }
  }

  forgetOldest() {
    const [bitmap] = this.ready.values();
    const most = bitmap ? Math.max(2 * AHEAD, KEPT_PIXELS / (bitmap.width * bitmap.height)) : Infinity;
    for (const url of this.kept.keys()) {
      if (this.kept.size <= most) return;
      this.kept.delete(url);
      this.ready.get(url)?.close();
      this.ready.delete(url);
    }
  }

  close() {
    this.preparation++;
    for (const bitmap of this.ready.values()) bitmap.close();
    this.ready.clear();
    this.kept.clear();
  }
}

/** @param {string} url */
export async function load(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  return createImageBitmap(await answer.blob());
}
