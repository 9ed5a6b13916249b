// @ts-check
// What a run has tracked so far, drawn over its newest frame while it works.

import { frameAddresses, request } from "./api.js";
import { byId } from "./dom.js";
import { colouring } from "./viewer/colours.js";
import { load } from "./viewer/frames.js";
import { readNumbers } from "./viewer/numbers.js";
import { Painter } from "./viewer/painter.js";
import { initialSettings } from "./viewer/settings.js";

const painter = new Painter();
let shown = 0; // frames
let isBusy = false;

/** @param {Run} run */
export async function showPartial(run) {
  const frames = run.tracked_frames ?? 0;
  if (isBusy || frames === shown || !run.links.figure) return;
  isBusy = true;
  try {
    /** @type {Figure} */
    const figure = await request(run.links.figure);
    const numbers = readNumbers(figure.layout.meta.stillmotion);
    const position = numbers.count - 1;
    const bitmap = await load(frameAddresses(run, figure)(position));
    const settings = { ...initialSettings(numbers), position };
    const moment = {
      numbers, settings, position, time: position, bitmap, colouring: colouring("direction", numbers),
      homography: null, chosen: null, hovered: -1,
    };
    paint(moment);
    shown = frames;
  } catch (error) {
    console.info(`Not drawn so far: ${error}`); // the run has gone on meanwhile; the next look shows it
  } finally {
    isBusy = false;
  }
}

/** @param {import("./viewer/painter.js").Moment} moment */
function paint(moment) {
  const canvas = /** @type {HTMLCanvasElement} */ (document.querySelector(".waiting-stage canvas"));
  const { width, height } = moment.numbers;
  const density = Math.min(2, devicePixelRatio);
  const room = { width: Math.round(density * canvas.clientWidth), height: Math.round(density * canvas.clientHeight) };
  Object.assign(canvas, room);
  const scale = Math.min(room.width / width, room.height / height);
  const [left, top] = [(room.width - scale * width) / 2, (room.height - scale * height) / 2];
  painter.paint(canvas, moment, { ...room, density, scale, left: left + scale / 2, top: top + scale / 2 });
  canvas.dataset.frames = `${moment.numbers.count}`;
  byId("waiting-picture").style.opacity = "0";
}
