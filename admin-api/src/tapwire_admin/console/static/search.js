// The search box of every page: `/` goes to it, arrows go through its results. A card on this desk's reader opens its guest.

const CHOSEN = "tapwire-reader";
const READER = "/readers/";

const finder = document.querySelector("[data-finder]");
const field = finder?.querySelector("input");

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (!field || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  field.focus();
  field.select();
});

finder?.addEventListener("keydown", (event) => {
  const links = [...finder.querySelectorAll("a")];
  const at = links.indexOf(document.activeElement);
  if (event.key === "Escape") {
    field.value = "";
    finder.querySelector("#finder-results").replaceChildren();
    document.activeElement.blur();
  } else if (event.key === "ArrowDown" && links.length) {
    event.preventDefault();
    links[Math.min(at + 1, links.length - 1)].focus();
  } else if (event.key === "ArrowUp" && at >= 0) {
    event.preventDefault();
    (links[at - 1] ?? field).focus();
  }
});

// Pages with a reader's form show the card there. Typed text is not lost: while a dialog is open or a field is used, nothing opens.
document.addEventListener("tapwire:card", ({ detail: { path, card_uid, is_new } }) => {
  // a card that lay there before the page was opened opens nothing
  if (!is_new || !card_uid || !path.includes(READER) || document.hidden || !document.hasFocus()) return;
  if (document.querySelector("[data-reader-form], dialog[open]")) return;
  if (document.activeElement !== field && isTyping(document.activeElement)) return;
  const chosen = localStorage.getItem(CHOSEN);
  if (chosen?.includes(READER) && chosen !== path) return;
  if (path.split("/")[0] !== finder?.dataset.venue) return;
  location.assign(`/search/card?card_uid=${encodeURIComponent(card_uid)}`);
});
