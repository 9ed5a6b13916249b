// Lists of clips and runs, refreshed while something in them still moves.

import { API, request } from "./api.js";
import { METHODS, ago, byId, clipFacts, count, element, frameSpan, pause } from "./format.js";

const PAGE = 12;
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", cancelled: "cancelled" };
const ENDED = ["done", "failed", "cancelled"];

export async function listClips() {
  const list = byId("clips-list");
  let wanted = PAGE;
  async function refresh() {
    const { items, total } = await request(`/clips?limit=${wanted}`);
    fill("clips", total, items.length, items.map(clipCard), "No clips yet. The ones you upload stay here.");
    return items;
  }
  byId("clips-more").addEventListener("click", () => {
    wanted += PAGE * 2;
    refresh().catch((error) => complain(list, error));
  });
  return refresh().catch((error) => complain(list, error));
}

export async function listRuns({ clip = null, empty }) {
  const list = byId("runs-list");
  let wanted = PAGE;
  const clips = new Map(clip ? [[clip.id, clip]] : []);
  async function refresh() {
    const filter = clip ? `&clip=${clip.id}` : "";
    const { items, total } = await request(`/runs?limit=${wanted}${filter}`);
    await Promise.all(items.map((run) => learn(run.clip)));
    const cards = items.map((run) => runCard(run, clips.get(run.clip), !clip));
    fill("runs", total, items.length, cards, empty);
    return items;
  }
  async function learn(id) {
    if (!clips.has(id)) clips.set(id, await request(`/clips/${id}`));
  }
  byId("runs-more").addEventListener("click", () => {
    wanted += PAGE * 2;
    refresh().catch((error) => complain(list, error));
  });
  for (;;) {
    let moving = false;
    try {
      const items = await refresh();
      moving = items.some((run) => !ENDED.includes(run.state));
    } catch (error) {
      complain(list, error);
    }
    await pause(moving ? 1500 : 15000);
    while (document.hidden) await pause(500);
  }
}

function fill(name, total, shown, cards, empty) {
  const list = byId(`${name}-list`);
  const focused = document.activeElement?.closest?.(`#${name}-list a`)?.getAttribute("href");
  list.replaceChildren(...(cards.length ? cards : [element("li", "empty", empty)]));
  if (focused) list.querySelector(`a[href="${focused}"]`)?.focus({ preventScroll: true });
  list.setAttribute("aria-busy", "false");
  byId(`${name}-count`).textContent = total ? total.toLocaleString("en") : "";
  byId(`${name}-more`).hidden = shown >= total;
}

function complain(list, error) {
  list.setAttribute("aria-busy", "false");
  if (list.children.length === 0) list.replaceChildren(element("li", "empty", error.message));
}

function card(href, picture, title, lines) {
  const item = element("li");
  const link = element("a", "card");
  link.href = href;
  const image = element("img");
  image.src = picture;
  image.alt = "";
  image.loading = "lazy";
  const text = element("div", "card-text");
  text.append(element("b", "card-title", title), ...lines);
  link.append(image, text);
  item.append(link);
  return item;
}

function clipCard(clip) {
  const facts = clipFacts(clip).map(([name, value]) => (name === "Frames" ? count(clip.frames, "frame") : value));
  const shown = [facts[0], ...(clip.fps > 0 ? [facts[1]] : []), `${clip.width} × ${clip.height}`];
  return card(`/clips/${clip.id}`, `${API}/clips/${clip.id}/frames/0.jpg`, clip.name, [
    element("span", "card-line", shown.join(" · ")),
    element("span", "card-line faint", ago(clip.created_at)),
  ]);
}

/** isNamed: whether the card says of which clip the run is. */
function runCard(run, clip, isNamed) {
  const points = count(run.grid * run.grid, "point");
  const method = METHODS[run.method] ?? run.method;
  const span = frameSpan(run, clip.frames);
  const state = element("span", "card-line");
  const badge = element("span", `badge ${run.state}`, STATES[run.state]);
  if (run.state === "running") badge.textContent = `${Math.floor(100 * run.progress)} %`;
  const kept = run.state === "cancelled" && run.links.tracks ? `${count(run.tracked_frames, "frame")} kept · ` : "";
  state.append(badge, element("span", "faint", kept + ago(run.finished_at ?? run.created_at)));
  return card(
    `/runs/${run.id}`,
    `${API}/clips/${run.clip}/frames/${run.start}.jpg`,
    isNamed ? clip.name : `${method}, ${points}`,
    [element("span", "card-line", isNamed ? `${method} · ${points} · ${span}` : span), state],
  );
}
