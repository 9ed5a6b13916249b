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

/** What every plot of a page has: no ground of its own, and the page's letters. @param {number} size of the letters */
export const plotLook = (size) => ({
  paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
  font: { family: getComputedStyle(document.body).fontFamily, color: themeColour("text"), size },
});

/** An axis of one. @param {string} title */
export const axisLook = (title) => ({
  title: { text: title, font: { size: 11, color: themeColour("muted") }, standoff: 4 }, tickfont: { color: themeColour("muted") },
  gridcolor: themeColour("line"), linecolor: themeColour("line-strong"), zeroline: false, fixedrange: true,
});

/** Options of a plot that is only looked at. */
export const PLAIN_PLOT = { displayModeBar: false, responsive: true };

/** The tools over a picture. */
export const MODEBAR = { bgcolor: "rgba(7, 9, 12, 0.55)", color: "#c6d0dc", activecolor: "#ffffff" };

/** Hear when the theme is another one. @param {() => void} hear @param {AbortSignal} [signal] ends it */
export function onOtherTheme(hear, signal) {
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", hear, { signal });
  addEventListener("theme", hear, { signal });
}
