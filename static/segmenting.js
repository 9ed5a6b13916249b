// @ts-check
// The button on a clip's page that has the classes in the shown frame found.

import { ROOT, request } from "./api.js";
import { byId, sayIn } from "./dom.js";

const { clip, frames } = byId("setup").dataset;

byId("segment").addEventListener("click", async () => {
  byId("segment").disabled = true;
  try {
    const frame = Number(frames) > 1 ? Number(byId("start").value) : 0;
    const job = await request(`/clips/${clip}/segment`, { method: "POST", body: { frame } });
    location.assign(`${ROOT}/jobs/${job.id}`);
  } catch (error) {
    sayIn("segment-error")(error);
  }
  byId("segment").disabled = false;
});
