// @ts-check
// A comparison's two stages: a run beside its reference, or both in one, on one clock and with one zoom.

import { frameAddresses } from "./api.js";
import { byId } from "./dom.js";
import { finder, listen } from "./viewer/controls.js";
import { colouring } from "./viewer/colours.js";
import { Frames } from "./viewer/frames.js";
import { keySheet, listenToKeys, shortcutsOf } from "./viewer/keys.js";
import { positionAt, readNumbers } from "./viewer/numbers.js";
import { initialSettings } from "./viewer/settings.js";
import { Stage } from "./viewer/stage.js";
import { TRANSPORT, Transport } from "./viewer/transport.js";
import { homographiesToFirst, withoutCamera } from "./viewer/variants.js";

/**
 * @import { Numbers } from "./viewer/numbers.js"
 * @import { Settings } from "./viewer/settings.js"
 *
 * One of the two: its stage, numbers and pictures.
 * @typedef {{ stage: Stage, numbers: Numbers, frames: Frames, toFirst: (number[] | null)[], settings: Settings,
 *   colours: ReturnType<typeof colouring> }} Side
 */

/**
 * Show both runs, and return what pins points in them.
 * @param {{ candidate: Figure, reference: Figure }} figures @param {{ candidate: Run, reference: Run }} runs
 * @param {number[]} common frames of the clip that both know
 * @param {boolean} isRemoved whether the camera's motion is taken out @param {AbortSignal} signal ends it
 */
export async function showStages(figures, runs, common, isRemoved, signal) {
  const root = byId("stages");
  byId("transport").innerHTML = `${TRANSPORT}<dialog class="viewer-sheet surface"></dialog>`;
  const theirs = numbersOf(figures.reference, runs.reference, isRemoved);
  const ours = beside(numbersOf(figures.candidate, runs.candidate, isRemoved), theirs);
  const clockNumbers = { ...ours, frames: common, count: common.length, position: common.length - 1 };
  const settings = { ...initialSettings(clockNumbers), motion: "arrows" };
  /** @type {Side[]} */
  const sides = [sideOf("candidate", ours, runs.candidate), sideOf("reference", theirs, runs.reference)];

  /** @param {"candidate" | "reference"} name @param {Numbers} numbers @param {Run} run @returns {Side} */
  function sideOf(name, numbers, run) {
    const area = byId(`${name}-stage`);
    area.style.setProperty("--frame-width", `${numbers.width}`);
    area.style.setProperty("--frame-height", `${numbers.height}`);
    area.querySelector(".viewer-plot")?.setAttribute("aria-label", `Trajectories over the frame. ${numbers.summary}`);
    const stage = new Stage(area, {
      click: (point) => pin([point]),
      select: () => {},
      zoom: () => follow(stage),
      save: () => {},
    });
    const pictures = new Frames(frameAddresses(run, figures[name]), figures[name].layout.meta.stillmotion.frames.length);
    const own = { ...initialSettings(numbers), hypothesis: "answer", motion: "arrows", trail: settings.trail };
    if (numbers.withheld && numbers.hypotheses) own.hypothesis = "all";
    const toFirst = isRemoved && !run.is_prediction ? homographiesToFirst(readNumbers(figures[name].layout.meta.stillmotion)) : [];
    return { stage, numbers, frames: pictures, toFirst, settings: own, colours: colouring("direction", numbers) };
  }

  /** Let the other stage show the same part of the frame. @param {Stage} moved */
  function follow(moved) {
    for (const { stage } of sides) {
      if (stage === moved || byId("reference-panel").hidden) continue;
      const [wanted, there] = [moved.ranges(), stage.ranges()];
      if (wanted.some((value, k) => Math.abs(value - there[k]) > 1e-6)) stage.zoomTo(wanted);
    }
  }

  /** @param {Side} side @param {ImageBitmap | null} bitmap */
  function momentOf({ numbers, settings: own, colours, toFirst }, bitmap) {
    const position = own.position;
    return { numbers, settings: own, colouring: colours, position, time: position, bitmap,
      homography: toFirst[numbers.rows[position]] ?? null, chosen: null, hovered: -1 };
  }

  let wanted = settings.position;
  /** @param {number} time */
  async function show(time) {
    wanted = Math.floor(time + 1e-6);
    const place = wanted;
    const bitmaps = await Promise.all(sides.map(({ frames, numbers }) => {
      const row = numbers.rows[positionAt(numbers, common[place])];
      return frames.now(row) ?? frames.get(row).catch(() => null);
    }));
    if (wanted !== place || signal.aborted) return;
    settings.position = place;
    sides.forEach((side, k) => {
      side.settings = { ...side.settings, position: positionAt(side.numbers, common[place]) };
      side.stage.show(momentOf(side, bitmaps[k]));
      side.frames.prepare(side.numbers.rows[side.settings.position], transport.clock.direction);
    });
    transport.describe(place);
    root.dataset.position = `${place}`;
  }

  /** @param {Partial<Settings>} changed */
  function change(changed) {
    Object.assign(settings, changed);
    transport.reflect();
    const { position, speed, loop, from, to, pins, zoom, ...look } = { ...settings, ...changed };
    for (const side of sides) {
      const own = Object.fromEntries(Object.keys(changed).filter((name) => name in look).map((name) => [name, settings[/** @type {keyof Settings} */ (name)]]));
      Object.assign(side.settings, own);
      side.colours = colouring(side.settings.colour, side.numbers);
    }
    show(settings.position);
  }

  /** @param {number[]} pins */
  function pin(pins) {
    for (const side of sides) side.settings.pins = pins;
    show(settings.position);
  }

  /** Both in one stage, or one beside the other. */
  function arrange() {
    const isOver = byId("arrangement").value === "over";
    byId("reference-panel").hidden = isOver;
    root.classList.toggle("is-over", isOver);
    sides[0].settings.truth = isOver;
    show(settings.position).then(() => window.dispatchEvent(new Event("resize")));
  }

  const transport = new Transport(byId("transport"), clockNumbers, settings, {
    show,
    change,
    isReady: (place) => sides.every(({ frames, numbers }) => {
      const row = numbers.rows[positionAt(numbers, common[place])];
      if (!frames.now(row)) frames.get(row).catch(() => null);
      return frames.now(row);
    }),
  });
  listen(byId("transport"), change);
  const shortcuts = shortcutsOf({ ...ours, camera: theirs.camera, moving: undefined, is_prediction: false, hypotheses: undefined },
    () => settings, change, sides.map(({ stage }) => stage), transport).filter(({ keys }) => keys[0] !== "m");
  const sheet = finder(byId("transport"))("sheet");
  sheet.innerHTML = keySheet(shortcuts);
  listenToKeys(shortcuts, () => sheet.showModal(), signal);
  byId("arrangement").addEventListener("change", arrange, { signal });
  signal.addEventListener("abort", () => {
    transport.clock.stop();
    for (const { stage, frames } of sides) {
      stage.close();
      frames.close();
    }
  });

  for (const [k, side] of sides.entries()) {
    side.settings.position = positionAt(side.numbers, common[settings.position]);
    const bitmap = await side.frames.get(side.numbers.rows[side.settings.position]).catch(() => null);
    await side.stage.open(Object.values(figures)[k].layout, momentOf(side, bitmap));
  }
  arrange();
  return pin;
}

/** A figure's numbers as they are compared. @param {Figure} figure @param {Run} run @param {boolean} isRemoved */
function numbersOf({ layout }, run, isRemoved) {
  const numbers = readNumbers(layout.meta.stillmotion);
  return isRemoved && !run.is_prediction && numbers.camera.homographies ? withoutCamera(numbers) : numbers;
}

/** The numbers with the reference's paths as what is true, for one stage with both. @param {Numbers} ours @param {Numbers} theirs @returns {Numbers} */
function beside(ours, theirs) {
  const { points } = ours;
  const xy = new Float32Array(2 * ours.count * points);
  const visible = new Uint8Array(ours.count * points);
  ours.frames.forEach((frame, index) => {
    const row = theirs.frames.indexOf(frame);
    if (row < 0 || theirs.points !== points) return;
    xy.set(theirs.xy.subarray(2 * row * points, 2 * (row + 1) * points), 2 * index * points);
    for (let point = 0; point < points; point++) {
      visible[index * points + point] = Number(theirs.visibility[row * points + point] > 127);
    }
  });
  return { ...ours, truth: { xy, points, visible, summary: "" } };
}
