// @ts-check
// Plotly takes a second to start, so a page shows its first picture without it: it is run when it is first needed.

/** @type {Promise<void> | undefined} */
let coming;

/** Plotly, as the global of that name. A page names its file in a link with the id "plotly"; a file of its own has it. */
export function plotlyThere() {
  coming ??= "Plotly" in window ? Promise.resolve() : runScript(document.querySelector("link#plotly")?.getAttribute("href") ?? "");
  return coming;
}

/** @param {string} address */
async function runScript(address) {
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done))); // what is on the canvas is painted first
  const script = document.createElement("script");
  script.src = address;
  document.head.append(script);
  await new Promise((done, fail) => {
    script.addEventListener("load", done);
    script.addEventListener("error", () => fail(new Error("The drawing library could not be loaded.")));
  });
}
