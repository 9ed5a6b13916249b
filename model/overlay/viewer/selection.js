// @ts-check
// Points chosen by a box, a lasso or a word: how they move, and their numbers as a file.

import { finder } from "./controls.js";
import { sectorOf } from "./colours.js";
import { distance, isVisible, meanSpeed, positionOf } from "./numbers.js";
import { plotlyThere } from "./plotly.js";
import { PLAIN_PLOT, axisLook, plotLook, themeColour } from "./theme.js";

/** @import { Numbers } from "./numbers.js" */

const SECTORS = 16;
const STILL = 0.5; // pixels

export const SELECTION = `
  <section class="viewer-card surface viewer-selection">
    <h2>Selection</h2>
    <p class="viewer-note">Draw a box or a lasso on the picture (its tools are at the top right), or choose:</p>
    <div class="viewer-row">
      <button type="button" class="viewer-tool" data-select="view" title="The points in the part of the frame that is in view">in view</button>
      <button type="button" class="viewer-tool" data-select="moving" title="The fastest quarter of the points">fastest</button>
      <button type="button" class="viewer-tool" data-select="hidden" title="The points that are hidden in this frame">hidden</button>
      <button type="button" class="viewer-tool" data-select="pins">pinned</button>
    </div>
    <div class="viewer-chosen" hidden>
      <p class="viewer-chosen-text"></p>
      <div class="viewer-chosen-plot" role="img" aria-label="Directions and speeds of the selected points"></div>
      <div class="viewer-row">
        <button type="button" class="viewer-tool viewer-save-csv">Save as CSV</button>
        <button type="button" class="viewer-tool viewer-deselect">Clear</button>
      </div>
    </div>
  </section>`;

/**
 * The points that a word means.
 * @param {string} word @param {Numbers} numbers @param {number} position @param {number[]} ranges in view: left, right, top, bottom
 * @param {number[]} pins
 */
export function pointsOf(word, numbers, position, [left, right, top, bottom], pins) {
  const all = Array.from({ length: numbers.points }, (_, point) => point);
  if (word === "pins") return [...pins];
  if (word === "hidden") return all.filter((point) => !isVisible(numbers, position, point));
  if (word === "moving") {
    const speeds = all.map((point) => meanSpeed(numbers, point));
    const least = [...speeds].sort((a, b) => a - b)[Math.floor(0.75 * speeds.length)] ?? 0;
    return all.filter((point) => speeds[point] >= least && speeds[point] > 0);
  }
  return all.filter((point) => {
    const [x, y] = positionOf(numbers, position, point);
    return x >= left && x <= right && y >= top && y <= bottom;
  });
}

/** What the chosen points do together. @param {Numbers} numbers @param {number[]} points */
export function statistics(numbers, points) {
  const last = numbers.count - 1;
  const moves = points.map((point) => {
    const [[x, y], [startX, startY]] = [positionOf(numbers, last, point), positionOf(numbers, 0, point)];
    return [x - startX, y - startY];
  });
  const mean = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const rose = Array.from({ length: SECTORS }, () => 0);
  for (const [x, y] of moves) {
    const sector = sectorOf(x, y, STILL, SECTORS);
    if (sector < SECTORS) rose[sector]++;
  }
  return {
    count: points.length,
    right: mean(moves.map(([x]) => x)),
    down: mean(moves.map(([, y]) => y)),
    moved: mean(points.map((point) => distance(numbers, point, 0, last))),
    still: moves.filter(([x, y]) => Math.hypot(x, y) < STILL).length,
    speeds: points.map((point) => meanSpeed(numbers, point)),
    rose,
  };
}

/** Show what the chosen points do. @param {HTMLElement} root @param {Numbers} numbers @param {Set<number> | null} chosen */
export async function describeChosen(root, numbers, chosen) {
  const find = finder(root);
  find("chosen").hidden = !chosen;
  if (!chosen) return;
  const { count, right, down, moved, still, speeds, rose } = statistics(numbers, [...chosen]);
  const way = `${Math.abs(right).toFixed(1)} px ${right < 0 ? "left" : "right"} and ${Math.abs(down).toFixed(1)} px ${down < 0 ? "up" : "down"}`;
  find("chosen-text").innerHTML = count === 0 ? "No point is there." :
    `<b>${count.toLocaleString("en")} ${count === 1 ? "point" : "points"}</b>, ${moved.toFixed(1)} px from where they were on average;
    their mean path leads ${way}. ${still ? `${still.toLocaleString("en")} stay within half a pixel.` : ""}`;
  const axis = axisLook("");
  const { wheel } = numbers.palettes;
  await plotlyThere();
  await Plotly.react(find("chosen-plot"), [
    {
      type: "barpolar", r: rose, theta: rose.map((_, sector) => (360 * sector) / SECTORS), hovertemplate: "%{r} points<extra></extra>",
      marker: { color: rose.map((_, sector) => wheel[(sector * wheel.length) / SECTORS]) }, meta: { role: "rose" },
    },
    {
      type: "histogram", x: speeds, nbinsx: 20, marker: { color: themeColour("accent") }, meta: { role: "speeds" },
      hovertemplate: "%{x} px/frame: %{y} points<extra></extra>",
    },
  ], {
    ...plotLook(11), bargap: 0.05, margin: { l: 30, r: 8, t: 18, b: 34 },
    polar: {
      domain: { x: [0.1, 0.9], y: [0.46, 1] }, bgcolor: "rgba(0,0,0,0)",
      // Directions as on the picture: y is downwards, and to the right is on the right.
      angularaxis: { ...axis, direction: "clockwise", rotation: 0, tickvals: [0, 90, 180, 270], ticktext: ["→", "↓", "←", "↑"] },
      radialaxis: { ...axis, showticklabels: false },
    },
    xaxis: { ...axisLook("mean speed, px/frame"), anchor: "y", rangemode: "tozero" },
    yaxis: { ...axis, domain: [0, 0.34], nticks: 3 },
  }, PLAIN_PLOT);
}

/** The chosen points' numbers, as the API's CSV has them. @param {Numbers} numbers @param {number[]} points */
export function csvOf(numbers, points) {
  const facts = Object.entries({ ...numbers.about, view: location.hash.slice(1) });
  const rows = [...facts.map(([name, value]) => `# ${name}: ${JSON.stringify(value)}`), "point,frame,x,y,visibility"];
  for (let index = 0; index < numbers.count; index++) {
    for (const point of points) {
      const [x, y] = positionOf(numbers, index, point);
      const visibility = (numbers.visibility[index * numbers.points + point] / 255).toFixed(3);
      rows.push(`${point},${numbers.frames[index]},${x.toFixed(3)},${y.toFixed(3)},${visibility}`);
    }
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** Let the browser save something. @param {Blob} content @param {string} name */
export function saveFile(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
