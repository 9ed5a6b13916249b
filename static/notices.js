// @ts-check
// A word from the browser when a run has ended and its page is not looked at. Off until a person asks for it.

const KEPT = "stillmotion-notices";

/** Let a checkbox switch the notices on and off. @param {PageElement} box @param {(problem: string) => void} say */
export function offerNotices(box, say) {
  box.checked = areWanted();
  box.addEventListener("change", async () => {
    localStorage.removeItem(KEPT);
    say("");
    if (!box.checked) return;
    const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
    box.checked = answer === "granted";
    if (box.checked) localStorage.setItem(KEPT, "1");
    else say("The browser does not let this page notify you; its settings for this address may say why.");
  });
}

/** Say something outside the page, if that is wanted and nobody looks at it. @param {string} title @param {string} body */
export function notify(title, body) {
  if (!areWanted() || document.hasFocus()) return;
  const notice = new Notification(title, { body, tag: location.pathname });
  notice.addEventListener("click", () => window.focus());
}

const areWanted = () =>
  localStorage.getItem(KEPT) === "1" && "Notification" in window && Notification.permission === "granted";
