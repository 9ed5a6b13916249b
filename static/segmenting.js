// @ts-check
// The button on a clip's page that has the classes in the shown frame found.

import { ROOT, request } from "./api.js";
import { byId, startBy } from "./dom.js";

const { clip, frames } = byId("setup").dataset;

byId("segment").addEventListener("click", () => startBy(byId("segment"), "segment-error", async () => {
  const frame = Number(frames) > 1 ? Number(byId("start").value) : 0;
  const job = await request(`/clips/${clip}/segment`, { method: "POST", body: { frame } });
  return `${ROOT}/jobs/${job.id}`;
}));
