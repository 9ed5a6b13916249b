// @ts-check
// Lists of clips and runs, refreshed while something in them still moves.

import { API, ROOT, hasEnded, request } from "./api.js";
import { chooser } from "./choosing.js";
import { byId, element, formOf, pause, sentenceOf } from "./dom.js";
import { ago, clipFacts, count, frameSpan, stateOf, whole } from "./format.js";

const PAGE = 12;

/** The list of clips; returns what loads it. @param {() => Promise<void>} [others] loads what shows clips, too */
export function clipList(others = async () => {}) {
  const load = listOf("clips", async (query) => {
    const { items, total } = await request(`/clips?${query}`);
    const cards = items.map((/** @type {Clip} */ clip) => clipCard(clip, choosing.box(clip, clip.name)));
    fill("clips", total, cards, isNarrowed("clips") ? "No clips like that." : "No clips yet. The ones you upload stay here.");
  });
  const choosing = chooser("clips", async () => {
    await Promise.all([load(), others()]);
  });
  onFinding("clips", choosing.none, load);
  return load;
}

/**
 * List the runs, of one clip or of all, as long as the page is open; returns what loads them at once.
 * @param {{ clip?: Pick<Clip, "id" | "name" | "frames">, empty: string }} options what to say when there are none
 */
export function showRuns({ clip, empty }) {
  /** @type {Map<string, Pick<Clip, "id" | "name" | "frames">>} */
  const clips = new Map();
  let isMoving = false;
  const load = listOf("runs", async (query) => {
    if (clip) query.set("clip", clip.id);
    /** @type {{ items: Run[], total: number }} */
    const { items, total } = await request(`/runs?${query}`);
    const unknown = new Set(items.map((run) => run.clip).filter((id) => !clips.has(id) && id !== clip?.id));
    await Promise.all([...unknown].map(async (id) => clips.set(id, await request(`/clips/${id}`))));
    const cards = items.map((run) => {
      const its = clip ?? clips.get(run.clip);
      const title = run.name || (clip ? `${run.method_title}, ${count(run.point_count, "point")}` : (its?.name ?? ""));
      return runCard(run, its, title, choosing.box(run, title));
    });
    fill("runs", total, cards, isNarrowed("runs") ? "No runs like that." : empty);
    isMoving = !items.every(hasEnded);
  });
  const reload = async () => {
    clips.clear(); // their names may be others now
    await load();
  };
  const choosing = chooser("runs", reload);
  onFinding("runs", choosing.none, load);
  keepLoading(async () => {
    await load();
    return isMoving;
  });
  return reload;
}

/** Load a list as long as its page is looked at. @param {() => Promise<boolean>} load tells whether something in it still moves */
export async function keepLoading(load) {
  for (;;) {
    const isMoving = await load();
    await pause(isMoving ? 1500 : 15000);
    while (document.hidden) await pause(500);
  }
}

/** @param {string} name */
const finder = (name) => formOf(`${name}-finder`);

/** What a list's finder asks for, as the API takes it. @param {string} name */
function queryOf(name) {
  const filled = [...new FormData(finder(name))].filter(([, value]) => value !== "");
  return new URLSearchParams(/** @type {[string, string][]} */ (filled));
}

/** Whether a list shows a part only. @param {string} name */
const isNarrowed = (name) => [...queryOf(name).keys()].some((key) => key !== "sort");

/** @param {string} name @param {() => void} forget what is chosen @param {() => Promise<void>} load */
function onFinding(name, forget, load) {
  let typed = 0;
  finder(name).addEventListener("submit", (event) => event.preventDefault());
  finder(name).addEventListener("input", async () => {
    const mine = ++typed;
    await pause(200);
    if (mine !== typed) return;
    forget();
    await load();
  });
}

/**
 * A list that can show more; returns what loads it, which says itself what goes wrong.
 * @param {string} name @param {(query: URLSearchParams) => Promise<void>} load
 */
function listOf(name, load) {
  let limit = PAGE;
  const refresh = async () => {
    const query = queryOf(name);
    query.set("limit", `${limit}`);
    try {
      await load(query);
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
  const focus = document.activeElement?.closest(`#${name}-list li`);
  const focused = focus?.querySelector("a")?.getAttribute("href");
  const isBox = document.activeElement?.matches(".choose");
  list.replaceChildren(...(cards.length ? cards : [element("li", { className: "empty" }, empty)]));
  /** @type {HTMLElement | null} */
  const link = focused ? list.querySelector(`a[href="${focused}"]`) : null;
  /** @type {HTMLElement | null | undefined} */
  const again = isBox ? link?.closest("li")?.querySelector(".choose") : link;
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

/** A card with the box that chooses it. @param {HTMLLIElement} made @param {HTMLInputElement} box */
function choosable(made, box) {
  made.classList.add("choosable");
  made.append(box);
  return made;
}

/** @param {string[]} tags */
const tagChips = (tags) => tags.map((tag) => element("span", { className: "tag" }, tag));

/** @param {Clip} clip @param {HTMLInputElement} box */
function clipCard(clip, box) {
  const [, length] = clipFacts(clip);
  const size = `${clip.width} × ${clip.height}`;
  const facts = [count(clip.frames, "frame"), ...(clip.fps > 0 ? [length[1]] : []), size];
  const made = card(
    `${ROOT}/clips/${clip.id}`,
    `${API}/clips/${clip.id}/frames/0.jpg`,
    clip.name,
    line("", facts.join(" · ")),
    line("", ...tagChips(clip.tags), element("span", { className: "faint" }, ago(clip.created_at))),
  );
  return choosable(made, box);
}

/** @param {Run} run @param {Pick<Clip, "name" | "frames"> | undefined} clip @param {string} title @param {HTMLInputElement} box */
function runCard(run, clip, title, box) {
  const facts = [run.method_title, count(run.point_count, "point"), frameSpan(run, clip?.frames ?? 0)];
  const kept = run.state === "cancelled" && run.links.tracks ? `${count(run.tracked_frames ?? 0, "frame")} kept · ` : "";
  const made = card(
    `${ROOT}/runs/${run.id}`,
    `${API}/clips/${run.clip}/frames/${run.start}.jpg`,
    title,
    line("", facts.filter((fact) => !title.includes(fact)).join(" · ")),
    line(
      "",
      element("span", { className: `badge ${run.state}` }, stateOf(run)),
      ...tagChips(run.tags),
      element("span", { className: "faint" }, kept + ago(run.finished_at ?? run.created_at)),
    ),
  );
  return choosable(made, box);
}
