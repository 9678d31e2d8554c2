// Shows the card on the chosen reader; the form can be sent only while a card lies there or a number is typed. A reader that is
// offline, or that the server no longer hears, has no card. Where the form says what a card opens, laying it on is enough.

const CHOSEN = "tapwire-reader";
let soughtFor = null;

function form() {
  return document.querySelector("[data-reader-form]");
}

function chosen() {
  return form()?.querySelector("[name=reader]:checked");
}

function show() {
  const where = form();
  if (!where) return;
  const typed = where.elements.typed?.value.trim() ?? "";
  const reader = chosen();
  const is_away = reader !== undefined && reader !== null && !reader.closest("label").querySelector("[data-offline]").hidden;
  const laid = is_away ? "" : (reader?.dataset.card ?? "");
  const card = typed || laid;
  const is_new = where.elements.card_uid.value !== card;
  where.elements.card_uid.value = card;
  where.querySelector("[data-reader]").classList.toggle("has-card", card !== "");
  const uid = where.querySelector("[data-uid]");
  uid.textContent = card;
  uid.hidden = card === "";
  where.querySelector("[data-empty]").hidden = card !== "" || is_away;
  where.querySelector("[data-away]").hidden = card !== "" || !is_away;
  const needs_guest = where.elements.guest_id !== undefined && where.elements.guest_id.value === "";
  where.querySelector("[type=submit]").disabled = card === "" || needs_guest;
  if (is_new && laid && !typed && where.dataset.cardOpens) {
    htmx.ajax("GET", `${where.dataset.cardOpens}?card_uid=${encodeURIComponent(laid)}`, {
      target: "#night",
      swap: "outerHTML show:#night:top",
    });
  }
}

function chooseAgain() {
  const before = localStorage.getItem(CHOSEN);
  const same = before && form()?.querySelector(`[name=reader][value="${CSS.escape(before)}"]`);
  if (same) same.checked = true;
  else if (before && form() && soughtFor !== form()) {
    soughtFor = form(); // once a form: the reader may be gone
    htmx.ajax("GET", `/check-in/readers?reader=${encodeURIComponent(before)}`, { target: "#readers", swap: "outerHTML" });
  }
  show();
}

document.addEventListener("tapwire:card", ({ detail: { path, card_uid, online } }) => {
  const reader = form()?.querySelector(`[name=reader][value="${CSS.escape(path)}"]`);
  if (!reader) return;
  reader.dataset.card = card_uid ?? "";
  reader.closest("label").querySelector("[data-offline]").hidden = online;
  show();
});
document.addEventListener("input", (event) => {
  if (!event.target.closest("[data-reader-form]")) return;
  if (event.target.name === "reader") localStorage.setItem(CHOSEN, event.target.value);
  show();
});
document.addEventListener("htmx:afterSettle", chooseAgain);
chooseAgain();
