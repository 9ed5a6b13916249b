// The viewer: tracks over their frames, with a slider, colours, trails and hover values.
//
// One module for the web page and for the self-contained HTML file. It needs the global `Plotly` and a figure
// made by model/overlay/figure.py, whose layout.meta.stillmotion holds the raw numbers.

const ARRAYS = { f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };
const INTERVAL_HOVER =
  "<br>90 %: x %{customdata[5]:.1f} to %{customdata[6]:.1f}<br>90 %: y %{customdata[7]:.1f} to %{customdata[8]:.1f}";
const HIDDEN_OPACITY = 0.3;
const HIDDEN_COLOUR = "rgba(215, 224, 234, 0.2)";
const OUTLINE = "rgba(8, 12, 18, 0.65)"; // heads stay visible on bright frames
const SEAM = { size: 7, color: "rgba(8, 12, 18, 0.5)", line: { width: 1.5, color: "#ffffff" } };
const TRUTH_LINE = { color: "#ffffff", width: 1.2, dash: "dash" };
const INTERVAL_OPACITY = { least: 0.18, most: 0.45, uncrowded: 64 }; // up to so many points they are drawn boldest
const WAYS = { color: [255, 209, 128], shades: [[0.3, 0.8], [0.1, 0.45], [0.02, 0.2]] }; // least weight, opacity
const OPTION_KEYS = { u: "interval", y: "hypotheses", s: "seams", t: "truth" }; // what can be shown beside the tracks
const OPTIONS = Object.values(OPTION_KEYS);
const NEGLIGIBLE = 0.1; // pixels of the frame
const SHORT = 16; // frames up to which whole paths are shown at first and playback is slow
const LOOP_PAUSE = 500; // milliseconds that playback rests on the last frame
const KEPT_FRAMES = 400;
const AHEAD = 16;

const MARKUP = `
  <div class="viewer-main">
    <div class="viewer-stage">
      <div class="viewer-plot" role="img"></div>
      <p class="viewer-notice" role="status" hidden></p>
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
      <kbd>H</kbd> hidden points <span class="viewer-key-interval"><kbd>U</kbd> 90 % interval</span>
      <span class="viewer-key-hypotheses"><kbd>Y</kbd> hypotheses</span>
      <span class="viewer-key-seams"><kbd>S</kbd> seams</span>
      <span class="viewer-key-truth"><kbd>T</kbd> true motion</span> <kbd>+</kbd><kbd>−</kbd><kbd>0</kbd> zoom</p>
  </div>
  <div class="viewer-side">
    <section class="viewer-card">
      <h2>Summary</h2>
      <p class="viewer-summary"></p>
      <p class="viewer-visible"></p>
      <p class="viewer-error" hidden></p>
    </section>
    <section class="viewer-card">
      <h2>Colour</h2>
      <div class="viewer-choice" role="radiogroup" aria-label="Colour by">
        <label><input type="radio" name="viewer-colour" value="direction"><span>Direction</span></label>
        <label><input type="radio" name="viewer-colour" value="speed"><span>Speed</span></label>
      </div>
      <div class="viewer-legend" data-for="direction">
        <div class="viewer-wheel-box" aria-hidden="true">
          <div class="viewer-wheel"></div><i>↑</i><i>→</i><i>↓</i><i>←</i>
        </div>
        <p>Where a point ends, seen from where it starts. Grey: it stays within half a pixel.</p>
      </div>
      <div class="viewer-legend" data-for="speed">
        <div class="viewer-scale">
          <div class="viewer-bar" aria-hidden="true"></div>
          <div class="viewer-ticks"><span>0</span><span></span><span></span></div>
        </div>
        <p>Mean speed along the whole path, in pixels per frame of the clip.</p>
      </div>
    </section>
    <section class="viewer-card viewer-settings">
      <h2>View</h2>
      <label>Paths <select class="viewer-trail"></select></label>
      <label>Hidden points <select class="viewer-hidden">
        <option value="dim">dimmed</option><option value="hide">left out</option></select></label>
      <label>Playback <select class="viewer-rate"></select></label>
      <label>Brightness <input type="range" class="viewer-shade" min="20" max="100" step="5"></label>
      <label class="viewer-switch" data-for="interval"><input type="checkbox" class="viewer-interval">
        <span>90 % interval <small><i class="viewer-box" aria-hidden="true"></i> where a point is expected in this frame:
        its x and its y each lie in the box with a probability of 90 %</small></span></label>
      <label class="viewer-switch" data-for="hypotheses"><input type="checkbox" class="viewer-hypotheses">
        <span>Hypotheses <small><i class="viewer-way" aria-hidden="true"></i> all ways that a point may go: the brighter,
        the likelier</small></span></label>
      <label class="viewer-switch" data-for="seams"><input type="checkbox" class="viewer-seams">
        <span>Chunk seams <small><i class="viewer-ring" aria-hidden="true"></i> where a chunk of frames handed a point
        on to the next</small></span></label>
      <label class="viewer-switch" data-for="truth"><input type="checkbox" class="viewer-truth">
        <span>True motion <small><i class="viewer-dash" aria-hidden="true"></i> what the points really do</small></span></label>
    </section>
  </div>`;

/**
 * Show tracks in `root`.
 *
 * root: an empty element. figure: {data, layout} from figure.py. frameUrl: position -> URL of that frame.
 * signal: ends the viewer, so that another can take its place in `root`.
 * Returns an object with `show(position)` and `state`, for pages and tests.
 */
export async function showViewer(root, figure, frameUrl, { signal } = {}) {
  const numbers = readNumbers(figure.layout.meta.stillmotion);
  const state = initialState(numbers);
  const isAsked = location.hash.includes("frame=");
  const frames = new FrameCache(frameUrl, numbers.count);
  root.classList.add("viewer");
  root.innerHTML = MARKUP;
  const find = (name) => root.querySelector(`.viewer-${name}`);
  const plot = find("plot");
  const stage = find("stage");
  const slider = find("slider");

  stage.style.setProperty("--frame-width", numbers.width);
  stage.style.setProperty("--frame-height", numbers.height);
  find("summary").textContent = numbers.summary;
  plot.setAttribute("aria-label", `Trajectories over the frame. ${numbers.summary}`);
  slider.max = numbers.count - 1;
  slider.disabled = find("play").disabled = numbers.count < 2;
  fillSelects(root, numbers, state);
  paintLegends(root, numbers);
  for (const name of OPTIONS) {
    const isThere = isOffered(numbers, name);
    root.querySelector(`.viewer-switch[data-for=${name}]`).hidden = find(`key-${name}`).hidden = !isThere;
  }
  find("error").textContent = numbers.truth?.summary ?? "";
  find("error").hidden = !numbers.truth;

  const layout = figure.layout;
  layout.uirevision = "keep"; // zoom survives every change of data
  const font = { family: getComputedStyle(root).fontFamily, color: "#eef2f6", size: 12.5 };
  layout.hoverlabel = { bgcolor: "#11151b", bordercolor: "#3a4553", font };
  layout.modebar = { bgcolor: "rgba(7, 9, 12, 0.55)", color: "#c6d0dc", activecolor: "#ffffff" };
  layout.images[0].source = await frames.get(state.position).catch(() => layout.images[0].source);
  numbers.sizes = sizesFor(numbers, plot.getBoundingClientRect().width, state.tips);
  await Plotly.newPlot(plot, traces(numbers, state), layout, {
    displaylogo: false,
    responsive: true,
    scrollZoom: true,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    toImageButtonOptions: { filename: "stillmotion", scale: 2 },
  });
  describe();

  // Only the newest wish is drawn: a fast drag over the slider never queues up.
  let wanted = state.position;
  let drawing = null;
  function show(position) {
    wanted = Math.max(0, Math.min(numbers.count - 1, position));
    slider.value = wanted;
    drawing ??= drawWanted().finally(() => (drawing = null));
    return drawing;
  }
  async function drawWanted() {
    while (wanted !== state.position) {
      const position = wanted;
      const late = setTimeout(() => notice(`Loading frame ${numbers.frames[position]} …`), 250);
      let source = "";
      try {
        source = await frames.get(position);
        notice("");
      } catch (error) {
        notice(`Frame ${numbers.frames[position]} could not be loaded (${error.message}).`);
      } finally {
        clearTimeout(late);
      }
      state.position = position;
      await drawStep(plot, numbers, state, source);
      describe();
      frames.prepare(position);
    }
  }
  function notice(text) {
    find("notice").textContent = text;
    find("notice").hidden = text === "";
  }
  function describe() {
    const index = state.position;
    const frame = numbers.frames[index];
    const time = numbers.fps > 0 ? `${(frame / numbers.fps).toFixed(2)} s` : "";
    const place = `${index + 1} of ${numbers.count}`;
    find("readout").innerHTML =
      `<b>frame ${frame}</b><span>${time ? `${time} · ` : ""}${place}</span>`;
    slider.value = index;
    slider.setAttribute("aria-valuetext", `frame ${frame}${time ? `, ${time}` : ""}, ${place}`);
    slider.style.setProperty("--done", `${(100 * index) / Math.max(1, numbers.count - 1)}%`);
    let visible = 0;
    for (let point = 0; point < numbers.points; point++) visible += isVisible(numbers, index, point);
    const what = numbers.is_prediction ? "expected inside the image" : "visible";
    find("visible").textContent =
      `${visible.toLocaleString("en")} of ${numbers.points.toLocaleString("en")} ${what} in this frame.`;
    root.dataset.position = index;
    writeHash(state, numbers);
  }
  async function redraw() {
    reflect(root, state);
    await Plotly.react(plot, traces(numbers, state), plot.layout, plot._context);
    writeHash(state, numbers);
  }

  const player = new Player({
    advance: () => show((state.position + 1) % numbers.count),
    rate: () => state.rate,
    atEnd: () => state.position === numbers.count - 1,
    changed: (playing) => {
      root.classList.toggle("is-playing", playing);
      find("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    },
  });
  find("play").addEventListener("click", () => player.toggle());
  slider.addEventListener("input", () => {
    player.stop();
    show(Number(slider.value));
  });
  for (const radio of root.querySelectorAll("[name=viewer-colour]")) {
    radio.addEventListener("change", () => {
      state.colour = radio.value;
      redraw();
    });
  }
  find("trail").addEventListener("change", (event) => {
    state.trail = event.target.value;
    redraw();
  });
  find("hidden").addEventListener("change", (event) => {
    state.hidden = event.target.value;
    redraw();
  });
  for (const name of OPTIONS) {
    find(name).addEventListener("change", (event) => {
      state[name] = event.target.checked;
      redraw();
    });
  }
  find("rate").addEventListener("change", (event) => (state.rate = Number(event.target.value)));
  find("shade").addEventListener("input", (event) => {
    state.shade = Number(event.target.value);
    reflect(root, state);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
    if (event.key === " " && !event.target.closest("button, a, summary, [type=checkbox]")) player.toggle();
    else if (step && !event.target.closest("input")) {
      player.stop();
      show(wanted + step);
    } else if (event.key === "c" || event.key === "C") {
      state.colour = state.colour === "direction" ? "speed" : "direction";
      redraw();
    } else if (event.key === "h" || event.key === "H") {
      state.hidden = state.hidden === "dim" ? "hide" : "dim";
      redraw();
    } else if (isOffered(numbers, OPTION_KEYS[event.key.toLowerCase()])) {
      const name = OPTION_KEYS[event.key.toLowerCase()];
      state[name] = !state[name];
      redraw();
    } else if (event.key === "+" || event.key === "=") zoom(plot, 0.8);
    else if (event.key === "-") zoom(plot, 1.25);
    else if (event.key === "0") resetZoom(plot, numbers);
    else return;
    event.preventDefault();
  }, { signal });
  plot.on("plotly_doubleclick", () => resetZoom(plot, numbers));
  window.addEventListener("hashchange", () => {
    const before = JSON.stringify(state);
    const { position, ...settings } = { ...state, ...readHash(numbers) };
    Object.assign(state, settings);
    if (JSON.stringify(state) !== before) redraw();
    show(position);
  }, { signal });
  signal?.addEventListener("abort", () => {
    player.stop();
    clearTimeout(hashTimer);
    Plotly.purge(plot);
  });

  reflect(root, state);
  frames.prepare(state.position);
  // A long clip shows little at its first frame; the reader who asked for a moment or for calm gets that.
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (numbers.count > SHORT && !isAsked && !isCalm) player.start();
  return { show, state, plot, numbers };
}

// ---- numbers -------------------------------------------------------------------------------------------

export function readNumbers(meta) {
  const colourings = {};
  for (const [name, way] of Object.entries(meta.colourings)) {
    const bins = decode(way.bins);
    const groups = way.colours.map(() => []);
    bins.forEach((bin, point) => groups[bin].push(point));
    colourings[name] = { ...way, bins, groups };
  }
  const visibility = decode(meta.visibility);
  const count = meta.frames.length;
  return {
    ...meta,
    colourings,
    count,
    height: meta.size[0],
    width: meta.size[1],
    points: visibility.length / count,
    xy: positions(meta),
    visibility,
    handovers: decode(meta.handovers),
    truth: meta.truth && readTruth(meta.truth, count),
    interval: meta.interval && { low: positions(meta.interval.low), high: positions(meta.interval.high) },
    hypotheses: meta.hypotheses && { xy: positions(meta.hypotheses), weights: decode(meta.hypotheses.weights) },
  };
}

/** Whether there is something of this name to show beside the tracks. */
function isOffered(numbers, name) {
  return name === "seams" ? numbers.handovers.length > 0 : OPTIONS.includes(name) && Boolean(numbers[name]);
}

function readTruth(truth, count) {
  const visible = decode(truth.visible);
  return { xy: positions(truth), visible, points: visible.length / count, summary: truth.summary };
}

/** Positions as x, y, x, y, ...; many travel as whole numbers of steps from an origin. */
function positions({ points, scale }) {
  const values = decode(points);
  return scale ? Float32Array.from(values, (value, k) => scale.origin[k % 2] + scale.step * value) : values;
}

function decode(array) {
  if (!array.bdata) return Uint8Array.from([]); // Plotly writes an empty array as a plain list
  const bytes = Uint8Array.from(atob(array.bdata), (letter) => letter.charCodeAt(0));
  return new ARRAYS[array.dtype](bytes.buffer);
}

const isVisible = (numbers, index, point) => numbers.visibility[index * numbers.points + point] > 127;

// ---- traces --------------------------------------------------------------------------------------------

/** First and last position whose points the lines join, as [from, to]. */
function trailWindow(numbers, state) {
  if (state.trail === "all") return [0, numbers.count - 1];
  if (state.trail === "past") return [0, state.position];
  return [Math.max(0, state.position - Number(state.trail)), state.position];
}

function traces(numbers, state) {
  const way = numbers.colourings[state.colour];
  const lines = usedBins(way).map((bin) => ({
    type: "scattergl",
    mode: "lines",
    line: { color: way.colours[bin], width: numbers.sizes.line },
    hoverinfo: "skip",
    showlegend: false,
    meta: { role: "trails", bin },
  }));
  const hidden = {
    type: "scattergl",
    mode: "lines",
    line: { color: HIDDEN_COLOUR, width: 1 },
    hoverinfo: "skip",
    showlegend: false,
    meta: { role: "hidden" },
  };
  const all = [hidden, ...lines];
  if (numbers.hypotheses) all.push(...WAYS.shades.map(([, opacity]) => wayTrace(opacity)));
  if (numbers.interval) all.push(intervalTrace(numbers.points));
  if (numbers.truth) {
    const look = { type: "scattergl", mode: "lines", line: TRUTH_LINE, hoverinfo: "skip", showlegend: false };
    all.push({ ...look, meta: { role: "truth" } });
  }
  if (numbers.handovers.length > 0) {
    all.push({
      type: "scattergl",
      mode: "markers",
      marker: SEAM,
      hovertemplate: "handed on at frame %{customdata}<extra></extra>",
      showlegend: false,
      meta: { role: "seams" },
    });
  }
  const ranges = numbers.interval ? INTERVAL_HOVER : "";
  lineArrays(numbers, state).forEach((array, index) => Object.assign(all[index], array));
  const { x, y, opacity, customdata } = headArrays(numbers, state);
  all.push({
    type: "scattergl",
    mode: "markers",
    x,
    y,
    customdata,
    marker: {
      size: numbers.sizes.head,
      color: way.bins,
      cmin: 0,
      cmax: way.colours.length - 1,
      colorscale: way.colours.map((colour, bin) => [bin / (way.colours.length - 1), colour]),
      opacity,
      line: { width: numbers.sizes.head < 5 ? 0 : 1, color: OUTLINE },
    },
    hovertemplate:
      "<b>point %{customdata[0]}</b>  frame %{customdata[1]}<br>x %{x:.1f}  y %{y:.1f} px<br>" +
      "moved %{customdata[2]:.1f} px so far<br>speed %{customdata[3]:.2f} px/frame<br>" +
      `${numbers.is_prediction ? "inside the image" : "visibility"} %{customdata[4]:.0%}${ranges}<extra></extra>`,
    showlegend: false,
    meta: { role: "heads" },
  });
  return all;
}

/** Whole paths as arrows, for a picture that stands still: with tips, and a prediction's intervals at the end. */
export function arrowTraces(numbers, screenWidth) {
  const shown = { interval: true, hypotheses: Boolean(numbers.withheld), tips: true };
  const state = { position: numbers.count - 1, colour: "direction", trail: "all", hidden: "dim", ...shown };
  return traces({ ...numbers, sizes: sizesFor(numbers, screenWidth, state.tips) }, state);
}

/** The look of the intervals of `intervalArrays`: fainter where many would hide the picture. */
function intervalTrace(points) {
  const { least, most, uncrowded } = INTERVAL_OPACITY;
  const opacity = Math.max(least, most * Math.min(1, uncrowded / points));
  const line = { color: `rgba(255, 255, 255, ${opacity})`, width: 1 };
  const look = { type: "scattergl", mode: "lines", line, hoverinfo: "skip", showlegend: false };
  return { ...look, meta: { role: "interval" } };
}

/** The look of hypotheses of about one weight. */
function wayTrace(opacity) {
  const line = { color: `rgba(${WAYS.color.join(", ")}, ${opacity})`, width: 1 };
  return { type: "scattergl", mode: "lines", line, hoverinfo: "skip", showlegend: false, meta: { role: "hypotheses" } };
}

/** Heads and lines thin out where points are close to each other on the screen. */
function sizesFor(numbers, screenWidth, tips) {
  const spacing = screenWidth / Math.sqrt(Math.max(1, numbers.points));
  const head = Math.max(3.5, Math.min(7, 0.2 * spacing));
  return {
    head: tips ? Math.min(4, head) : head, // an arrow's tip must be seen beside it
    line: Math.max(1.1, Math.min(1.8, 0.05 * spacing)),
  };
}

const usedBins = (way) => way.groups.flatMap((group, bin) => (group.length ? [bin] : []));

/** Data in the order of the traces but the heads': hidden, colours in use, hypotheses, interval, truth and seams. */
function lineArrays(numbers, state) {
  const [from, to] = trailWindow(numbers, state);
  const way = numbers.colourings[state.colour];
  const everyone = Array.from({ length: numbers.points }, (_, point) => point);
  const nearHidden = (index, point) =>
    !isVisible(numbers, index, point) ||
    (index > from && !isVisible(numbers, index - 1, point)) ||
    (index < to && !isVisible(numbers, index + 1, point));
  const dimmed = state.hidden === "dim" ? everyone.filter((point) => someHidden(numbers, from, to, point)) : [];
  return [
    merge(numbers, dimmed, from, to, nearHidden),
    ...usedBins(way).map((bin) => {
      const lines = merge(numbers, way.groups[bin], from, to, (index, point) => isVisible(numbers, index, point));
      return state.tips ? withTips(numbers, way.groups[bin], to, lines) : lines;
    }),
    ...(numbers.hypotheses ? wayArrays(numbers, state, from, to) : []),
    ...(numbers.interval ? [intervalArrays(numbers, state.interval ? state.position : -1, state.hidden)] : []),
    ...(numbers.truth ? [truthArrays(numbers.truth, state.truth, from, to)] : []),
    ...(numbers.handovers.length > 0 ? [seamArrays(numbers, state, from, to)] : []),
  ];
}

/** Make arrows of paths: two short strokes where each ends. */
function withTips(numbers, points, to, { x, y }) {
  if (to === 0) return { x, y };
  const longest = 0.2 * Math.sqrt((numbers.width * numbers.height) / numbers.points);
  const tips = { x: [...x], y: [...y] };
  for (const point of points) {
    if (!isVisible(numbers, to, point)) continue;
    const [endX, endY] = positionOf(numbers, to, point);
    const [beginX, beginY] = positionOf(numbers, 0, point);
    const way = Math.hypot(endX - beginX, endY - beginY);
    if (way < 5 * NEGLIGIBLE) continue;
    const [beforeX, beforeY] = lastAway(numbers, point, to);
    const angle = Math.atan2(endY - beforeY, endX - beforeX);
    const length = Math.min(longest, 0.45 * way);
    for (const [turn, order] of [[2.6, 0], [-2.6, 1]]) {
      const stroke = [endX + length * Math.cos(angle + turn), endY + length * Math.sin(angle + turn)];
      tips.x.push(...(order ? [stroke[0], NaN] : [stroke[0], endX]));
      tips.y.push(...(order ? [stroke[1], NaN] : [stroke[1], endY]));
    }
  }
  return { x: Float32Array.from(tips.x), y: Float32Array.from(tips.y) };
}

/** Where a path last was clearly away from its end: what the arrow's tip points away from. */
function lastAway(numbers, point, to) {
  const [endX, endY] = positionOf(numbers, to, point);
  for (let index = to - 1; index > 0; index--) {
    const [x, y] = positionOf(numbers, index, point);
    if (Math.hypot(endX - x, endY - y) >= 5 * NEGLIGIBLE) return [x, y];
  }
  return positionOf(numbers, 0, point);
}

function positionOf({ xy, points }, index, point) {
  const place = 2 * (index * points + point);
  return [xy[place], xy[place + 1]];
}

/** Each point's interval in one frame as a rectangle, all in one line broken by NaN; position -1: none. */
function intervalArrays(numbers, position, hidden) {
  const { low, high } = numbers.interval;
  const x = [];
  const y = [];
  for (let point = 0; position >= 0 && point < numbers.points; point++) {
    if (hidden === "hide" && !isVisible(numbers, position, point)) continue;
    const place = 2 * (position * numbers.points + point);
    const [left, right, top, bottom] = [low[place], high[place], low[place + 1], high[place + 1]];
    if (Math.max(right - left, bottom - top) < NEGLIGIBLE) continue; // where it starts, it is known
    x.push(left, right, right, left, left, NaN);
    y.push(top, top, bottom, bottom, top, NaN);
  }
  return { x: Float32Array.from(x), y: Float32Array.from(y) };
}

/** The hypotheses' paths, one line for each shade of `WAYS`; what is hardly possible is left out. */
function wayArrays({ hypotheses, points, count }, state, from, to) {
  const { xy, weights } = hypotheses;
  return WAYS.shades.map(([least], shade) => {
    const most = shade ? WAYS.shades[shade - 1][0] : Infinity;
    const lines = [];
    for (let way = 0; state.hypotheses && way < weights.length / points; way++) {
      const chosen = [];
      for (let point = 0; point < points; point++) {
        const weight = weights[way * points + point] / 255;
        if (weight >= least && weight < most) chosen.push(point);
      }
      const own = xy.subarray(2 * way * count * points, 2 * (way + 1) * count * points);
      lines.push(merge({ xy: own, points }, chosen, from, to, () => true));
    }
    return { x: joined(lines.map(({ x }) => x)), y: joined(lines.map(({ y }) => y)) };
  });
}

function joined(arrays) {
  const all = new Float32Array(arrays.reduce((length, array) => length + array.length, 0));
  let length = 0;
  for (const array of arrays) {
    all.set(array, length);
    length += array.length;
  }
  return all;
}

function truthArrays(truth, isShown, from, to) {
  const everyone = isShown ? Array.from({ length: truth.points }, (_, point) => point) : [];
  return merge(truth, everyone, from, to, (index, point) => truth.visible[index * truth.points + point] === 1);
}

/** Where points were handed on, in the part of their paths that is shown. */
function seamArrays(numbers, state, from, to) {
  const { handovers, points, xy, frames } = numbers;
  const isShown = (seam) =>
    seam >= from * points &&
    seam < (to + 1) * points &&
    (state.hidden === "dim" || numbers.visibility[seam] > 127);
  const shown = state.seams ? handovers.filter(isShown) : [];
  return {
    x: Float32Array.from(shown, (seam) => xy[2 * seam]),
    y: Float32Array.from(shown, (seam) => xy[2 * seam + 1]),
    customdata: Array.from(shown, (seam) => frames[Math.floor(seam / points)]),
  };
}

function someHidden(numbers, from, to, point) {
  for (let index = from; index <= to; index++) if (!isVisible(numbers, index, point)) return true;
  return false;
}

/**
 * Join paths into one line, broken by NaN after each path and where `drawn` says no.
 *
 * Steps shorter than NEGLIGIBLE are joined to the next one: still points cost nothing to draw.
 */
function merge(numbers, points, from, to, drawn) {
  const longest = points.length * (to - from + 2);
  const x = new Float32Array(longest);
  const y = new Float32Array(longest);
  let length = 0;
  const add = (newX, newY) => {
    x[length] = newX;
    y[length++] = newY;
  };
  for (const point of points) {
    let isOpen = false; // a stretch has begun and goes on
    for (let index = from; index <= to; index++) {
      if (!drawn(index, point)) {
        if (isOpen) add(NaN, NaN);
        isOpen = false;
        continue;
      }
      const source = 2 * (index * numbers.points + point);
      const [newX, newY] = [numbers.xy[source], numbers.xy[source + 1]];
      const isEnd = index === to || !drawn(index + 1, point);
      const isNear = isOpen && Math.hypot(newX - x[length - 1], newY - y[length - 1]) < NEGLIGIBLE;
      if (!isNear || isEnd) add(newX, newY);
      isOpen = true;
    }
    if (isOpen) add(NaN, NaN);
  }
  return { x: x.slice(0, length), y: y.slice(0, length) };
}

function headArrays(numbers, state) {
  const { xy, points, frames } = numbers;
  const index = state.position;
  const end = numbers.count > 1 ? Math.max(1, index) : 0;
  const begin = Math.max(0, end - 1);
  const x = new Float32Array(points);
  const y = new Float32Array(points);
  const opacity = new Float32Array(points);
  const customdata = new Array(points);
  const distance = (a, b, point) =>
    Math.hypot(
      xy[2 * (a * points + point)] - xy[2 * (b * points + point)],
      xy[2 * (a * points + point) + 1] - xy[2 * (b * points + point) + 1],
    );
  for (let point = 0; point < points; point++) {
    const visible = isVisible(numbers, index, point);
    const shown = visible || state.hidden === "dim";
    x[point] = shown ? xy[2 * (index * points + point)] : NaN;
    y[point] = shown ? xy[2 * (index * points + point) + 1] : NaN;
    opacity[point] = visible ? 1 : HIDDEN_OPACITY;
    customdata[point] = [
      point,
      frames[index],
      distance(index, 0, point),
      distance(end, begin, point) / Math.max(1, frames[end] - frames[begin]),
      numbers.visibility[index * points + point] / 255,
      ...intervalOf(numbers, index, point),
    ];
  }
  return { x, y, opacity, customdata };
}

/** A point's interval as [left, right, top, bottom]; nothing where there is none. */
function intervalOf({ interval, points }, index, point) {
  if (!interval) return [];
  const place = 2 * (index * points + point);
  return [interval.low[place], interval.high[place], interval.low[place + 1], interval.high[place + 1]];
}

/** Draw another frame, changing only what moves: the picture, the heads, and lines that end there. */
function drawStep(plot, numbers, state, source) {
  const picture = source ? { "images[0].source": source } : {};
  const heads = headArrays(numbers, state);
  const moves = ({ meta }) => state.trail !== "all" || meta.role === "interval"; // whole paths stay
  const changed = plot.data.flatMap((trace, place) => (trace.meta.role === "heads" || moves(trace) ? [place] : []));
  const last = changed.pop();
  const all = changed.length ? lineArrays(numbers, state) : [];
  const lines = changed.map((place) => all[place]);
  const changes = {
    x: [...lines.map((line) => line.x), heads.x],
    y: [...lines.map((line) => line.y), heads.y],
  };
  changed.push(last);
  // One value for each changed trace; undefined leaves a line's own as it is.
  changes.customdata = [...lines.map((line) => line.customdata), heads.customdata];
  changes["marker.opacity"] = [...lines.map(() => undefined), heads.opacity];
  return Plotly.update(plot, changes, picture, changed);
}

// ---- frames --------------------------------------------------------------------------------------------

/** Frames as decoded pictures, fetched once, so that a step swaps them without a flicker. */
class FrameCache {
  constructor(frameUrl, count) {
    this.frameUrl = frameUrl;
    this.count = count;
    this.kept = new Map();
  }

  get(position) {
    let frame = this.kept.get(position);
    if (!frame) {
      frame = loadPicture(this.frameUrl(position));
      frame.catch(() => this.kept.delete(position)); // a later visit tries again
    }
    this.kept.delete(position);
    this.kept.set(position, frame); // newest last
    this.forgetOldest();
    return frame.then((picture) => picture.source);
  }

  /** Load what comes next, in order, wrapping round as playback does. */
  async prepare(position) {
    const ticket = (this.ticket = {});
    for (let step = 1; step <= Math.min(AHEAD, this.count - 1); step++) {
      if (this.ticket !== ticket) return;
      // A frame that fails here is asked for, and reported, again when it is shown.
      await this.get((position + step) % this.count).catch(() => null);
    }
  }

  forgetOldest() {
    while (this.kept.size > KEPT_FRAMES) {
      const [position, frame] = this.kept.entries().next().value;
      this.kept.delete(position);
      frame.then((picture) => picture.source.startsWith("blob:") && URL.revokeObjectURL(picture.source));
    }
  }
}

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

// ---- playback ------------------------------------------------------------------------------------------

class Player {
  constructor({ advance, rate, atEnd, changed }) {
    Object.assign(this, { advance, rate, atEnd, changed, run: null });
  }

  toggle() {
    return this.run ? this.stop() : this.start();
  }

  stop() {
    this.run = null;
    this.changed(false);
  }

  async start() {
    const run = (this.run = {});
    this.changed(true);
    if (!this.atEnd()) await pause(1000 / this.rate());
    while (this.run === run) {
      const began = performance.now();
      await this.advance();
      const left = 1000 / this.rate() - (performance.now() - began);
      await pause(this.atEnd() ? Math.max(left, LOOP_PAUSE) : left);
    }
  }
}

const pause = (milliseconds) =>
  new Promise((resolve) => setTimeout(() => requestAnimationFrame(resolve), Math.max(0, milliseconds - 8)));

// ---- state ---------------------------------------------------------------------------------------------

function initialState(numbers) {
  const usual = {
    position: numbers.position,
    colour: "direction",
    trail: numbers.count <= SHORT ? "all" : "8",
    hidden: "dim",
    rate: numbers.count <= SHORT ? 5 : Math.min(30, realRate(numbers) || 10),
    shade: 80,
    tips: numbers.is_prediction,
    interval: Boolean(numbers.interval),
    hypotheses: Boolean(numbers.withheld), // then they are all that there is to see
    seams: false,
    truth: false,
  };
  return { ...usual, ...readHash(numbers) };
}

/** Tracked frames per second at which the clip plays as it was filmed; 0 where that is unknown. */
function realRate(numbers) {
  if (numbers.count < 2) return 0;
  const step = (numbers.frames[numbers.count - 1] - numbers.frames[0]) / (numbers.count - 1);
  return Math.round((100 * numbers.fps) / step) / 100;
}

/** The address holds the moment: #frame=12&colour=speed&paths=8&hidden=hide&interval=0&hypotheses=1&truth=1. */
function readHash(numbers) {
  const hash = new URLSearchParams(location.hash.slice(1));
  const read = {};
  const position = numbers.frames.indexOf(Number(hash.get("frame") ?? NaN));
  if (position >= 0) read.position = position;
  if (hash.get("colour") in numbers.colourings) read.colour = hash.get("colour");
  if (trailChoices(numbers).some(([value]) => value === hash.get("paths"))) read.trail = hash.get("paths");
  if (["dim", "hide"].includes(hash.get("hidden"))) read.hidden = hash.get("hidden");
  if (hash.has("frame")) {
    read.hypotheses = hash.get("hypotheses") === "1";
    read.seams = hash.get("seams") === "1";
    read.truth = hash.get("truth") === "1";
    read.interval = hash.get("interval") !== "0";
  }
  return read;
}

let hashTimer = 0;
function writeHash(state, numbers) {
  clearTimeout(hashTimer); // browsers limit how often the address may change
  hashTimer = setTimeout(() => {
    const hash = new URLSearchParams({
      frame: numbers.frames[state.position],
      colour: state.colour,
      paths: state.trail,
      hidden: state.hidden,
    });
    for (const name of ["hypotheses", "seams", "truth"]) if (state[name]) hash.set(name, "1");
    if (numbers.interval && !state.interval) hash.set("interval", "0");
    history.replaceState(null, "", `#${hash}`);
  }, 250);
}

// ---- controls ------------------------------------------------------------------------------------------

function trailChoices(numbers) {
  const lengths = [4, 8, 16, 32, 64].filter((length) => length < numbers.count);
  return [
    ["all", "whole path"],
    ["past", "up to this frame"],
    ...lengths.map((length) => [String(length), `last ${length} frames`]),
    ["0", "none"],
  ];
}

function fillSelects(root, numbers, state) {
  const option = ([value, text]) => new Option(text, value);
  root.querySelector(".viewer-trail").append(...trailChoices(numbers).map(option));
  const real = realRate(numbers);
  const rates = new Map([1, 2, 5, 10, 15, 30].map((rate) => [rate, `${rate} fps`]));
  if (real > 0) {
    rates.delete(Math.round(real)); // one of two that read the same
    rates.set(real, `${real < 10 ? Number(real.toFixed(1)) : Math.round(real)} fps, as filmed`);
  }
  if (!rates.has(state.rate)) state.rate = real;
  const sorted = [...rates].sort(([a], [b]) => a - b);
  root.querySelector(".viewer-rate").append(...sorted.map(option));
}

function paintLegends(root, numbers) {
  const { direction, speed } = numbers.colourings;
  const sectors = direction.colours.slice(0, -1); // the last is for still points
  const angle = 360 / sectors.length;
  const stops = sectors.map((colour, k) => `${colour} ${k * angle}deg ${(k + 1) * angle}deg`);
  // 0° of a conic gradient is up; sector 0 is centred on the right.
  root.querySelector(".viewer-wheel").style.background =
    `conic-gradient(from ${90 - angle / 2}deg, ${stops.join(", ")})`;
  const share = 100 / speed.colours.length;
  const steps = speed.colours.map((colour, k) => `${colour} ${k * share}% ${(k + 1) * share}%`);
  root.querySelector(".viewer-bar").style.background = `linear-gradient(to right, ${steps.join(", ")})`;
  const [, middle, top] = root.querySelectorAll(".viewer-ticks span");
  middle.textContent = Number((speed.top / 2).toPrecision(3));
  top.textContent = `≥ ${Number(speed.top.toPrecision(3))} px/frame`;
}

function reflect(root, state) {
  root.querySelector(`[name=viewer-colour][value=${state.colour}]`).checked = true;
  root.querySelector(".viewer-trail").value = state.trail;
  root.querySelector(".viewer-hidden").value = state.hidden;
  root.querySelector(".viewer-rate").value = state.rate;
  for (const name of OPTIONS) root.querySelector(`.viewer-${name}`).checked = state[name];
  const shade = root.querySelector(".viewer-shade");
  shade.value = state.shade;
  shade.style.setProperty("--done", `${(100 * (shade.value - shade.min)) / (shade.max - shade.min)}%`);
  root.querySelector(".viewer-stage").style.setProperty("--shade", state.shade / 100);
  for (const legend of root.querySelectorAll(".viewer-legend")) {
    legend.hidden = legend.dataset.for !== state.colour;
  }
}

const isTyping = (target) =>
  target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");

function zoom(plot, factor) {
  const around = ([low, high]) => {
    const centre = (low + high) / 2;
    return [centre + (low - centre) * factor, centre + (high - centre) * factor];
  };
  const { xaxis, yaxis } = plot._fullLayout;
  return Plotly.relayout(plot, { "xaxis.range": around(xaxis.range), "yaxis.range": around(yaxis.range) });
}

const resetZoom = (plot, { width, height }) =>
  Plotly.relayout(plot, { "xaxis.range": [-0.5, width - 0.5], "yaxis.range": [height - 0.5, -0.5] });
