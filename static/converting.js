// @ts-check
// Making a training set of clips: the dialog, and what it would cost.

import { ROOT, follow, request } from "./api.js";
import { announce, ask, byId, formOf, say, sentenceOf } from "./dom.js";
import { bytes, count, seconds } from "./format.js";

/** @param {{ id: string }[]} clips */
export function askForDataset(clips) {
  const form = formOf("convert-form");
  /** @type {Job | null} */
  let trial = null;
  const body = () => {
    const { interval, ...values } = Object.fromEntries(new FormData(form));
    const numbers = ["grid", "horizon", "frame_step"].map((name) => [name, Number(values[name])]);
    return { ...values, ...Object.fromEntries(numbers), interval: interval ? Number(interval) : null, clips: clips.map(({ id }) => id) };
  };
  const endTrial = async () => {
    const { id } = trial ?? {};
    trial = null;
    byId("convert-try").disabled = false;
    if (id) await request(`/jobs/${id}`, { method: "DELETE" });
  };
  byId("convert-title").textContent = `Data set of ${count(clips.length, "clip")}`;
  byId("convert-try").onclick = async () => {
    say("convert-error", "");
    byId("convert-try").disabled = true;
    try {
      const { name: _, ...wanted } = /** @type {any} */ (body());
      /** @type {Job} */
      const mine = (trial = await request("/datasets/estimate", { method: "POST", body: wanted }));
      const show = (/** @type {Job} */ { stage, state }) => {
        if (trial === mine) say("convert-estimate", `Estimating: ${state === "queued" ? "waiting for its turn" : stage} …`);
      };
      const ended = await follow(mine.links.self, show, (problem) => say("convert-error", problem));
      if (trial !== mine) return; // closed, or the settings are others now
      trial = null;
      say("convert-estimate", ended.state === "done" ? outlook(ended) : "");
      say("convert-error", ended.error ?? "");
      announce(byId("convert-estimate").textContent ?? "");
    } catch (error) {
      say("convert-error", sentenceOf(error));
    }
    byId("convert-try").disabled = false;
  };
  form.oninput = () => {
    say("convert-estimate", "");
    endTrial();
  };
  byId("convert").addEventListener("close", endTrial, { once: true });
  return ask("convert", async () => {
    const job = await request("/datasets", { method: "POST", body: body() });
    location.assign(`${ROOT}/jobs/${job.id}`);
  });
}

/** @param {Job} job */
function outlook({ result }) {
  const { outlooks, failures, videos } = /** @type {{ outlooks: Outlook[], failures: [string, string][], videos: number }} */ (result);
  const lines = outlooks.map(({ name, chunks, seconds: time, bytes: size, motion }, index) => {
    const cost = `${count(chunks, "sample")}, about ${seconds(Math.max(1, Math.round(time)))}, ${bytes(Math.round(size))}`;
    return index ? `With ${name}: ${cost}.` : `${count(videos, "clip")}: ${cost}; its points move ${motion.toFixed(1)} px on average.`;
  });
  return [...lines, ...failures.map(([name, why]) => `${name} cannot be used: ${why}`)].join("\n");
}
