// @ts-check
// The stage: a canvas for all that changes with the frame, and over it a transparent Plotly plot with the frame's axes,
// zoom, hovering and selection.

import { intervalOf, shownSeams } from "./dots.js";
import { distance, isVisible, positionOf, speedAt } from "./numbers.js";
import { Painter } from "./painter.js";
import { hasManySteps, trailWindow } from "./paths.js";
import { plotlyThere } from "./plotly.js";
import { MODEBAR } from "./theme.js";

/** @import { Moment, View } from "./painter.js" */

const STILL_AFTER = 150; // milliseconds without a new frame, after which points can be hovered
const MOST_DENSE = 2; // pixels of the canvas for one of the page
const HOVER =
  "<b>point %{customdata[0]}</b>  frame %{customdata[1]}<br>x %{x:.1f}  y %{y:.1f} px<br>" +
  "moved %{customdata[2]:.1f} px so far<br>speed %{customdata[3]:.2f} px/frame<br>";
const INTERVAL_HOVER =
  "<br>90 %: x %{customdata[5]:.1f} to %{customdata[6]:.1f}<br>90 %: y %{customdata[7]:.1f} to %{customdata[8]:.1f}";
const SEAM_HOVER = "handed on at frame %{customdata}<extra></extra>";

/**
 * What the stage tells: a point was clicked, points were selected (null: none any more), another part of the frame is
 * shown, a picture of it is wanted.
 * @typedef {{ click: (point: number) => void, select: (points: number[] | null) => void,
 *   zoom: (ranges: number[]) => void, save: () => void }} StageActions
 */

export class Stage {
  painter = new Painter();
  isOpen = false; // whether the plot is there
  /** @type {Moment | null} */
  moment = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  resting;

  /** @param {HTMLElement} element that holds a canvas and the plot's element @param {StageActions} actions */
  constructor(element, actions) {
    this.canvas = /** @type {HTMLCanvasElement} */ (element.querySelector("canvas"));
    this.plot = /** @type {PlotElement} */ (element.querySelector(".viewer-plot"));
    this.actions = actions;
  }

  /** @param {Layout} layout of the figure @param {Moment} moment */
  async open(layout, moment) {
    this.moment = moment;
    this.paint();
    await plotlyThere();
    if (!this.moment) return; // closed meanwhile
    const { width, height } = moment.numbers;
    const font = { family: getComputedStyle(this.plot).fontFamily, color: "#eef2f6", size: 12.5 };
    const own = {
      images: [], // the canvas draws them
      uirevision: "keep", // zoom survives every change of data
      hoverlabel: { bgcolor: "#11151b", bordercolor: "#3a4553", font },
      modebar: MODEBAR,
      dragmode: "pan",
      newselection: { line: { color: "#ffffff", width: 1.5, dash: "dot" } },
      activeselection: { fillcolor: "rgba(255, 255, 255, 0.08)" },
    };
    const save = {
      name: "save", title: "Save what is shown as a picture", icon: Plotly.Icons.camera, click: () => this.actions.save(),
    };
    await Plotly.newPlot(this.plot, traces(this.moment), { ...layout, ...own }, {
      displaylogo: false,
      displayModeBar: true,
      responsive: true,
      scrollZoom: true,
      doubleClick: false,
      modeBarButtons: [["pan2d", "select2d", "lasso2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d", save]],
    });
    const { zoom } = moment.settings;
    this.isOpen = true;
    if (zoom.length === 4) await this.zoomTo(zoom);
    const { plot, actions } = this;
    plot.on("plotly_relayouting", () => this.paint());
    plot.on("plotly_afterplot", () => this.paint());
    plot.on("plotly_relayout", () => {
      this.paint();
      actions.zoom(this.isWhole(width, height) ? [] : this.ranges());
    });
    plot.on("plotly_click", ({ points: [hit] }) => hit.data.meta.role === "heads" && actions.click(hit.pointIndex));
    plot.on("plotly_hover", ({ points: [hit] }) => hit.data.meta.role === "heads" && this.hover(hit.pointIndex));
    plot.on("plotly_unhover", () => this.hover(-1));
    plot.addEventListener("mouseleave", () => this.hover(-1)); // Plotly is silent about it after new data
    plot.on("plotly_selected", (event) => {
      if (event) actions.select(event.points.filter(({ data }) => data.meta.role === "heads").map((hit) => hit.pointIndex));
    });
    plot.on("plotly_deselect", () => actions.select(null));
    plot.on("plotly_doubleclick", () => this.zoomTo([]));
    this.paint();
  }

  /** @param {number} point that is under the pointer, or -1 */
  hover(point) {
    if (!this.moment) return;
    const isOther = this.moment.hovered !== point;
    this.moment = { ...this.moment, hovered: point };
    if (isOther) this.paint();
  }

  /** Show a moment; the points that can be hovered follow when it rests. @param {Moment} moment */
  show(moment) {
    this.moment = { ...moment, hovered: this.moment?.hovered ?? -1 };
    this.paint();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), STILL_AFTER);
  }

  rest() {
    if (this.moment && this.isOpen) return Plotly.react(this.plot, traces(this.moment), this.plot.layout, this.plot._context);
  }

  paint() {
    if (!this.moment) return;
    const view = this.view();
    if (this.canvas.width !== view.width) this.canvas.width = view.width;
    if (this.canvas.height !== view.height) this.canvas.height = view.height;
    this.painter.paint(this.canvas, this.moment, view);
  }

  /** Where the plot shows the frame. @returns {View} */
  view() {
    const { xaxis, yaxis } = this.axes();
    const { numbers, settings } = /** @type {Moment} */ (this.moment);
    const density = hasManySteps(numbers, settings) ? 1 : Math.min(MOST_DENSE, devicePixelRatio);
    const scale = (density * xaxis._length) / (xaxis.range[1] - xaxis.range[0]);
    return {
      scale,
      density,
      left: density * xaxis._offset - scale * xaxis.range[0],
      top: density * yaxis._offset - scale * yaxis.range[1],
      width: Math.round(density * this.plot.clientWidth),
      height: Math.round(density * this.plot.clientHeight),
    };
  }

  /** The plot's axes; before it is there, as it will have them. @returns {{ xaxis: DrawnAxis, yaxis: DrawnAxis }} */
  axes() {
    if (this.isOpen) return this.plot._fullLayout;
    const { numbers: { width, height }, settings: { zoom } } = /** @type {Moment} */ (this.moment);
    const [left, right, top, bottom] = zoom.length ? zoom : [-0.5, width - 0.5, -0.5, height - 0.5];
    const { clientWidth, clientHeight } = this.plot;
    const scale = Math.min(clientWidth / (right - left), clientHeight / (bottom - top));
    const axis = (/** @type {number[]} */ range, /** @type {number} */ length, /** @type {number} */ room) =>
      ({ range, _length: length, _offset: (room - length) / 2 });
    return {
      xaxis: axis([left, right], scale * (right - left), clientWidth),
      yaxis: axis([bottom, top], scale * (bottom - top), clientHeight),
    };
  }

  /** The part of the frame that is shown: left, right, top, bottom. */
  ranges() {
    const { xaxis, yaxis } = this.axes();
    return [xaxis.range[0], xaxis.range[1], yaxis.range[1], yaxis.range[0]];
  }

  /** @param {number} width @param {number} height */
  isWhole(width, height) {
    const [left, right, top, bottom] = this.ranges();
    return [left + 0.5, right - width + 0.5, top + 0.5, bottom - height + 0.5].every((gap) => Math.abs(gap) < 0.01);
  }

  /** @param {number[]} ranges left, right, top, bottom; empty for the whole frame */
  async zoomTo(ranges) {
    if (!this.isOpen) return;
    const { width, height } = /** @type {Moment} */ (this.moment).numbers;
    const [left, right, top, bottom] = ranges.length ? ranges : [-0.5, width - 0.5, -0.5, height - 0.5];
    await Plotly.relayout(this.plot, { "xaxis.range": [left, right], "yaxis.range": [bottom, top] });
  }

  /** Show a part that is larger or smaller, or aside. @param {number} factor @param {number} right of its width @param {number} down of its height */
  move(factor, right = 0, down = 0) {
    const [left, end, top, bottom] = this.ranges();
    const [width, height] = [end - left, bottom - top];
    const [x, y] = [(left + end) / 2 + right * width, (top + bottom) / 2 + down * height];
    return this.zoomTo([x - (factor * width) / 2, x + (factor * width) / 2, y - (factor * height) / 2, y + (factor * height) / 2]);
  }

  close() {
    clearTimeout(this.resting);
    this.moment = null;
    if (this.isOpen) Plotly.purge(this.plot);
  }
}

/**
 * What can be hovered and selected: the points, and the seams where they are shown. They are drawn on the canvas; here
 * they are texts without a letter.
 * @param {Moment} moment
 */
function traces({ numbers, settings, position }) {
  const { points, frames } = numbers;
  const shown = Array.from({ length: points }, (_, point) => settings.hidden === "dim" || isVisible(numbers, position, point));
  const places = shown.map((isShown, point) => (isShown ? positionOf(numbers, position, point) : [NaN, NaN]));
  const visibility = numbers.is_prediction ? "inside the image" : "visibility";
  const invisible = { type: "scatter", mode: "text", text: "", showlegend: false };
  const heads = {
    ...invisible,
    x: places.map(([x]) => x),
    y: places.map(([, y]) => y),
    customdata: places.map((_, point) => [
      point,
      frames[position],
      distance(numbers, point, 0, position),
      speedAt(numbers, position, point),
      numbers.visibility[position * points + point] / 255,
      ...intervalOf(numbers, position, point),
    ]),
    hovertemplate: `${HOVER}${visibility} %{customdata[4]:.0%}${numbers.interval ? INTERVAL_HOVER : ""}<extra></extra>`,
    meta: { role: "heads", position },
  };
  if (!settings.seams) return [heads];
  const [from, to] = trailWindow(numbers, settings, position);
  const seams = shownSeams(numbers, settings.hidden === "dim", from, to);
  return [heads, {
    ...invisible,
    x: seams.map((seam) => numbers.xy[2 * seam]),
    y: seams.map((seam) => numbers.xy[2 * seam + 1]),
    customdata: seams.map((seam) => frames[Math.floor(seam / points)]),
    hovertemplate: SEAM_HOVER,
    meta: { role: "seams" },
  }];
}
