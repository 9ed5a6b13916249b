// @ts-check
// What can be done with several clips or runs at once: names, tags, the bin and the way back, one run for each.

import { request } from "./api.js";
import { askForDataset } from "./converting.js";
import { announce, ask, byId, element, formOf, sentenceOf } from "./dom.js";
import { count } from "./format.js";

/** @typedef {"clips" | "runs"} Kind */
/** @typedef {{ id: string, name: string, tags: string[] }} Choosable */

const UNDO_MILLISECONDS = 20_000;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let undoTimer;

/**
 * Let cards of a list be chosen and something be done with them.
 * @param {Kind} kind @param {() => Promise<void>} reload the list, and what else shows the same
 */
export function chooser(kind, reload) {
  /** @type {Map<string, Choosable>} */
  const chosen = new Map();
  const one = kind.slice(0, -1);
  const bar = byId(`${kind}-chosen`);
  const isBin = () => new FormData(formOf(`${kind}-finder`)).has("deleted");

  function show() {
    bar.hidden = chosen.size === 0;
    byId(`${kind}-chosen-count`).textContent = count(chosen.size, one);
    for (const part of bar.querySelectorAll("[data-when]")) {
      /** @type {HTMLElement} */ (part).hidden = (part.getAttribute("data-when") === "bin") !== isBin();
    }
  }

  /** @param {object} values */
  const patch = (values, ids = [...chosen.keys()]) =>
    Promise.all(ids.map((id) => request(`/${kind}/${id}`, { method: "PATCH", body: values })));

  function none() {
    chosen.clear();
    for (const box of document.querySelectorAll(`#${kind}-list .choose`)) {
      /** @type {HTMLInputElement} */ (box).checked = false;
    }
    show();
  }

  /** Let the keys go on in the list, or with the undoing, when what they were at is gone. */
  function find() {
    const box = document.querySelector(`#${kind}-list .choose`) ?? formOf(`${kind}-finder`).querySelector("input");
    const next = byId("undo-bar").hidden ? box : byId("undo-delete");
    /** @type {HTMLElement | null} */ (next)?.focus({ preventScroll: true });
  }

  /** @type {Record<string, () => unknown>} */
  const acts = {
    none,
    rename: () => edit("name"),
    tag: () => edit("tags"),
    batch: () => batch([...chosen.values()]),
    convert: () => askForDataset([...chosen.values()]),
    async delete() {
      const ids = [...chosen.keys()];
      await patch({ deleted: true });
      none();
      await reload();
      offerUndo(`${count(ids.length, one)} in the bin.`, async () => {
        await patch({ deleted: false }, ids);
        await reload();
        find();
      });
    },
    async restore() {
      await patch({ deleted: false });
      none();
      await reload();
    },
  };

  /** Ask for a name, or for tags, of all that are chosen. @param {"name" | "tags"} what */
  async function edit(what) {
    const [first] = chosen.values();
    const many = count(chosen.size, one);
    byId("edit-title").textContent = what === "name" ? `Rename ${many}` : `Tags of ${many}`;
    byId("edit-label").textContent = what === "tags" ? "Tags, with commas between them"
      : chosen.size > 1 ? "Name; each gets a number behind it" : "Name";
    byId("edit-text").value = what === "name" ? first.name : first.tags.join(", ");
    /** @param {string} text */
    const save = async (text) => {
      const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
      const ids = [...chosen.keys()];
      const nameOf = (/** @type {number} */ index) => (ids.length > 1 && text ? `${text} ${index + 1}` : text);
      await Promise.all(ids.map((id, index) => patch(what === "name" ? { name: nameOf(index) } : { tags }, [id])));
      none();
      await reload();
    };
    await ask("edit", () => save(byId("edit-text").value.trim()));
  }

  /** Start a run of each clip. @param {Choosable[]} clips */
  async function batch(clips) {
    byId("batch-title").textContent = `Track ${count(clips.length, "clip")}`;
    await ask("batch", async () => {
      const frames = byId("batch-frames").value;
      const body = {
        method: byId("batch-method").value,
        grid: Number(byId("batch-grid").value),
        frames: frames ? Number(frames) : null,
      };
      const started = await Promise.allSettled(
        clips.map((clip) => request("/runs", { method: "POST", body: { clip: clip.id, ...body } })),
      );
      const refused = started.flatMap((result, index) =>
        result.status === "rejected" ? [`${clips[index].name}: ${sentenceOf(result.reason)}`] : []);
      await reload();
      const done = started.length - refused.length;
      announce(`${count(done, "run")} started.`);
      if (refused.length) throw new Error([done ? `${count(done, "run")} started.` : "", ...refused].join(" ").trim());
      none();
    });
  }

  bar.addEventListener("click", async (event) => {
    const button = event.target instanceof Element && event.target.closest("[data-act]");
    if (!button) return;
    try {
      await acts[button.getAttribute("data-act") ?? ""]();
      if (bar.hidden) find();
    } catch (error) {
      byId(`${kind}-chosen-count`).textContent = sentenceOf(error);
    }
  });

  return {
    /** The box that chooses a card's clip or run. @param {Choosable} item @param {string} title */
    box(item, title) {
      const box = element("input", { type: "checkbox", className: "choose", checked: chosen.has(item.id) });
      box.setAttribute("aria-label", `Choose ${title}`);
      box.addEventListener("change", () => {
        if (box.checked) chosen.set(item.id, item);
        else chosen.delete(item.id);
        show();
      });
      return box;
    },
    none,
  };
}

/** @param {string} text @param {() => Promise<void>} undo */
function offerUndo(text, undo) {
  clearTimeout(undoTimer);
  byId("undo-text").textContent = text;
  byId("undo-bar").hidden = false;
  byId("undo-delete").onclick = async () => {
    byId("undo-bar").hidden = true;
    await undo();
    announce("Taken back.");
  };
  undoTimer = setTimeout(() => (byId("undo-bar").hidden = true), UNDO_MILLISECONDS);
}
