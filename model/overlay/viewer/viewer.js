// @ts-check
// The viewer: tracks over their frames, with a clock, colours, layers, pinned points and selections.
//
// These modules serve the web pages and the self-contained HTML file, which holds them as one. They need Plotly (see
// plotly.js) and a figure made by model/overlay/figure.py, whose layout.meta.stillmotion holds the raw numbers.

import { readAddress, writeAddress } from "./address.js";
import { buildCards, finder, listen, reflect } from "./controls.js";
import { colouring } from "./colours.js";
import { Frames } from "./frames.js";
import { keySheet, listenToKeys, shortcutsOf } from "./keys.js";
import { anyMoves, isVisible, positionAt, readNumbers } from "./numbers.js";
import { COURSES, Courses, MARKING_KEYS, MOST_PINS, POINTS, describePins, listenToMarks, listenToPins, toggled } from "./points.js";
import { SAVING, listenToSaving, savePicture } from "./saving.js";
import { SELECTION, csvOf, describeChosen, pointsOf, saveFile } from "./selection.js";
import { choices, initialSettings, isShort } from "./settings.js";
import { Stage } from "./stage.js";
import { onOtherTheme } from "./theme.js";
import { TRANSPORT, Transport } from "./transport.js";
import { homographiesToFirst, withHypothesis, withLikeliestWay, withoutCamera } from "./variants.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 */

const MARKUP = `
  <div class="viewer-main">
    <div class="surface raised">
      <div class="viewer-stage stage">
        <canvas class="viewer-canvas" aria-hidden="true"></canvas>
        <div class="viewer-plot" role="application" tabindex="0"></div>
        <p class="viewer-notice stage-note" role="status" hidden></p>
      </div>
      ${TRANSPORT}
      <p class="viewer-keys"><kbd>space</kbd> play <kbd>←</kbd><kbd>→</kbd> step <kbd>C</kbd> colour <kbd>+</kbd><kbd>−</kbd><kbd>0</kbd> zoom
        <button type="button" class="viewer-help" title="All keys (?)"><kbd>?</kbd> all keys</button></p>
    </div>
    <div class="viewer-pair">${POINTS}${SELECTION}${SAVING}</div>
    ${COURSES}
  </div>
  <div class="viewer-side"></div>
  <dialog class="viewer-sheet surface"></dialog>`;

/**
 * Show tracks in `root`, an empty element, and return the plot.
 *
 * @param {HTMLElement} root
 * @param {Figure} figure from figure.py
 * @param {(row: number) => string} frameUrl the URL of a frame of the figure
 * @param {{ signal?: AbortSignal, changed?: (settings: Settings, numbers: Numbers) => void }} [options] the signal ends the viewer, so that
 *   another can take its place; `changed` hears of every other view
 */
export async function showViewer(root, { layout }, frameUrl, { signal, changed } = {}) {
  const all = readNumbers(layout.meta.stillmotion);
  const settings = { ...initialSettings(all), ...readAddress(all) };
  const isAsked = location.hash.includes("frame=");
  const frames = new Frames(frameUrl, all.count);
  const toFirst = homographiesToFirst(all);
  root.classList.add("viewer");
  root.innerHTML = MARKUP;
  const find = finder(root);
  find("stage").style.setProperty("--frame-width", `${all.width}`);
  find("stage").style.setProperty("--frame-height", `${all.height}`);
  buildCards(root, all);

  let numbers = variant(all, settings);
  settings.position = Math.max(0, numbers.frames.indexOf(all.frames[settings.position]));
  settings.pins = settings.pins.slice(0, MOST_PINS);
  let colours = colouring(settings.colour, numbers);
  /** @type {Set<number> | null} */
  let chosen = settings.chosen && new Set(settings.chosen);
  /** @type {ImageBitmap | null} */
  let bitmap = await frames.get(numbers.rows[settings.position]).catch(() => null);
  let wanted = settings.position; // a time in frames

  const moment = () => {
    const homography = settings.camera === "removed" ? toFirst[numbers.rows[settings.position]] : null;
    const { position } = settings;
    return { numbers, settings, colouring: colours, position, time: wanted, bitmap, homography, chosen, hovered: -1 };
  };

  const stage = new Stage(find("stage"), {
    click: (point) => pin(toggled(settings.pins, point)),
    select: choose,
    zoom: (ranges) => {
      settings.zoom = ranges;
      rememberSoon();
    },
    save,
  });
  const transport = new Transport(root, numbers, settings, {
    show,
    change,
    isReady: (position) => {
      const isThere = Boolean(frames.now(numbers.rows[position]));
      if (!isThere) frames.get(numbers.rows[position]).catch(() => find("notice").hidden && fail(position));
      return isThere;
    },
  });
  const courses = new Courses(root, (frame) => transport.stopAt(numbers.frames.indexOf(frame)));

  /** Show a time; a frame that is not there yet comes when it is. @param {number} time */
  function show(time) {
    wanted = time;
    const position = Math.floor(time + 1e-6);
    const picture = frames.now(numbers.rows[position]);
    if (picture) return display(position, picture);
    find("slider").value = `${position}`;
    const late = setTimeout(() => notice(`Loading frame ${numbers.frames[position]} …`), 250);
    frames.get(numbers.rows[position]).then(
      (loaded) => wanted === time && display(position, loaded),
      (error) => wanted === time && fail(position, error),
    ).finally(() => clearTimeout(late));
  }

  /** @param {number} position @param {ImageBitmap | null} picture */
  function display(position, picture) {
    const isNew = position !== settings.position || picture !== bitmap;
    const isMoving = settings.motion === "still" && transport.clock.isPlaying;
    [settings.position, bitmap] = [position, picture];
    if (isNew || isMoving) stage.show(moment());
    if (isNew) {
      notice("");
      describe();
      frames.prepare(numbers.rows[position], transport.clock.direction);
    }
  }

  /** @param {number} position @param {unknown} [error] */
  function fail(position, error) {
    transport.clock.stop();
    const reason = error instanceof Error ? error.message : "it is not there";
    display(position, bitmap);
    notice(`Frame ${numbers.frames[position]} could not be loaded (${reason}).`);
  }

  /** @param {string} text */
  function notice(text) {
    find("notice").textContent = text;
    find("notice").hidden = text === "";
  }

  function describe() {
    const { position, pins } = settings;
    transport.describe(position);
    let visible = 0;
    for (let point = 0; point < numbers.points; point++) visible += Number(isVisible(numbers, position, point));
    const what = numbers.is_prediction ? "expected inside the image" : "visible";
    find("visible").textContent =
      `${visible.toLocaleString("en")} of ${numbers.points.toLocaleString("en")} ${what} in this frame.`;
    if (pins.length > 0) describePins(root, numbers, pins, position);
    courses.moveLine(position);
    if (stage.isOpen) root.dataset.position = `${position}`;
    rememberSoon();
  }
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let remembering;
  function rememberSoon() {
    clearTimeout(remembering); // browsers limit how often the address may change
    remembering = setTimeout(() => {
      writeAddress({ ...settings, position: numbers.rows[settings.position] }, all);
      changed?.(settings, numbers);
    }, 250);
  }

  /** @param {Partial<Settings>} other */
  function change(other) {
    if (Object.entries(other).every(([name, value]) => settings[/** @type {keyof Settings} */ (name)] === value)) return;
    const frame = numbers.frames[settings.position];
    const showsNothing = other.motion && other.motion !== "arrows" && settings.hypothesis === "answer" && !anyMoves(all);
    if (showsNothing && choices(all).hypothesis?.includes("likely")) other = { ...other, hypothesis: "likely" };
    Object.assign(settings, other);
    if ("camera" in other || "hypothesis" in other) {
      numbers = variant(all, settings);
      settings.position = positionAt(numbers, frame);
      wanted = transport.clock.time = settings.position;
      transport.follow(numbers);
      bitmap = frames.now(numbers.rows[settings.position]) ?? bitmap;
    }
    if ("camera" in other || "hypothesis" in other || "colour" in other) colours = colouring(settings.colour, numbers);
    if (other.motion === "still") wake();
    transport.reflect();
    reflect(root, settings, colours, numbers);
    stage.show(moment());
    describe();
    if ("camera" in other || "hypothesis" in other || "pins" in other) courses.show(numbers, settings.pins, settings.position);
    if ("camera" in other || "hypothesis" in other) describeChosen(root, numbers, chosen);
    if (other.zoom) stage.zoomTo(other.zoom);
  }

  /** The animated still moves at once, to and fro, unless the reader wants calm. */
  function wake() {
    settings.loop = "bounce";
    transport.reflect();
    if (!isCalm) transport.clock.start();
  }

  function save() {
    savePicture(stage.canvas, all, numbers.frames[settings.position]);
  }

  /** @param {number[]} pins */
  function pin(pins) {
    change({ pins: pins.slice(-MOST_PINS) });
    describePins(root, numbers, settings.pins, settings.position);
  }

  /** @param {number[] | null} points */
  function choose(points) {
    settings.chosen = points && [...points].sort((a, b) => a - b);
    chosen = points && new Set(points);
    stage.show(moment());
    rememberSoon();
    describeChosen(root, numbers, chosen);
  }

  const shortcuts = [...shortcutsOf(all, () => settings, change, [stage], transport), { keys: ["k"], text: "keep the picture as PNG", act: save }];
  find("sheet").innerHTML = keySheet([...shortcuts, ...MARKING_KEYS]);
  listenToKeys(shortcuts, () => find("sheet").showModal(), signal);
  find("help").addEventListener("click", () => find("sheet").showModal());
  listen(root, change);
  listenToSaving(root, all, save);
  listenToPins(root, all, pin, () => settings.pins);
  listenToMarks(root, stage, (point) => pin(toggled(settings.pins, point)));
  find("deselect").addEventListener("click", () => choose(null));
  find("save-csv").addEventListener("click", () => {
    saveFile(new Blob([csvOf(numbers, settings.chosen ?? [])], { type: "text/csv" }), "stillmotion-selection.csv");
  });
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-select]"))) {
    const word = button.dataset.select ?? "";
    button.addEventListener("click", () => choose(pointsOf(word, numbers, settings.position, stage.ranges(), settings.pins)));
  }
  window.addEventListener("hashchange", () => {
    const { position = numbers.rows[settings.position], ...others } = readAddress(all);
    const asked = Object.fromEntries(Object.keys(choices(all)).map((name) => [name, initialSettings(all)[/** @type {keyof Settings} */ (name)]]));
    change({ ...asked, ...others });
    choose(others.chosen ?? null);
    transport.stopAt(positionAt(numbers, all.frames[position]));
  }, { signal });
  onOtherTheme(() => {
    courses.show(numbers, settings.pins, settings.position);
    describeChosen(root, numbers, chosen);
  }, signal);
  signal?.addEventListener("abort", () => {
    transport.clock.stop();
    clearTimeout(remembering);
    stage.close();
    courses.close();
    frames.close();
  });

  reflect(root, settings, colours, numbers);
  const opened = stage.open(layout, moment());
  describe(); // all that there is to see is there; axes, zoom and hovering follow
  await opened;
  describe();
  courses.show(numbers, settings.pins, settings.position);
  describeChosen(root, numbers, chosen);
  frames.prepare(numbers.rows[settings.position], 1);
  // A long clip shows little at its first frame; the reader who asked for a moment or for calm gets that.
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!isCalm && !isAsked && (!isShort(all) || settings.motion === "still")) transport.clock.start();
  return stage.plot;
}

/** The numbers that the settings ask for. @param {Numbers} all @param {Settings} settings */
function variant(all, { camera, hypothesis }) {
  if (camera === "removed" && all.camera.homographies) return withoutCamera(all);
  if (hypothesis === "likely") return withLikeliestWay(all);
  return /^\d+$/.test(hypothesis) ? withHypothesis(all, Number(hypothesis)) : all;
}
