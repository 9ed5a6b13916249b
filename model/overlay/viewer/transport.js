// @ts-check
// Below the stage: play, step, reverse, loop, range and speed, and which frame is shown.

import { finder, paintRange } from "./controls.js";
import { Clock } from "./clock.js";
import { SPEEDS, baseRate, realRate } from "./settings.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 * @import { Loop } from "./clock.js"
 */

export const TRANSPORT = `
  <div class="viewer-transport">
    <button type="button" class="viewer-play" aria-label="Play" title="Play or pause (space)">
      <svg viewBox="0 0 24 24" aria-hidden="true"><path class="viewer-icon-play" d="M8 5.5v13l11-6.5z"/>
      <path class="viewer-icon-pause" d="M7 5h3.6v14H7zM13.4 5H17v14h-3.6z"/></svg>
    </button>
    <div class="viewer-slide"><i class="viewer-range-band" hidden></i>
      <input type="range" class="viewer-slider" min="0" step="1" value="0" aria-label="Frame"></div>
    <output class="viewer-readout"></output>
  </div>
  <div class="viewer-tools" role="group" aria-label="Playback">
    <button type="button" class="viewer-tool viewer-back" aria-label="One frame back" title="One frame back (←)">‹</button>
    <button type="button" class="viewer-tool viewer-forward" aria-label="One frame on" title="One frame on (→)">›</button>
    <button type="button" class="viewer-tool viewer-reverse" aria-pressed="false" title="Play backwards (R)">⇄ <span>Reverse</span></button>
    <label>Speed <select class="viewer-speed" data-setting="speed"></select></label>
    <label>At the end <select class="viewer-loop" data-setting="loop">
      <option value="loop">begin again</option><option value="bounce">to and fro</option><option value="once">stop</option></select></label>
    <button type="button" class="viewer-tool viewer-from" title="The range begins at this frame ([)">[ <span>Range from here</span></button>
    <button type="button" class="viewer-tool viewer-to" title="The range ends at this frame (])"><span>to here</span> ]</button>
    <button type="button" class="viewer-tool viewer-whole" hidden>Whole clip</button>
    <span class="viewer-dropped" role="status"></span>
  </div>`;

export class Transport {
  /**
   * @param {HTMLElement} root that holds the transport's elements @param {Numbers} numbers @param {Settings} settings
   * @param {{ show: (time: number) => void, isReady: (position: number) => boolean,
   *   change: (changed: Partial<Settings>) => void }} actions show: a time in frames
   */
  constructor(root, numbers, settings, actions) {
    this.root = root;
    this.find = finder(root);
    this.numbers = numbers;
    this.settings = settings;
    this.actions = actions;
    this.clock = new Clock({
      rate: () => baseRate(this.numbers) * this.settings.speed,
      isReady: actions.isReady,
      tick: (time) => actions.show(time),
      changed: (isPlaying) => {
        root.classList.toggle("is-playing", isPlaying);
        this.find("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
        this.find("dropped").textContent = "";
      },
    });
    this.clock.time = settings.position;
    const speeds = SPEEDS.map((speed) => new Option(this.speedText(speed), `${speed}`));
    this.find("speed").append(...speeds);
    const { find, clock } = this;
    find("play").addEventListener("click", () => clock.toggle());
    find("slider").addEventListener("input", () => this.stopAt(Number(find("slider").value)));
    find("back").addEventListener("click", () => this.step(-1));
    find("forward").addEventListener("click", () => this.step(1));
    find("reverse").addEventListener("click", () => this.reverse());
    find("from").addEventListener("click", () => this.setRange("from"));
    find("to").addEventListener("click", () => this.setRange("to"));
    find("whole").addEventListener("click", () => actions.change({ from: 0, to: this.numbers.count - 1 }));
    this.follow(numbers);
  }

  /** @param {number} speed */
  speedText(speed) {
    const rate = speed * baseRate(this.numbers);
    const asInTheWorld = this.numbers.is_prediction ? ", real time" : ", as filmed";
    const shown = rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate);
    return `${speed}× · ${shown} fps${speed === 1 && realRate(this.numbers) > 0 ? asInTheWorld : ""}`;
  }

  /** Take other numbers of the same points, as with the camera removed. @param {Numbers} numbers */
  follow(numbers) {
    this.numbers = numbers;
    this.find("slider").max = `${numbers.count - 1}`;
    for (const name of ["slider", "play", "back", "forward", "reverse", "from", "to"]) {
      this.find(name).disabled = numbers.count < 2;
    }
    this.reflect();
  }

  reflect() {
    const { clock, settings, find } = this;
    const last = this.numbers.count - 1;
    clock.loop = /** @type {Loop} */ (settings.loop);
    find("loop").value = settings.loop;
    find("speed").value = `${settings.speed}`;
    clock.first = Math.min(settings.from, last);
    clock.last = Math.min(settings.to, last);
    const isPart = clock.first > 0 || clock.last < last;
    find("range-band").hidden = find("whole").hidden = !isPart;
    find("range-band").style.left = `${(100 * clock.first) / Math.max(1, last)}%`;
    find("range-band").style.right = `${100 - (100 * clock.last) / Math.max(1, last)}%`;
  }

  /** @param {number} position */
  stopAt(position) {
    this.clock.stop();
    this.clock.go(Math.max(0, Math.min(this.numbers.count - 1, position)));
  }

  /** @param {number} by frames */
  step(by) {
    this.clock.stop();
    this.stopAt(this.clock.position + by);
  }

  reverse() {
    this.clock.direction *= -1;
    this.find("reverse").setAttribute("aria-pressed", `${this.clock.direction < 0}`);
  }

  /** @param {number} by steps of the list */
  changeSpeed(by) {
    const place = SPEEDS.indexOf(this.settings.speed) + by;
    if (SPEEDS[place]) this.actions.change({ speed: SPEEDS[place] });
  }

  /** Let the range begin or end at this frame. @param {"from" | "to"} end */
  setRange(end) {
    const { position } = this.settings;
    const range = { from: this.settings.from, to: this.settings.to, [end]: position };
    // An end beyond the other one lets the range reach to the clip's.
    if (range.from >= range.to) Object.assign(range, end === "from" ? { to: this.numbers.count - 1 } : { from: 0 });
    if (range.from < range.to) this.actions.change(range);
  }

  /** Say which frame is shown. @param {number} position */
  describe(position) {
    const { find, numbers, clock } = this;
    const frame = numbers.frames[position];
    const time = numbers.fps > 0 ? `${(frame / numbers.fps).toFixed(2)} s` : "";
    const place = `${position + 1} of ${numbers.count}`;
    find("readout").innerHTML = `<b>frame ${frame}</b><span>${time ? `${time} · ` : ""}${place}</span>`;
    const slider = find("slider");
    slider.value = `${position}`;
    slider.setAttribute("aria-valuetext", `frame ${frame}${time ? `, ${time}` : ""}, ${place}`);
    paintRange(slider);
    const share = clock.isPlaying ? clock.shareShown : 1;
    const text = share < 0.9 ? `shows about ${Math.max(1, Math.round(share * 10))} of 10 frames, in time` : "";
    if (text !== find("dropped").textContent) find("dropped").textContent = text;
  }
}
