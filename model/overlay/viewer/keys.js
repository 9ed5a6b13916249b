// @ts-check
// The keyboard: what each key does, and the sheet that says so.

import { LAYER_TEXTS } from "./controls.js";
import { LAYERS, choices, offeredLayers } from "./settings.js";

/**
 * @import { Numbers } from "./numbers.js"
 * @import { Settings } from "./settings.js"
 * @import { Stage } from "./stage.js"
 * @import { Transport } from "./transport.js"
 *
 * A key's other names, what it does in words, and doing it.
 * @typedef {{ keys: string[], text: string, act: () => void }} Shortcut
 */

const KEY_NAMES = /** @type {Record<string, string>} */ ({
  " ": "space", ArrowLeft: "←", ArrowRight: "→", PageUp: "page ↑", PageDown: "page ↓", "-": "−",
});

/**
 * @param {Numbers} numbers @param {() => Settings} settings @param {(changed: Partial<Settings>) => void} change
 * @param {Stage[]} stages @param {Transport} transport @returns {Shortcut[]}
 */
export function shortcutsOf(numbers, settings, change, stages, transport) {
  const offered = choices(numbers);
  const next = (/** @type {keyof Settings} */ name) => () => {
    const values = offered[name] ?? [];
    change({ [name]: values[(values.indexOf(/** @type {string} */ (settings()[name])) + 1) % values.length] });
  };
  const move = (/** @type {number} */ factor, right = 0, down = 0) => () => stages[0].move(factor, right, down);
  /** @type {[string, string, keyof Settings][]} */
  const lists = [
    ["c", "next way of colouring", "colour"], ["h", "hidden points dimmed or left out", "hidden"], ["b", "paths", "trail"],
    ["m", "camera as filmed or removed", "camera"], ["f", "arrows, field or animated", "motion"],
    ["y", "next hypothesis", "hypothesis"], ["l", "at the end: begin again, to and fro, stop", "loop"],
  ];
  return [
    { keys: [" "], text: "play or pause", act: () => transport.clock.toggle() },
    { keys: ["ArrowLeft"], text: "one frame back", act: () => transport.step(-1) },
    { keys: ["ArrowRight"], text: "one frame on", act: () => transport.step(1) },
    { keys: ["PageUp"], text: "ten frames back", act: () => transport.step(-10) },
    { keys: ["PageDown"], text: "ten frames on", act: () => transport.step(10) },
    { keys: ["Home"], text: "first frame", act: () => transport.stopAt(0) },
    { keys: ["End"], text: "last frame", act: () => transport.stopAt(Infinity) },
    { keys: ["r"], text: "play backwards", act: () => transport.reverse() },
    { keys: [",", "<"], text: "slower", act: () => transport.changeSpeed(-1) },
    { keys: [".", ">"], text: "faster", act: () => transport.changeSpeed(1) },
    { keys: ["["], text: "the range begins here", act: () => transport.setRange("from") },
    { keys: ["]"], text: "the range ends here", act: () => transport.setRange("to") },
    ...lists.filter(([, , name]) => (offered[name]?.length ?? 0) > 1).map(([key, text, name]) => ({ keys: [key], text, act: next(name) })),
    ...offeredLayers(numbers).map((name) =>
      ({ keys: [LAYERS[name]], text: `${LAYER_TEXTS[name][0].toLowerCase()} on or off`, act: () => change({ [name]: !settings()[name] }) })),
    { keys: ["+", "="], text: "nearer", act: move(0.8) },
    { keys: ["-"], text: "farther", act: move(1.25) },
    { keys: ["0"], text: "the whole frame", act: () => stages[0].zoomTo([]) },
    { keys: ["a"], text: "look to the left", act: move(1, -0.2) },
    { keys: ["w"], text: "look up", act: move(1, 0, -0.2) },
    { keys: ["x"], text: "look down", act: move(1, 0, 0.2) },
    { keys: ["v"], text: "look to the right", act: move(1, 0.2) },
  ];
}

/**
 * Let keys do what they are for.
 * @param {Shortcut[]} shortcuts @param {() => void} help shows the sheet @param {AbortSignal | undefined} signal
 */
export function listenToKeys(shortcuts, help, signal) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const { key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(target)) return;
    if (target.closest("dialog")) return;
    if (key === " " && target.closest("button, a, summary, [type=checkbox]")) return; // its own
    if (/^(Arrow|Page|Home|End)/.test(key) && target.closest("input, [role=radiogroup]")) return;
    if (key === "?") help();
    const shortcut = shortcuts.find(({ keys }) => keys.includes(key.length === 1 ? key.toLowerCase() : key));
    shortcut?.act();
    if (shortcut || key === "?") event.preventDefault();
  }, { signal });
}

/** @param {Element} target */
const isTyping = (target) =>
  target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");

/** The sheet of keys. @param {Pick<Shortcut, "keys" | "text">[]} shortcuts */
export function keySheet(shortcuts) {
  const rows = shortcuts.map(({ keys: [key], text }) =>
    `<div><dt><kbd>${KEY_NAMES[key] ?? (key.length > 1 ? key : key.toUpperCase())}</kbd></dt><dd>${text}</dd></div>`);
  return `<form method="dialog"><h2>Keys</h2><button class="viewer-tool" autofocus>Close</button><dl>${rows.join("")}
    <div><dt><kbd>?</kbd></dt><dd>this sheet</dd></div></dl></form>`;
}
