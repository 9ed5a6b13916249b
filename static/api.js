// Talking to /api/v1. Every failure is an Error whose message is a sentence for people.

export const API = "/api/v1";

export async function request(path, { method = "GET", body, signal } = {}) {
  let answer;
  try {
    answer = await fetch(API + path, {
      method,
      signal,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  const text = await answer.text();
  if (!answer.ok) throw new Refused(answer.status, sentenceOf(text, answer.status));
  return text === "" ? null : JSON.parse(text);
}

/** The server did not answer at all; trying again may help. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. Is Stillmotion still running?");
  }
}

/** The server answered with an error. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The sentence in a problem details answer, or one that says as much as is known. */
export function sentenceOf(text, status) {
  try {
    const { detail } = JSON.parse(text);
    if (detail) return detail;
  } catch {
    // not JSON: a proxy in between answered
  }
  return `The server answered with status ${status}.`;
}

/** Upload files as one clip. Returns {done: Promise<clip>, stop()}; `progress(sent, total)` in bytes. */
export function upload(files, progress) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const sender = new XMLHttpRequest(); // fetch cannot report how much was sent
  const done = new Promise((resolve, reject) => {
    sender.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    sender.addEventListener("load", () => {
      if (sender.status >= 200 && sender.status < 300) {
        resolve({ ...JSON.parse(sender.responseText), isNew: sender.status === 201 });
      } else reject(new Refused(sender.status, sentenceOf(sender.responseText, sender.status)));
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
