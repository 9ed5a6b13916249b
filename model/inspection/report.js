// @ts-check
// The report's pictures in large.

const dialog = /** @type {HTMLDialogElement} */ (document.querySelector("dialog"));
const [picture, caption] = [...dialog.children];
/** @type {NodeListOf<HTMLElement>} */
const tiles = document.querySelectorAll(".tile");
for (const tile of tiles) {
  tile.querySelector("button")?.addEventListener("click", () => {
    picture.setAttribute("src", tile.querySelector("img")?.src ?? "");
    caption.textContent = tile.querySelector("figcaption")?.innerText.split("\n").join(" · ") ?? "";
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());
