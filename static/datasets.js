// The list of training sets.

import { request } from "./api.js";
import { METHODS, byId, bytes, count, element, say } from "./format.js";

async function showSets() {
  const { items } = await request("/datasets?limit=500");
  const list = byId("datasets-list");
  list.setAttribute("aria-busy", "false");
  list.replaceChildren(...(items.length ? await Promise.all(items.map(setCard)) : [nothing()]));
}

function nothing() {
  const item = element("li", "empty");
  item.append(byId("datasets-empty").content.cloneNode(true));
  return item;
}

async function setCard(set) {
  const item = element("li");
  const card = element(set.error ? "div" : "a", "card");
  const text = element("div", "card-text");
  text.append(element("b", "card-title", set.name), ...(set.error ? [element("span", "bad-text", set.error)] : lines(set)));
  if (!set.error) {
    card.href = set.links.page;
    const picture = await firstPicture(set);
    if (picture) card.append(picture);
  }
  card.append(text);
  item.append(card);
  return item;
}

function lines(set) {
  const splits = Object.entries(set.samples_by_split).filter(([, samples]) => samples > 0);
  const state = element("span", "card-line faint");
  if (!set.is_complete) state.append(element("span", "badge running", "not complete"));
  state.append(`${METHODS[set.method] ?? set.method} · ${set.grid} × ${set.grid} · ${bytes(set.bytes)}`);
  return [
    element("span", "card-line", `${count(set.samples, "sample")} of ${count(set.videos, "video")}`),
    element("span", "card-line", splits.map(([split, samples]) => `${samples.toLocaleString("en")} ${split}`).join(" · ")),
    state,
  ];
}

async function firstPicture(set) {
  if (!set.samples) return null;
  const { items } = await request(`${set.links.samples.replace("/api/v1", "")}?limit=1&order=most-motion`).catch(() => ({ items: [] }));
  if (items.length === 0) return null;
  return Object.assign(element("img"), { src: items[0].links.picture, alt: "", loading: "lazy" });
}

showSets().catch((error) => {
  byId("datasets-list").setAttribute("aria-busy", "false");
  say(byId("datasets-error"), error.message);
});
