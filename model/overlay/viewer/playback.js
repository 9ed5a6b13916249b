// @ts-check
// Frames that are there before they are needed, and a clock that asks for one after the other.

const LOOP_PAUSE = 500; // milliseconds that playback rests on the last frame
const KEPT_FRAMES = 400;
const AHEAD = 16;

/** Frames as decoded pictures, fetched once, so that a step swaps them without a flicker. */
export class FrameCache {
  /** @param {(position: number) => string} frameUrl @param {number} count how many there are */
  constructor(frameUrl, count) {
    this.frameUrl = frameUrl;
    this.count = count;
    /** @type {Map<number, ReturnType<typeof loadPicture>>} newest last */
    this.kept = new Map();
    this.preparation = 0;
  }

  /** The URL of a decoded picture. @param {number} position */
  async get(position) {
    let frame = this.kept.get(position);
    if (!frame) {
      frame = loadPicture(this.frameUrl(position));
      frame.catch(() => this.kept.delete(position)); // a later visit tries again
    }
    this.kept.delete(position);
    this.kept.set(position, frame);
    this.forgetOldest();
    return (await frame).source;
  }

  /** Load what comes next, in order, wrapping round as playback does. @param {number} position */
  async prepare(position) {
    const ticket = ++this.preparation;
    for (let step = 1; step <= Math.min(AHEAD, this.count - 1); step++) {
      if (this.preparation !== ticket) return;
      // A frame that fails here is asked for, and reported, again when it is shown.
      await this.get((position + step) % this.count).catch(() => null);
    }
  }

  forgetOldest() {
    for (const [position, frame] of this.kept) {
      if (this.kept.size <= KEPT_FRAMES) return;
      this.kept.delete(position);
      frame.then(({ source }) => source.startsWith("blob:") && URL.revokeObjectURL(source));
    }
  }
}

/** @param {string} url */
async function loadPicture(url) {
  let source = url;
  if (!url.startsWith("data:")) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    source = URL.createObjectURL(await answer.blob());
  }
  const image = new Image();
  image.src = source;
  await image.decode();
  return { source, image }; // the image is held, so that its decoded pixels stay
}

export class Player {
  run = 0; // counts the starts; 0 while it rests
  starts = 0;

  /**
   * advance: shows the next frame. rate: frames per second. atEnd: the last frame is shown.
   * changed: hears whether it plays.
   * @param {{ advance: () => Promise<void>, rate: () => number, atEnd: () => boolean,
   *   changed: (isPlaying: boolean) => void }} actions
   */
  constructor(actions) {
    this.actions = actions;
  }

  toggle() {
    return this.run ? this.stop() : this.start();
  }

  stop() {
    this.run = 0;
    this.actions.changed(false);
  }

  async start() {
    const { advance, rate, atEnd, changed } = this.actions;
    const run = (this.run = ++this.starts);
    changed(true);
    if (!atEnd()) await pause(1000 / rate());
    while (this.run === run) {
      const began = performance.now();
      await advance();
      const left = 1000 / rate() - (performance.now() - began);
      await pause(atEnd() ? Math.max(left, LOOP_PAUSE) : left);
    }
  }
}

/** @param {number} milliseconds @returns {Promise<unknown>} */
const pause = (milliseconds) =>
  new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), Math.max(0, milliseconds - 8)));
