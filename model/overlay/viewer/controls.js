// @ts-check
// The cards beside the stage: what is chosen there, and how they show the settings.

import { COLOURINGS } from "./colours.js";
import { fieldTop } from "./field.js";
import { LAYERS, choices, offeredLayers, trailChoices } from "./settings.js";
import { anyMoves } from "./numbers.js";
import { hypothesisCount } from "./variants.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Colouring } from "./colours.js"
 * @import { Settings } from "./settings.js"
 */

/** Of each layer: its name, its sign and its meaning. @type {Record<keyof typeof LAYERS, [string, string, string]>} */
export const LAYER_TEXTS = {
  picture: ["Picture", "", ""],
  dots: ["Points", "", ""],
  grid: ["Grid", "", "where the points begin"],
  uncertainty: ["Uncertainty", "fan", "of pinned points and of that under the pointer: where x and y lie with a probability of 90 %"],
  moving: ["Likely to move", "scale", "a map: from clear, surely still, to bright, surely moving"],
  seams: ["Chunk seams", "ring", "where a chunk of frames handed the point on to the next"],
  truth: ["True motion", "dash", "what the points really do"],
};

/** @param {[string, string][]} options values and texts @param {string} setting @param {string} label */
const choice = (options, setting, label) => `
  <div class="viewer-choice" role="radiogroup" aria-label="${label}">${options.map(([value, text]) => `
    <label><input type="radio" name="viewer-${setting}" data-setting="${setting}" value="${value}"><span>${text}</span></label>`).join("")}
  </div>`;

/** @param {[string, string][]} options @param {string} setting @param {string} label */
const select = (options, setting, label) => `
  <label>${label} <select class="viewer-${setting}" data-setting="${setting}">${options.map(([value, text]) => `
    <option value="${value}">${text}</option>`).join("")}</select></label>`;

/** @param {string} setting @param {string} label @param {number} min @param {number} max @param {number} step */
const range = (setting, label, min, max, step) =>
  `<label>${label} <input type="range" class="viewer-${setting}" data-setting="${setting}" min="${min}" max="${max}" step="${step}"></label>`;

/** @param {Numbers} numbers */
const cameraCard = ({ camera }) => `
  <section class="viewer-card surface">
    <h2>Camera</h2>
    ${choice([["filmed", "As filmed"], ["removed", "Removed"]], "camera", "Camera")}
    <p class="viewer-note viewer-camera-note" data-reason="${camera.reason ?? ""}"></p>
  </section>`;

/** @param {Numbers} numbers */
const predictionCard = (numbers) => {
  const offered = choices(numbers);
  const ways = Array.from({ length: hypothesisCount(numbers) }, (_, k) =>
    /** @type {[string, string]} */ ([`${k}`, `number ${k + 1} of ${hypothesisCount(numbers)}`]));
  return `
  <section class="viewer-card surface viewer-settings">
    <h2>Prediction</h2>
    ${offered.motion ? choice([["arrows", "Arrows"], ["field", "Field"], ["still", "Animated"]], "motion", "Show the motion as") : ""}
    ${ways.length ? select([["answer", "the single answer"], ...(numbers.moving ? /** @type {[string, string][]} */ ([["likely", "the likeliest way"]]) : []), ["all", "all hypotheses"], ...ways], "hypothesis", "Which") : ""}
    <p class="viewer-note viewer-motion-note"></p>
    <p class="viewer-note viewer-measured">${numbers.measured}</p>
  </section>`;
};

/** What the ways of showing predicted motion mean. @param {Numbers} numbers @returns {Record<string, string>} */
const motionTexts = (numbers) => anyMoves(numbers) ? ({
  arrows: "One arrow for each point, from where it is to where it is expected.",
  field: `The motion between the points is interpolated. The hue is its direction, as on the wheel; it is full from ${Number(fieldTop(numbers).toPrecision(2))} px on.`,
  still: "The picture moves along its predicted motion, to and fro.",
}) : Object.fromEntries(["arrows", "field", "still"].map((motion) => [motion, STAYS]));

const STAYS = "The single answer is that nothing moves, for it cannot be told which way. The map tells what is likely to move; " +
  "its likeliest way, as far as it is likely to move, and the hypotheses tell how.";

/** @param {Numbers} numbers */
const markup = (numbers) => {
  const { colour, camera, motion, hypothesis } = choices(numbers);
  return `
  <section class="viewer-card surface">
    <h2>Summary</h2>
    <p class="viewer-summary"></p>
    <p class="viewer-note viewer-visible"></p>
    <p class="viewer-note viewer-error">${numbers.truth?.summary ?? ""}</p>
  </section>
  <section class="viewer-card surface">
    <h2>Colour</h2>
    <div class="viewer-settings">${select(
      (colour ?? []).map((name) => [name, COLOURINGS[/** @type {keyof typeof COLOURINGS} */ (name)][0]]), "colour", "Points by")}</div>
    <div class="viewer-legend">
      <div class="viewer-wheel-box" aria-hidden="true"><div class="viewer-wheel"></div><i>↑</i><i>→</i><i>↓</i><i>←</i></div>
      <div class="viewer-scale"><div class="viewer-bar" aria-hidden="true"></div>
        <div class="viewer-ticks"><span>0</span><span></span><span></span></div></div>
      <p class="viewer-note viewer-colour-note"></p>
    </div>
  </section>
  ${motion || hypothesis ? predictionCard(numbers) : ""}
  ${camera || numbers.camera.reason && !numbers.is_prediction ? cameraCard(numbers) : ""}
  <section class="viewer-card surface viewer-settings">
    <h2>View</h2>
    ${select(trailChoices(numbers), "trail", "Paths")}
    ${select([["dim", "dimmed"], ["hide", "left out"]], "hidden", "Hidden points")}
    ${range("size", "Point size", 0.5, 3, 0.1)}
    ${range("shade", "Brightness", 20, 100, 5)}
    <fieldset><legend>Layers</legend>${offeredLayers(numbers).map(layerSwitch).join("")}</fieldset>
    ${offeredLayers(numbers).includes("moving") ? range("opacity", "Its opacity", 10, 100, 10) : ""}
  </section>`;
};

/** @param {keyof typeof LAYERS} name */
function layerSwitch(name) {
  const [title, sign, meaning] = LAYER_TEXTS[name];
  const more = meaning && `<small>${sign && `<i class="viewer-sign-${sign}" aria-hidden="true"></i> `}${meaning}</small>`;
  return `<label class="viewer-switch"><input type="checkbox" class="viewer-${name}" data-setting="${name}">
    <span>${title} ${more}</span></label>`;
}

/** Finds the viewer's element of a class. @param {HTMLElement} root @returns {(name: string) => PageElement} */
export const finder = (root) => (name) => /** @type {PageElement} */ (root.querySelector(`.viewer-${name}`));

/** The controls that change a setting. @param {HTMLElement} root @returns {NodeListOf<PageElement>} */
const settingControls = (root) => root.querySelectorAll("[data-setting]");

/** Fill the side of the viewer. @param {HTMLElement} root @param {Numbers} numbers */
export function buildCards(root, numbers) {
  finder(root)("side").insertAdjacentHTML("afterbegin", markup(numbers));
  finder(root)("error").hidden = !numbers.truth;
  if (!numbers.camera.homographies) {
    for (const input of /** @type {NodeListOf<PageElement>} */ (root.querySelectorAll("[name=viewer-camera]"))) {
      input.disabled = (input.value === "removed") !== numbers.camera.is_removed;
    }
  }
}

/**
 * Let the controls show the settings. `numbers` are those shown, `all` those of the file.
 * @param {HTMLElement} root @param {Settings} settings @param {Colouring} colouring @param {Numbers} numbers
 */
export function reflect(root, settings, colouring, numbers) {
  const find = finder(root);
  for (const control of settingControls(root)) {
    const value = settings[/** @type {keyof Settings} */ (control.dataset.setting)];
    if (control.type === "radio") control.checked = control.value === value;
    else if (control.type === "checkbox") control.checked = Boolean(value);
    else control.value = `${value}`;
    if (control.type === "range") paintRange(control);
  }
  find("summary").textContent = numbers.summary;
  find("plot").setAttribute("aria-label", `Trajectories over the frame. ${numbers.summary}`);
  if (find("camera-note")) {
    find("camera-note").textContent = settings.camera === "removed"
      ? "What stands still in the scene stays where it is in the first frame; the picture is warped to fit."
      : find("camera-note").dataset.reason || "The points move with the picture. Removed: only what moves on its own is left.";
  }
  if (find("motion-note")) find("motion-note").textContent = motionTexts(numbers)[settings.motion];
  if (find("moving")) find("moving").disabled = find("opacity").disabled = settings.motion !== "arrows";
  const isField = settings.motion === "field";
  find("wheel-box").hidden = colouring.top > 0 && !isField;
  find("scale").hidden = colouring.top === 0 || isField;
  find("colour-note").textContent = isField ? "" : COLOURINGS[/** @type {keyof typeof COLOURINGS} */ (settings.colour)][1];
  paintLegend(root, isField ? numbers.palettes.wheel : colouring.colours.slice(0, -1), colouring);
}

/** @param {HTMLElement} root @param {string[]} colours @param {Colouring} colouring */
function paintLegend(root, colours, { top, unit }) {
  const angle = 360 / colours.length;
  // 0° of a conic gradient is up; sector 0 is centred on the right.
  finder(root)("wheel").style.background = `conic-gradient(from ${90 - angle / 2}deg, ${steps(colours, angle, "deg")})`;
  finder(root)("bar").style.background = `linear-gradient(to right, ${steps(colours, 100 / colours.length, "%")})`;
  const [, middle, end] = root.querySelectorAll(".viewer-ticks span");
  middle.textContent = `${Number((top / 2).toPrecision(3))}`;
  end.textContent = unit ? `≥ ${Number(top.toPrecision(3))} ${unit}` : `${top}`;
}

/** A gradient's stops that make plain fields. @param {string[]} colours @param {number} size @param {string} unit */
const steps = (colours, size, unit) =>
  colours.map((colour, k) => `${colour} ${k * size}${unit} ${(k + 1) * size}${unit}`).join(", ");

/**
 * Hear of each change that a person makes, as the settings that are then other.
 * @param {HTMLElement} root @param {(changed: Partial<Settings>) => void} change
 */
export function listen(root, change) {
  let isPointed = false;
  root.addEventListener("pointerdown", () => { isPointed = true; });
  root.addEventListener("keydown", () => { isPointed = false; });
  for (const control of settingControls(root)) {
    const name = control.dataset.setting ?? "";
    const read = () => {
      if (control.type === "checkbox") return control.checked;
      return control.type === "range" || name === "speed" ? Number(control.value) : control.value;
    };
    control.addEventListener("input", () => {
      change({ [name]: read() });
      // The arrow keys step through frames; only who came here by keys chooses with them.
      if (isPointed && control.type === "radio") control.blur();
    });
  }
}

/** Let a range input's track show how far it is. @param {PageElement} input */
export function paintRange(input) {
  const [value, min, max] = [input.value, input.min, input.max].map(Number);
  input.style.setProperty("--done", `${(100 * (value - min)) / Math.max(1e-6, max - min)}%`);
}
