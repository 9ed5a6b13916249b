// @ts-check
// Lists of clips and runs, refreshed while something in them still moves.

import { API, ROOT, hasEnded, request } from "./api.js";
import { byId, element, pause, sentenceOf } from "./dom.js";
import { ago, clipFacts, count, frameSpan, percent, whole } from "./format.js";

const PAGE = 12;
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };

/** The list of clips; returns what loads it. */
export const clipList = () =>
  listOf("clips", async (limit) => {
    const { items, total } = await request(`/clips?limit=${limit}`);
    fill("clips", total, items.map(clipCard), "No clips yet. The ones you upload stay here.");
  });

/**
 * List the runs, of one clip or of all, as long as the page is open.
 * @param {{ clip?: Pick<Clip, "id" | "name" | "frames">, empty: string }} options what to say when there are none
 */
export async function showRuns({ clip, empty }) {
  const clips = new Map(clip ? [[clip.id, clip]] : []);
  let isMoving = false;
  const load = listOf("runs", async (limit) => {
    /** @type {{ items: Run[], total: number }} */
    const { items, total } = await request(`/runs?limit=${limit}${clip ? `&clip=${clip.id}` : ""}`);
    const unknown = new Set(items.map((run) => run.clip).filter((id) => !clips.has(id)));
    await Promise.all([...unknown].map(async (id) => clips.set(id, await request(`/clips/${id}`))));
    fill("runs", total, items.map((run) => runCard(run, clips.get(run.clip), !clip)), empty);
    isMoving = !items.every(hasEnded);
  });
  for (;;) {
    await load();
    await pause(isMoving ? 1500 : 15000);
    while (document.hidden) await pause(500);
  }
}

/**
 * A list that can show more; returns what loads it, which says itself what goes wrong.
 * @param {string} name @param {(limit: number) => Promise<void>} load
 */
function listOf(name, load) {
  let limit = PAGE;
  const refresh = async () => {
    try {
      await load(limit);
    } catch (error) {
      const list = byId(`${name}-list`);
      list.setAttribute("aria-busy", "false");
      if (list.children.length === 0) list.replaceChildren(element("li", { className: "empty" }, sentenceOf(error)));
    }
  };
  byId(`${name}-more`).addEventListener("click", () => {
    limit += PAGE * 2;
    refresh();
  });
  return refresh;
}

/** @param {string} name @param {number} total @param {HTMLElement[]} cards @param {string} empty */
function fill(name, total, cards, empty) {
  const list = byId(`${name}-list`);
  const focused = document.activeElement?.closest(`#${name}-list a`)?.getAttribute("href");
  list.replaceChildren(...(cards.length ? cards : [element("li", { className: "empty" }, empty)]));
  /** @type {HTMLElement | null} */
  const again = focused ? list.querySelector(`a[href="${focused}"]`) : null;
  again?.focus({ preventScroll: true });
  list.setAttribute("aria-busy", "false");
  byId(`${name}-count`).textContent = total ? whole(total) : "";
  byId(`${name}-more`).hidden = cards.length >= total;
}

/**
 * A list's entry: a picture, a title, and lines about it.
 * @param {string | null} href @param {string | null} picture @param {string} title @param {HTMLElement[]} lines
 */
export function card(href, picture, title, ...lines) {
  const text = element("div", { className: "card-text" }, element("b", { className: "card-title" }, title), ...lines);
  const link = href ? element("a", { className: "card surface", href }) : element("div", { className: "card surface" });
  if (picture) link.append(element("img", { src: picture, alt: "", loading: "lazy" }));
  link.append(text);
  return element("li", {}, link);
}

/** @param {string} kind @param {(Node | string)[]} content */
export const line = (kind, ...content) => element("span", { className: `card-line ${kind}`.trim() }, ...content);

/** @param {Clip} clip */
function clipCard(clip) {
  const [, length] = clipFacts(clip);
  const size = `${clip.width} × ${clip.height}`;
  const facts = [count(clip.frames, "frame"), ...(clip.fps > 0 ? [length[1]] : []), size];
  return card(
    `${ROOT}/clips/${clip.id}`,
    `${API}/clips/${clip.id}/frames/0.jpg`,
    clip.name,
    line("", facts.join(" · ")),
    line("faint", ago(clip.created_at)),
  );
}

/** @param {Run} run @param {Pick<Clip, "name" | "frames"> | undefined} clip @param {boolean} isNamed whether it says of which clip the run is */
function runCard(run, clip, isNamed) {
  const points = count(run.point_count, "point");
  const span = frameSpan(run, clip?.frames ?? 0);
  const state = run.state === "running" ? `${Math.floor(100 * run.progress)} %` : STATES[run.state];
  const kept = run.state === "cancelled" && run.links.tracks ? `${count(run.tracked_frames ?? 0, "frame")} kept · ` : "";
  return card(
    `${ROOT}/runs/${run.id}`,
    `${API}/clips/${run.clip}/frames/${run.start}.jpg`,
    isNamed ? (clip?.name ?? "") : `${run.method_title}, ${points}`,
    line("", isNamed ? `${run.method_title} · ${points} · ${span}` : span),
    line(
      "",
      element("span", { className: `badge ${run.state}` }, state),
      element("span", { className: "faint" }, kept + ago(run.finished_at ?? run.created_at)),
    ),
  );
}
