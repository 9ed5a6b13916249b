// @ts-check
// The viewer's parts: what stands around the plot, and how it shows the settings.

import { OPTIONS, offeredOptions, realRate, trailChoices } from "./settings.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 */

/** Of each option: its name at the keys, its switch's name, sign and meaning. */
const SWITCHES = {
  interval: ["90 % interval", "90 % interval", "box", `where a point is expected in this frame: its x and its y each
    lie in the box with a probability of 90 %`],
  hypotheses: ["hypotheses", "Hypotheses", "way", "all ways that a point may go: the brighter, the likelier"],
  seams: ["seams", "Chunk seams", "ring", "where a chunk of frames handed a point on to the next"],
  truth: ["true motion", "True motion", "dash", "what the points really do"],
};

/** @param {Numbers["camera"]} camera */
const cameraMarkup = ({ is_removed, reason }) => `
    <section class="viewer-card surface">
      <h2>Camera</h2>
      <div class="viewer-choice" role="radiogroup" aria-label="Camera">
        ${[["filmed", "As filmed"], ["removed", "Removed"]].map(([value, text]) => `
        <label><input type="radio" name="viewer-camera" value="${value}"
          ${(value === "removed") === is_removed ? "checked" : ""} ${reason && !is_removed ? "disabled" : ""}>
          <span>${text}</span></label>`).join("")}
      </div>
      <p class="viewer-camera-note">${is_removed
        ? "What stands still in the scene stays where it is in the first frame, which is below."
        : reason ?? "The points move with the picture. Removed: only what moves on its own is left."}</p>
    </section>`;

/** @param {ReturnType<typeof offeredOptions>} options those that there is something of @param {string} camera its card */
const markup = (options, camera) => `
  <div class="viewer-main surface raised">
    <div class="viewer-stage stage">
      <div class="viewer-plot" role="img"></div>
      <p class="viewer-notice stage-note" role="status" hidden></p>
    </div>
    <div class="viewer-transport">
      <button type="button" class="viewer-play" aria-label="Play" title="Play or pause (space)">
        <svg viewBox="0 0 24 24" aria-hidden="true"><path class="viewer-icon-play" d="M8 5.5v13l11-6.5z"/>
        <path class="viewer-icon-pause" d="M7 5h3.6v14H7zM13.4 5H17v14h-3.6z"/></svg>
      </button>
      <input type="range" class="viewer-slider" min="0" step="1" value="0" aria-label="Frame">
      <output class="viewer-readout"></output>
    </div>
    <p class="viewer-keys"><kbd>space</kbd> play <kbd>←</kbd><kbd>→</kbd> step <kbd>C</kbd> colour
      <kbd>H</kbd> hidden points ${camera && "<span><kbd>M</kbd> camera</span>"}
      ${options.map((name) => `<span><kbd>${OPTIONS[name].toUpperCase()}</kbd> ${SWITCHES[name][0]}</span>`).join(" ")}
      <span><kbd>+</kbd><kbd>−</kbd><kbd>0</kbd> zoom</span></p>
  </div>
  <div class="viewer-side">
    <section class="viewer-card surface">
      <h2>Summary</h2>
      <p class="viewer-summary"></p>
      <p class="viewer-visible"></p>
      <p class="viewer-error" hidden></p>
    </section>
    <section class="viewer-card surface">
      <h2>Colour</h2>
      <div class="viewer-choice" role="radiogroup" aria-label="Colour by">
        <label><input type="radio" name="viewer-colour" data-setting="colour" value="direction"><span>Direction</span></label>
        <label><input type="radio" name="viewer-colour" data-setting="colour" value="speed"><span>Speed</span></label>
      </div>
      <div class="viewer-legend" data-for="direction">
        <div class="viewer-wheel-box" aria-hidden="true">
          <div class="viewer-wheel"></div><i>↑</i><i>→</i><i>↓</i><i>←</i>
        </div>
        <p>Where a point ends, seen from where it starts. Grey: it stays within half a pixel.</p>
      </div>
      <div class="viewer-legend" data-for="speed">
        <div>
          <div class="viewer-bar" aria-hidden="true"></div>
          <div class="viewer-ticks"><span>0</span><span></span><span></span></div>
        </div>
        <p>Mean speed along the whole path, in pixels per frame of the clip.</p>
      </div>
    </section>
    ${camera}
    <section class="viewer-card surface viewer-settings">
      <h2>View</h2>
      <label>Paths <select class="viewer-trail" data-setting="trail"></select></label>
      <label>Hidden points <select class="viewer-hidden" data-setting="hidden">
        <option value="dim">dimmed</option><option value="hide">left out</option></select></label>
      <label>Playback <select class="viewer-rate" data-setting="rate"></select></label>
      <label>Brightness <input type="range" data-setting="shade" min="20" max="100" step="5"></label>
      ${options.map(switchMarkup).join("")}
    </section>
  </div>`;

/** @param {keyof typeof OPTIONS} name */
function switchMarkup(name) {
  const [, title, sign, meaning] = SWITCHES[name];
  return `<label class="viewer-switch"><input type="checkbox" class="viewer-${name}" data-setting="${name}">
    <span>${title} <small><i class="viewer-${sign}" aria-hidden="true"></i> ${meaning}</small></span></label>`;
}

/**
 * Fill `root` with the viewer's parts, as its numbers need them.
 * @param {HTMLElement} root @param {Numbers} numbers @param {Settings} settings
 * @param {boolean} hasCamera whether the camera can be switched
 */
export function buildControls(root, numbers, settings, hasCamera) {
  root.classList.add("viewer");
  root.innerHTML = markup(offeredOptions(numbers), hasCamera ? cameraMarkup(numbers.camera) : "");
  const find = finder(root);
  find("stage").style.setProperty("--frame-width", `${numbers.width}`);
  find("stage").style.setProperty("--frame-height", `${numbers.height}`);
  find("plot").setAttribute("aria-label", `Trajectories over the frame. ${numbers.summary}`);
  find("summary").textContent = numbers.summary;
  find("error").textContent = numbers.truth?.summary ?? "";
  find("error").hidden = !numbers.truth;
  find("slider").max = `${numbers.count - 1}`;
  find("slider").disabled = find("play").disabled = numbers.count < 2;
  find("trail").append(...trailChoices(numbers).map(([value, text]) => new Option(text, value)));
  find("rate").append(...rateChoices(numbers, settings).map(([rate, text]) => new Option(text, `${rate}`)));
  paintLegends(root, numbers);
}

/** Finds the viewer's element of a class. @param {HTMLElement} root @returns {(name: string) => PageElement} */
export const finder = (root) => (name) => /** @type {PageElement} */ (root.querySelector(`.viewer-${name}`));

/**
 * Frames per second, as [rate, text]; the settings' own is one of them.
 * @param {Numbers} numbers @param {Settings} settings
 * @returns {[number, string][]}
 */
function rateChoices(numbers, settings) {
  const real = realRate(numbers);
  const rates = new Map([1, 2, 5, 10, 15, 30].map((rate) => [rate, `${rate} fps`]));
  if (real > 0) {
    rates.delete(Math.round(real)); // one of two that read the same
    rates.set(real, `${real < 10 ? Number(real.toFixed(1)) : Math.round(real)} fps, as filmed`);
  }
  if (!rates.has(settings.rate)) settings.rate = real;
  return [...rates].sort(([a], [b]) => a - b);
}

/** @param {HTMLElement} root @param {Numbers} numbers */
function paintLegends(root, numbers) {
  const { direction, speed } = numbers.colourings;
  const sectors = direction.colours.slice(0, -1); // the last is for still points
  const angle = 360 / sectors.length;
  // 0° of a conic gradient is up; sector 0 is centred on the right.
  finder(root)("wheel").style.background =
    `conic-gradient(from ${90 - angle / 2}deg, ${steps(sectors, angle, "deg")})`;
  finder(root)("bar").style.background =
    `linear-gradient(to right, ${steps(speed.colours, 100 / speed.colours.length, "%")})`;
  const [, middle, top] = root.querySelectorAll(".viewer-ticks span");
  middle.textContent = `${Number((speed.top / 2).toPrecision(3))}`;
  top.textContent = `≥ ${Number(speed.top.toPrecision(3))} px/frame`;
}

/** A gradient's stops that make plain fields. @param {string[]} colours @param {number} size @param {string} unit */
const steps = (colours, size, unit) =>
  colours.map((colour, k) => `${colour} ${k * size}${unit} ${(k + 1) * size}${unit}`).join(", ");

/** The controls that change a setting. @param {HTMLElement} root @returns {NodeListOf<PageElement>} */
const settingControls = (root) => root.querySelectorAll("[data-setting]");

/** Let the controls show the settings. @param {HTMLElement} root @param {Settings} settings */
export function reflect(root, settings) {
  for (const control of settingControls(root)) {
    const value = settings[/** @type {keyof Settings} */ (control.dataset.setting)];
    if (control.type === "radio") control.checked = control.value === value;
    else if (control.type === "checkbox") control.checked = Boolean(value);
    else control.value = `${value}`;
    if (control.type === "range") paintRange(control);
  }
  finder(root)("stage").style.setProperty("--shade", `${settings.shade / 100}`);
  for (const legend of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".viewer-legend"))) {
    legend.hidden = legend.dataset.for !== settings.colour;
  }
}

/**
 * Hear of each change that a person makes, as the settings that are then other.
 * @param {HTMLElement} root @param {(changed: Partial<Settings>) => void} change
 */
export function listen(root, change) {
  for (const control of settingControls(root)) {
    const name = control.dataset.setting ?? "";
    const read = () => {
      if (control.type === "checkbox") return control.checked;
      return ["rate", "shade"].includes(name) ? Number(control.value) : control.value;
    };
    control.addEventListener("input", () => change({ [name]: read() }));
  }
}

/** Let a range input's track show how far it is. @param {PageElement} input */
export function paintRange(input) {
  const [value, min, max] = [input.value, input.min, input.max].map(Number);
  input.style.setProperty("--done", `${(100 * (value - min)) / Math.max(1, max - min)}%`);
}
