// Numbers as people read them, and small pieces of page.

export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${["", "kB", "MB", "GB"][power]}`;
}

export function seconds(value) {
  if (value < 10) return `${Number(value.toFixed(value < 1 ? 2 : 1))} s`;
  if (value < 100) return `${Math.round(value)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(value % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const count = (value, one, many = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;

export function ago(time) {
  const passed = (Date.now() - new Date(time).getTime()) / 1000;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${count(Math.floor(passed / 60), "minute")} ago`;
  if (passed < 86400) return `${count(Math.floor(passed / 3600), "hour")} ago`;
  if (passed < 7 * 86400) return `${count(Math.floor(passed / 86400), "day")} ago`;
  return new Date(time).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

export const METHODS = { fcn: "FCN predictor", lk: "Lucas-Kanade", pips: "PIPs", zero: "Zero motion" };

/** Whether a run looked at its first frame alone. */
export const isPrediction = (run) => run.method === "fcn";

/** A run's last frame in the clip. */
export const lastFrame = (run) => run.start + (run.frames - 1) * run.frame_step;

/** Which frames of a clip a run is about, in a few words. */
export function frameSpan(run, clipFrames) {
  return isPrediction(run) ? `predicted ${ahead(run, clipFrames)}` : `${run.frames} frames from ${run.start}`;
}

/** Of what a prediction is; a clip of one frame needs no number for it. */
function ahead(run, clipFrames) {
  const reach = `${count(lastFrame(run) - run.start, "frame")} ahead`;
  return clipFrames > 1 ? `from frame ${run.start}, ${reach}` : reach;
}

/** The settings that start a run like this one. */
export function settingsOf({ method, grid, start, frames, frame_step }) {
  return isPrediction({ method }) ? { method, grid, start } : { method, grid, start, frames, frame_step };
}

/** What was found in a clip, as [name, value] pairs. */
export function clipFacts(clip) {
  const facts = [["Frames", clip.frames.toLocaleString("en")]];
  if (clip.fps > 0) {
    facts.push(["Length", seconds(clip.frames / clip.fps)]);
    facts.push(["Rate", `${Number(clip.fps.toFixed(2))} frames/s`]);
  }
  facts.push(["Picture", `${clip.width} × ${clip.height} px`], ["File", bytes(clip.bytes)]);
  return facts;
}

/** What is to be said of a run, as [name, value] pairs. clip: its {fps, frames}. */
export function runFacts(run, { fps, frames }) {
  const last = lastFrame(run);
  const step = run.frame_step > 1 ? `, step ${run.frame_step}` : "";
  const facts = [
    ["Method", METHODS[run.method] ?? run.method],
    ["Points", `${run.grid} × ${run.grid}`],
    isPrediction(run)
      ? ["Predicted", ahead(run, frames)]
      : ["Frames", `${run.frames} (${run.start} to ${last}${step})`],
  ];
  if (fps > 0) facts.push(["Span", seconds((last - run.start) / fps)]);
  if (run.weights) facts.push(["Weights", run.weights]);
  if (run.started_at && run.finished_at && run.state === "done") {
    facts.push(["Took", seconds((new Date(run.finished_at) - new Date(run.started_at)) / 1000)]);
  }
  return facts;
}

export function showFacts(list, facts) {
  list.replaceChildren(
    ...facts.map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", "", name), element("dd", "", value));
      return pair;
    }),
  );
}

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export const byId = (id) => document.getElementById(id);

/** Show a sentence, or nothing. */
export function say(target, text) {
  target.textContent = text;
  target.hidden = text === "";
}

export function setBar(bar, share) {
  const percent = Math.round(100 * share);
  bar.firstElementChild.style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", percent);
}

/** Let a range input's track show how far it is. */
export function paintRange(input) {
  const share = (input.value - input.min) / Math.max(1, input.max - input.min);
  input.style.setProperty("--done", `${100 * share}%`);
}

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Plotly is a deferred script, and a module may run before the page has it. */
export async function scriptsLoaded() {
  if (document.readyState !== "complete") await new Promise((resolve) => addEventListener("load", resolve));
  if (!window.Plotly) throw new Error("The drawing library could not be loaded.");
}
