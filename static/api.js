// @ts-check
// Talking to /api/v1. Every failure is an Error whose message is a sentence for people.

import { settingsOf } from "./format.js";
import { pause, sentenceOf, wasStopped } from "./dom.js";

/** Where the site is, behind a proxy: empty, or a path such as /stillmotion. */
export const ROOT = document.documentElement.dataset.root ?? "";

export const API = `${ROOT}/api/v1`;

/**
 * Ask for a path below /api/v1, or for one of the links in an answer.
 * @param {string} path @param {{ method?: string, body?: object, signal?: AbortSignal }} [options]
 * @returns {Promise<any>}
 */
export async function request(path, { method = "GET", body, signal } = {}) {
  const url = path.startsWith(`${API}/`) ? path : API + path;
  const content = body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(url, { method, signal, ...content }).catch((error) => {
    throw wasStopped(error) ? error : new Error("The server does not answer. Is Stillmotion still running?");
  });
  const text = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, text);
  return text === "" ? null : JSON.parse(text);
}

/** The server answered with an error: its problem details' sentence, or one that says as much as is known. */
class Refused extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(detailOf(text) ?? `The server answered with status ${status}.`);
    this.status = status;
  }
}

/** @param {string} text @returns {string | undefined} */
function detailOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return undefined; // not JSON: a proxy in between answered
  }
}

/** Whether a run or job is neither waiting nor at work. @param {{ state: string }} work */
export const hasEnded = (work) => !["queued", "running"].includes(work.state);

/**
 * Show a run or job, again and again, until it has ended; return it.
 * @template {{ state: string }} Work
 * @param {string} path of it @param {(work: Work) => void} show @param {(problem: string) => void} say why there is no news
 * @returns {Promise<Work>}
 */
export async function follow(path, show, say) {
  for (;;) {
    try {
      const work = await request(path);
      say("");
      show(work);
      if (hasEnded(work)) return work;
      await pause(work.state === "queued" ? 700 : 400);
    } catch (error) {
      if (error instanceof Refused && error.status === 404) throw error;
      say(sentenceOf(error));
      await pause(2000);
    }
  }
}

/**
 * Where the pictures of a figure's rows are. A cancelled run that was followed backwards lacks frames at its start.
 * @param {Run} run @param {Figure} figure @returns {(row: number) => string}
 */
export function frameAddresses(run, { layout }) {
  const lacking = run.is_prediction ? 0 : (layout.meta.stillmotion.frames[0] - run.start) / run.frame_step;
  return (row) => run.links.frames.replace("{position}", `${row + lacking}`);
}

/** Start a run like another one. @param {Run} run @returns {Promise<Run>} */
export async function startLike(run) {
  const { points_of: isOwn, ...body } = { points_of: undefined, ...settingsOf(run) };
  const own = isOwn ? { points: (await request(run.links.points)).points } : {};
  return request("/runs", { method: "POST", body: { clip: run.clip, ...body, ...own } });
}

/**
 * Upload files as one clip.
 * @param {File[]} files @param {(sent: number, total: number) => void} progress in bytes
 * @returns {{ done: Promise<Clip & { isNew: boolean }>, stop: () => void }}
 */
export function upload(files, progress) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.webkitRelativePath || file.name);
  const sender = new XMLHttpRequest(); // fetch cannot report how much was sent
  const done = new Promise((resolve, reject) => {
    sender.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    sender.addEventListener("load", () => {
      const { status, responseText } = sender;
      if (status < 300) resolve({ ...JSON.parse(responseText), isNew: status === 201 });
      else reject(new Refused(status, responseText));
    });
    sender.addEventListener("error", () =>
      reject(new Error("The upload broke off; the connection or the server went away. Please try again.")),
    );
    sender.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
  });
  sender.open("POST", `${API}/clips`);
  sender.send(form);
  return { done, stop: () => sender.abort() };
}
