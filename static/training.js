// @ts-check
// The form on a data set's page that starts the fine-tuning of a predictor.

import { ROOT, request } from "./api.js";
import { byId, element, formOf, sayIn, startBy } from "./dom.js";

const name = byId("dataset").dataset.name ?? "";
const address = `/datasets/${encodeURIComponent(name)}`;
const form = formOf("train-form");

/** Offer to train on a complete set, from each of the predictors that are there. */
async function offer() {
  const [set, { items }] = await Promise.all([request(address), request("/methods")]);
  /** @type {Method[]} */
  const methods = items;
  const { weights = [] } = methods.find((method) => method.from_one_image) ?? {};
  byId("train-weights").replaceChildren(
    ...["", ...weights].map((value) => element("option", { value }, value || "the installed predictor")),
  );
  byId("train").hidden = !set.is_complete;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { minutes, steps, weights, scene_motion: scene, ...others } = Object.fromEntries(new FormData(form));
  const body = {
    ...others, scene_motion: Boolean(scene), minutes: minutes ? Number(minutes) : null, steps: steps ? Number(steps) : null, weights: weights || null,
  };
  startBy(byId("start-training"), "train-error", async () => {
    const job = await request(`${address}/train`, { method: "POST", body });
    return `${ROOT}/jobs/${job.id}`;
  });
});
offer().catch(sayIn("train-error"));
