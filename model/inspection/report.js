// The report's pictures in large.

const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".tile button")) {
  button.addEventListener("click", () => {
    dialog.querySelector("img").src = button.querySelector("img").src;
    dialog.querySelector("p").textContent = button.closest(".tile").querySelector("figcaption").innerText.split("\n").join(" · ");
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());
