// @ts-check
// The viewer: tracks over their frames, with a slider, colours, trails and hover values.
//
// These modules serve the web pages and the self-contained HTML file, which holds them as one. They need the global
// `Plotly` and a figure made by model/overlay/figure.py, whose layout.meta.stillmotion holds the raw numbers.

import { buildControls, finder, listen, paintRange, reflect } from "./controls.js";
import { MODEBAR, PLOT_OPTIONS, drawStep, traces } from "./drawing.js";
import { isVisible, readNumbers } from "./numbers.js";
import { FrameCache, Player } from "./playback.js";
import { OPTIONS, SHORT, initialSettings, offeredOptions, readHash, writeHash } from "./settings.js";

/** @import { Settings } from "./settings.js" */

/**
 * Show tracks in `root`, an empty element, and return the plot.
 *
 * @param {HTMLElement} root
 * @param {Figure} figure from figure.py
 * @param {(position: number) => string} frameUrl the URL of a frame
 * @param {{ signal?: AbortSignal, switchCamera?: (isRemoved: boolean) => void }} [options] the signal ends the viewer,
 *   so that another can take its place, as it must to show the tracks with the camera removed, or as filmed
 */
export async function showViewer(root, { layout }, frameUrl, { signal, switchCamera } = {}) {
  const numbers = readNumbers(layout.meta.stillmotion);
  const settings = { ...initialSettings(numbers), ...readHash(numbers) };
  const isAsked = location.hash.includes("frame=");
  const frames = new FrameCache(frameUrl, numbers.count);
  buildControls(root, numbers, settings, Boolean(switchCamera));
  const find = finder(root);
  const slider = find("slider");
  const picture = await frames.get(settings.position).catch(() => layout.images[0].source);
  const plot = await newPlot(find("plot"));

  /** @param {HTMLElement} element */
  function newPlot(element) {
    layout.uirevision = "keep"; // zoom survives every change of data
    const font = { family: getComputedStyle(root).fontFamily, color: "#eef2f6", size: 12.5 };
    layout.hoverlabel = { bgcolor: "#11151b", bordercolor: "#3a4553", font };
    layout.modebar = MODEBAR;
    layout.images[0].source = picture;
    return Plotly.newPlot(element, traces(numbers, settings, element.clientWidth), layout, PLOT_OPTIONS);
  }

  // Only the newest wish is drawn: a fast drag over the slider never queues up.
  let wanted = settings.position;
  /** @type {Promise<void> | null} */
  let drawing = null;
  /** @param {number} position */
  function show(position) {
    wanted = Math.max(0, Math.min(numbers.count - 1, position));
    slider.value = `${wanted}`;
    drawing ??= drawWanted().finally(() => (drawing = null));
    return drawing;
  }
  async function drawWanted() {
    while (wanted !== settings.position) {
      const position = wanted;
      const late = setTimeout(() => notice(`Loading frame ${numbers.frames[position]} …`), 250);
      let source = "";
      try {
        source = await frames.get(position);
        notice("");
      } catch (error) {
        const reason = error instanceof Error ? error.message : error;
        notice(`Frame ${numbers.frames[position]} could not be loaded (${reason}).`);
      } finally {
        clearTimeout(late);
      }
      settings.position = position;
      await drawStep(plot, numbers, settings, source);
      describe();
      frames.prepare(position);
    }
  }

  /** @param {string} text */
  function notice(text) {
    find("notice").textContent = text;
    find("notice").hidden = text === "";
  }
  function describe() {
    const index = settings.position;
    const frame = numbers.frames[index];
    const time = numbers.fps > 0 ? `${(frame / numbers.fps).toFixed(2)} s` : "";
    const place = `${index + 1} of ${numbers.count}`;
    find("readout").innerHTML = `<b>frame ${frame}</b><span>${time ? `${time} · ` : ""}${place}</span>`;
    slider.value = `${index}`;
    slider.setAttribute("aria-valuetext", `frame ${frame}${time ? `, ${time}` : ""}, ${place}`);
    paintRange(slider);
    let visible = 0;
    for (let point = 0; point < numbers.points; point++) visible += Number(isVisible(numbers, index, point));
    const what = numbers.is_prediction ? "expected inside the image" : "visible";
    find("visible").textContent =
      `${visible.toLocaleString("en")} of ${numbers.points.toLocaleString("en")} ${what} in this frame.`;
    root.dataset.position = `${index}`;
    rememberSoon();
  }
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let remembering;
  function rememberSoon() {
    clearTimeout(remembering); // browsers limit how often the address may change
    remembering = setTimeout(() => writeHash(settings, numbers), 250);
  }

  /** @param {Partial<Settings>} changed */
  async function change(changed) {
    Object.assign(settings, changed);
    reflect(root, settings);
    if (Object.keys(changed).every((name) => name === "rate" || name === "shade")) return;
    await Plotly.react(plot, traces(numbers, settings, plot.clientWidth), plot.layout, PLOT_OPTIONS);
    rememberSoon();
  }

  /** @param {boolean} isRemoved */
  function changeCamera(isRemoved) {
    if (isRemoved && numbers.camera.reason) return;
    writeHash(settings, numbers); // the next viewer reads it
    switchCamera?.(isRemoved);
  }

  const player = new Player({
    advance: () => show((settings.position + 1) % numbers.count),
    rate: () => settings.rate,
    atEnd: () => settings.position === numbers.count - 1,
    changed: (isPlaying) => {
      root.classList.toggle("is-playing", isPlaying);
      find("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    },
  });
  /** @param {number} position */
  function stopAndShow(position) {
    player.stop();
    show(position);
  }

  /** What a key does, if it does something there. @param {string} key @param {Element} target */
  function actionOf(key, target) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[key];
    const letter = key.toLowerCase();
    const option = offeredOptions(numbers).find((name) => OPTIONS[name] === letter);
    const factor = { "+": 0.8, "=": 0.8, "-": 1.25 }[key];
    if (key === " " && !target.closest("button, a, summary, [type=checkbox]")) return () => player.toggle();
    if (step && !target.closest("input")) return () => stopAndShow(wanted + step);
    if (letter === "c") return () => change({ colour: settings.colour === "direction" ? "speed" : "direction" });
    if (letter === "h") return () => change({ hidden: settings.hidden === "dim" ? "hide" : "dim" });
    if (letter === "m" && switchCamera) return () => changeCamera(!numbers.camera.is_removed);
    if (option) return () => change({ [option]: !settings[option] });
    if (factor) return () => zoom(plot, factor);
    if (key === "0") return () => resetZoom(plot, numbers);
    return null;
  }

  find("play").addEventListener("click", () => player.toggle());
  slider.addEventListener("input", () => stopAndShow(Number(slider.value)));
  listen(root, change);
  for (const choice of /** @type {NodeListOf<PageElement>} */ (root.querySelectorAll("[name=viewer-camera]"))) {
    choice.addEventListener("input", () => changeCamera(choice.value === "removed"));
  }
  plot.on("plotly_doubleclick", () => resetZoom(plot, numbers));
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(target)) return;
    const action = actionOf(event.key, target);
    action?.();
    if (action) event.preventDefault();
  }, { signal });
  window.addEventListener("hashchange", () => {
    const before = JSON.stringify(settings);
    const { position = settings.position, ...others } = readHash(numbers);
    if (JSON.stringify({ ...settings, ...others }) !== before) change(others);
    show(position);
  }, { signal });
  signal?.addEventListener("abort", () => {
    player.stop();
    clearTimeout(remembering);
    Plotly.purge(plot);
  });

  describe();
  reflect(root, settings);
  frames.prepare(settings.position);
  // A long clip shows little at its first frame; the reader who asked for a moment or for calm gets that.
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (numbers.count > SHORT && !isAsked && !isCalm) player.start();
  return plot;
}

/** @param {Element} target */
const isTyping = (target) =>
  target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");

/** @param {PlotElement} plot @param {number} factor of what is shown */
function zoom(plot, factor) {
  const around = (/** @type {number[]} */ [low, high]) => {
    const centre = (low + high) / 2;
    return [centre + (low - centre) * factor, centre + (high - centre) * factor];
  };
  const { xaxis, yaxis } = plot.layout;
  return Plotly.relayout(plot, { "xaxis.range": around(xaxis.range), "yaxis.range": around(yaxis.range) });
}

/** @param {PlotElement} plot @param {{ width: number, height: number }} frame */
const resetZoom = (plot, { width, height }) =>
  Plotly.relayout(plot, { "xaxis.range": [-0.5, width - 0.5], "yaxis.range": [height - 0.5, -0.5] });
