// @ts-check
// Small pieces of page.

/** @param {string} id @returns {PageElement} */
export const byId = (id) => /** @type {PageElement} */ (document.getElementById(id));

/** @param {string} id */
export const formOf = (id) => /** @type {HTMLFormElement} */ (document.getElementById(id));

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Partial<HTMLElementTagNameMap[Tag]>} [properties] @param {(Node | string)[]} content
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...content) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...content);
  return made;
}

/** Show a sentence, or nothing. @param {string} id @param {string} text */
export function say(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = text === "";
}

/** Show what went wrong, where an id says. @param {string} id @returns {(error: unknown) => void} */
export const sayIn = (id) => (error) => say(id, sentenceOf(error));

/** @param {unknown} error */
export const sentenceOf = (error) => (error instanceof Error ? error.message : String(error));

/** @param {unknown} error */
export const wasStopped = (error) => error instanceof DOMException && error.name === "AbortError";

/** Let those who do not see the page hear what happened. @param {string} text */
export function announce(text) {
  const { textContent } = byId("status");
  if (text !== textContent) byId("status").textContent = text;
}

/** @param {string} id of a list @param {[string, string][]} facts names and values */
export function showFacts(id, facts) {
  byId(id).replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

/** @param {number} share of what is to be done */
export function setBar(share) {
  const bar = /** @type {HTMLElement} */ (document.querySelector(".bar"));
  /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${100 * share}%`;
  bar.setAttribute("aria-valuenow", `${Math.round(100 * share)}`);
}

/**
 * Let a button start something and lead to where it is; or say, where an id says, why it cannot be.
 * @param {{ disabled: boolean }} button @param {string} id @param {() => Promise<string>} start returns the address
 */
export async function startBy(button, id, start) {
  button.disabled = true;
  say(id, "");
  try {
    location.assign(await start());
    // A page that the browser brings back from its memory would still have the button switched off.
    window.addEventListener("pageshow", () => (button.disabled = false), { once: true });
  } catch (error) {
    sayIn(id)(error);
    button.disabled = false;
  }
}

/**
 * Open a dialog; it stays open, and says why, as long as what it is for does not work. Returns when it is closed.
 * @param {string} id @param {() => Promise<void>} act
 */
export function ask(id, act) {
  const form = formOf(`${id}-form`);
  say(`${id}-error`, "");
  form.onsubmit = async (event) => {
    if (/** @type {HTMLButtonElement | null} */ (event.submitter)?.value === "cancel") return;
    event.preventDefault();
    try {
      await act();
      byId(id).close();
    } catch (error) {
      say(`${id}-error`, sentenceOf(error));
    }
  };
  byId(id).showModal();
  /** @type {HTMLElement | null} */
  const first = byId(id).querySelector("input, select");
  first?.focus();
  return new Promise((resolve) => byId(id).addEventListener("close", resolve, { once: true }));
}

/** @param {number} milliseconds @returns {Promise<void>} */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
