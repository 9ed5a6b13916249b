// @ts-check
// The page's colours for what is drawn by script: plots follow the theme, which a person or the system may change.

/** A colour of the theme as it is now. @param {string} name of its CSS variable */
export function themeColour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const { color } = getComputedStyle(probe); // the variable itself holds a colour for each theme
  probe.remove();
  return color;
}

/** Hear when the theme is another one. @param {() => void} hear @param {AbortSignal} [signal] ends it */
export function onOtherTheme(hear, signal) {
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", hear, { signal });
  addEventListener("theme", hear, { signal });
}
