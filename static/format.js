// @ts-check
// Numbers, clips and runs in words.

/** @param {number} count */
export function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(count) / 3));
  const value = count / 1000 ** power;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${["", "kB", "MB", "GB"][power]}`;
}

/** @param {number} value */
export function seconds(value) {
  if (value < 10) return `${Number(value.toFixed(value < 1 ? 2 : 1))} s`;
  if (value < 100) return `${Math.round(value)} s`;
  const minutes = Math.floor(value / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(value % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} value */
export const whole = (value) => value.toLocaleString("en");

/** @param {number} share of 1 */
export const percent = (share) => `${Math.round(100 * share)} %`;

/** How much of some work is done: 100 % only at its end. @param {number} progress 0 to 1 */
export const progressOf = (progress) => `${Math.floor(100 * progress)} %`;

/** The state of a run or job in a list: how far it is while it is at work. @param {{ state: string, progress: number }} work */
export const stateOf = ({ state, progress }) =>
  state === "running" ? progressOf(progress) : state === "queued" ? "waiting" : state;

/** @param {string} text */
export const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {number | null} left seconds */
export const timeLeft = (left) =>
  left === null ? "working out how long it takes …" : `about ${seconds(Math.max(1, Math.round(left)))} left`;

/** Where what waits is in the queue, and when it will begin. @param {Pick<Run, "queue_position" | "starts_in_seconds">} waiting */
export function placeInQueue({ queue_position: position, starts_in_seconds: start }) {
  if (position === null) return "Begins in a moment";
  const when = start === null ? "" : start < 1.5 ? ", begins in a moment" : `, begins in about ${seconds(Math.round(start))}`;
  return `${position === 1 ? "Next" : ordinal(position)} in the queue${when}`;
}

/** A place in an order: "Third", "14th". @param {number} place from 1 */
function ordinal(place) {
  const words = ["First", "Second", "Third", "Fourth", "Fifth", "Sixth", "Seventh", "Eighth", "Ninth", "Tenth"];
  const endings = /** @type {Record<string, string>} */ ({ one: "st", two: "nd", few: "rd", other: "th" });
  const kind = new Intl.PluralRules("en", { type: "ordinal" }).select(place);
  return words[place - 1] ?? `${place}${endings[kind]}`;
}

/** @param {number} value @param {string} one what it counts */
export const count = (value, one) => `${whole(value)} ${one}${value === 1 ? "" : "s"}`;

/** What a job was asked for. @param {Job} job @returns {[string, string][]} */
export function jobFacts({ kind, settings }) {
  if (kind === "train") {
    const { dataset, minutes, steps, weights, scene_motion: scene } = settings;
    const end = [minutes && `${minutes} min`, steps && count(steps, "step")].filter(Boolean).join(" or ");
    return [["Data set", dataset], ["Motion", scene ? "camera removed" : "as filmed"], ["Ends after", end], ["Begun with", weights ?? "the installed predictor"]];
  }
  if (kind === "segment") return [["Frame", `${settings.frame}`]];
  const { clips, method_title: method, grid, horizon, frame_step: step, interval } = settings;
  return [
    ["Clips", whole(clips.length)],
    ["Method", method],
    ["Points", `${grid} × ${grid}`],
    ["Frames", `${horizon}${interval ? `, ${Number(interval.toFixed(3))} s apart` : step > 1 ? `, every ${step}` : ""}`],
  ];
}

/** @param {string} time */
export function ago(time) {
  const passed = (Date.now() - new Date(time).getTime()) / 1000;
  if (passed < 60) return "just now";
  if (passed < 3600) return `${count(Math.floor(passed / 60), "minute")} ago`;
  if (passed < 86400) return `${count(Math.floor(passed / 3600), "hour")} ago`;
  if (passed < 7 * 86400) return `${count(Math.floor(passed / 86400), "day")} ago`;
  return new Date(time).toLocaleDateString("en", { year: "numeric", month: "short", day: "numeric" });
}

/** A run's last frame in the clip. @param {Run} run */
export const lastFrame = (run) => run.start + (run.frames - 1) * run.frame_step;

/** Which frames of a clip a run is about, in a few words. @param {Run} run @param {number} clipFrames */
export function frameSpan(run, clipFrames) {
  return run.is_prediction ? `predicted ${ahead(run, clipFrames)}` : `${run.frames} frames from ${run.start}`;
}

/** Of what a prediction is; a clip of one frame needs no number for it. @param {Run} run @param {number} clipFrames */
function ahead(run, clipFrames) {
  const reach = `${count(lastFrame(run) - run.start, "frame")} ahead`;
  return clipFrames > 1 ? `from frame ${run.start}, ${reach}` : reach;
}

/** The settings that start a run like this one; points of one's own are at its `links.points`. @param {Run} run */
export function settingsOf(run) {
  const { method, grid, start, query_frame, direction, frame_step } = run;
  const settings = { method, ...(run.weights && { weights: run.weights }) };
  if (run.is_prediction) return { ...settings, grid, start };
  const before = (query_frame - start) / frame_step;
  const frames = Math.max(before, run.frames - 1 - before) + 1; // in each direction
  const points = grid === null ? { points_of: run.id } : { grid };
  return { ...settings, ...points, start: query_frame, direction, frames, frame_step };
}

/** What a run follows, in a few words. @param {Run} run */
export const pointsOf = ({ grid, point_count }) => (grid === null ? `${whole(point_count)} of your own` : `${grid} × ${grid}`);

/** What was found in a clip. @param {Omit<Clip, "name" | "created_at" | "remark" | "tags">} clip @returns {[string, string][]} */
export const clipFacts = (clip) => [
  ["Frames", whole(clip.frames)],
  .../** @type {[string, string][]} */ (clip.fps > 0
    ? [["Length", seconds(clip.frames / clip.fps)], ["Rate", `${Number(clip.fps.toFixed(2))} frames/s`]]
    : []),
  ["Picture", `${clip.width} × ${clip.height} px`],
  ["File", bytes(clip.bytes)],
];

/** What is to be said of a run. @param {Run} run @param {{ fps: number, frames: number }} clip */
export function runFacts(run, { fps, frames }) {
  const last = lastFrame(run);
  const step = run.frame_step > 1 ? `, step ${run.frame_step}` : "";
  const from = run.query_frame > run.start ? `, from ${run.query_frame}` : "";
  /** @type {[string, string][]} */
  const facts = [
    ["Method", run.method_title],
    ["Points", pointsOf(run)],
    run.is_prediction
      ? ["Predicted", ahead(run, frames)]
      : ["Frames", `${run.frames} (${run.start} to ${last}${step}${from})`],
  ];
  if (fps > 0) facts.push(["Span", seconds((last - run.start) / fps)]);
  if (run.weights) facts.push(["Weights", run.weights]);
  if (run.started_at && run.finished_at && run.state === "done") {
    facts.push(["Took", seconds((Date.parse(run.finished_at) - Date.parse(run.started_at)) / 1000)]);
  }
  return facts;
}

/** How many samples a training set has of each split. @param {Pick<Dataset, "samples_by_split">} set */
export const splitCounts = ({ samples_by_split: splits }) =>
  ["train", "validation", "test"].filter((split) => splits[split]).map((split) => `${whole(splits[split])} ${split}`).join(" · ");
