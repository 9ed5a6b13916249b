// @ts-check
// What the pages of a run and of a job share: how far the work is, how it ended, and the button that cancels it.

import { request } from "./api.js";
import { announce, byId, sayIn, setBar } from "./dom.js";
import { capitalized, placeInQueue, progressOf } from "./format.js";

/** Show how far work is that has not ended. @param {Run | Job} work @param {string} name @param {string} left when it will end */
export function showProgress(work, name, left) {
  const isQueued = work.state === "queued";
  const [stage, done] = isQueued ? ["Waiting for its turn", ""] : [capitalized(work.stage), progressOf(work.progress)];
  byId("stage").textContent = stage;
  byId("percent").textContent = done;
  byId("left").textContent = isQueued ? placeInQueue(work) : capitalized(left);
  setBar(isQueued ? 0 : work.progress);
  document.title = `${done || "Waiting"} · ${name} – Stillmotion`;
  // Spoken at each stage and each quarter, not at each percent.
  announce(isQueued ? placeInQueue(work) : `${stage}, ${progressOf(Math.floor(4 * work.progress) / 4)}`);
}

/** Say how work ended, and why. @param {Run | Job} work @param {string} title @param {string} reason */
export function showEnding(work, title, reason) {
  byId("ended-title").textContent = title;
  byId("ended-reason").textContent = reason;
  byId("ended").classList.toggle("bad", work.state === "failed");
  byId("ended").hidden = false;
  announce(`${title}. ${reason}`.trim());
}

/** @param {string} path of the work @param {string} id where it is said what went wrong */
export function offerCancel(path, id) {
  byId("cancel").addEventListener("click", async () => {
    byId("cancel").disabled = true;
    byId("left").textContent = "Stopping …";
    try {
      await request(path, { method: "DELETE" });
    } catch (error) {
      sayIn(id)(error);
      byId("cancel").disabled = false;
    }
  });
}
