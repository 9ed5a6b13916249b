// @ts-check
// The clock of what plays: time goes on as in the world, and frames that come too late are left out.

const REST_AT_END = 500; // milliseconds that playback rests at the end before it begins again
const WATCHED = 1000; // milliseconds over which shown frames are counted

/** @typedef {"loop" | "bounce" | "once"} Loop */

export class Clock {
  time = 0; // in frames, from `first` to `last`; between two while it plays
  first = 0;
  last = 0;
  direction = 1;
  /** @type {Loop} */
  loop = "loop";
  isPlaying = false;
  /** When frames were shown, in ms, and how many had been due since the one before. @type {[number, number][]} */
  shown = [];

  /**
   * rate: frames per second. isReady: whether a frame can be shown; time waits for it. tick: shows the time.
   * changed: hears whether it plays.
   * @param {{ rate: () => number, isReady: (position: number) => boolean, tick: (time: number) => void,
   *   changed: (isPlaying: boolean) => void }} actions
   */
  constructor(actions) {
    this.actions = actions;
  }

  /** The frame at this time. */
  get position() {
    return Math.floor(this.time + 1e-6);
  }

  /** @param {number} time */
  go(time) {
    this.time = time;
    this.actions.tick(time);
  }

  toggle() {
    if (this.isPlaying) this.stop();
    else this.start();
  }

  stop() {
    if (!this.isPlaying) return;
    this.isPlaying = false;
    this.go(this.position);
    this.actions.changed(false);
  }

  start() {
    if (this.isPlaying || this.last <= this.first) return;
    this.isPlaying = true;
    this.shown = [];
    this.actions.changed(true);
    const isAtEnd = this.direction > 0 ? this.time >= this.last : this.time <= this.first;
    const isOutside = this.time < this.first || this.time > this.last;
    if (isOutside || (isAtEnd && this.loop === "once")) this.go(this.direction > 0 ? this.first : this.last);
    let before = performance.now();
    let rested = isAtEnd ? REST_AT_END : 0; // at an end; the next begins at once
    const step = (/** @type {number} */ now) => {
      if (!this.isPlaying) return;
      const passed = Math.max(0, now - before);
      before = now;
      const wanted = this.time + (this.direction * passed * this.actions.rate()) / 1000;
      const [low, high] = [this.first, this.last];
      if (wanted < low || wanted > high) {
        if (rested === 0) this.show(wanted > high ? high : low, now);
        rested += passed;
        if (rested >= REST_AT_END || this.loop === "bounce") {
          rested = 0;
          this.turn(wanted);
        }
      } else {
        rested = 0;
        const position = Math.floor(wanted + 1e-6);
        if (this.actions.isReady(position)) this.show(wanted, now);
      }
      if (this.isPlaying) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** What happens at an end. @param {number} wanted */
  turn(wanted) {
    if (this.loop === "once") return this.stop();
    if (this.loop === "bounce") {
      this.direction = wanted > this.last ? -1 : 1;
      return;
    }
    this.go(this.direction > 0 ? this.first : this.last);
  }

  /** @param {number} time @param {number} now */
  show(time, now) {
    const due = Math.abs(Math.floor(time + 1e-6) - this.position);
    if (due > 0) this.shown.push([now, due]);
    while (this.shown.length > 0 && now - this.shown[0][0] > WATCHED) this.shown.shift();
    this.go(time);
  }

  /** The share of the due frames of the last second that were shown, 0 to 1; 1 while little is known. */
  get shareShown() {
    const due = this.shown.reduce((sum, [, many]) => sum + many, 0);
    return due < 6 ? 1 : this.shown.length / due;
  }
}
