// @ts-check
// Light, dark, or as the system has it: what a person chose is there before anything is painted.
// A classic script in the page's head, so that it does not wait for the page.

{
  const KEPT = "stillmotion-theme";
  const apply = () => {
    document.documentElement.dataset.theme = localStorage.getItem(KEPT) ?? "system";
  };
  const show = () => {
    apply();
    const choice = /** @type {HTMLSelectElement} */ (document.querySelector("#theme"));
    choice.value = document.documentElement.dataset.theme ?? "";
    dispatchEvent(new Event("theme"));
  };
  apply();
  addEventListener("storage", show); // chosen on another page
  addEventListener("DOMContentLoaded", () => {
    show();
    document.querySelector("#theme")?.addEventListener("change", ({ target }) => {
      localStorage.setItem(KEPT, /** @type {HTMLSelectElement} */ (target).value);
      show();
    });
  });
}
