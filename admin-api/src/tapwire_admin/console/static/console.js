// Runs in the browser beside htmx: keeps the page up to date, and manages dialogs.
// All texts and amounts of money come from the server, in the viewer's language.

const STALE_AFTER_MS = 7_000;
const RECONNECT_MS = 2_000;
const REFRESH_GATHER_MS = 120;
const TOAST_MS = 6_000;
const UNDO_MS = 15_000; // time to see the mistake, and to reach the button
const FIRST_REFRESH_ALL_MS = 1_000;
const FORECAST_MS = 60_000;
const TAPS_AT_ONCE = 100; // the address of the request names them

const page = document.body;
const dialog = document.getElementById("dialog");
const toasts = document.getElementById("toasts");

// --- the stream ------------------------------------------------------------------------------------------------------------

let heardAt = performance.now();
let wasStale = false;
let wasOpen = false;

function listen() {
  const stream = new EventSource("/live");
  const on = (name, act) =>
    stream.addEventListener(name, (event) => {
      heardAt = performance.now();
      act(JSON.parse(event.data));
    });
  on("values", (values) => values.forEach(showValue));
  on("card", showCard);
  on("link", showLink);
  on("beat", showLink);
  on("changed", ({ topics }) => refresh(topics));
  on("end", ({ reason }) => {
    if (reason !== "superseded") {
      document.dispatchEvent(new CustomEvent("tapwire:leave"));
      return location.reload();
    }
    stream.close(); // newer pages of this user have the places: this one goes on when it is looked at again
    const resume = () => {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", resume);
      listen();
    };
    document.addEventListener("visibilitychange", resume);
  });
  stream.onopen = () => {
    if (wasOpen) refresh(["*"]); // a new stream starts now: events between two streams are lost
    wasOpen = true;
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  };
  addEventListener("pagehide", () => stream.close(), { once: true });
}

function showValue(value) {
  for (const tap of document.querySelectorAll(`[data-tap="${CSS.escape(value.path)}"]`)) {
    if ("phase" in value) {
      tap.dataset.phase = value.phase;
      setText(tap, "phase", value.phase_text);
    } else if (tap.dataset.pour === value.pour_id || begin(tap, value)) {
      setText(tap, "ml", value.ml);
      setText(tap, "money", value.money);
      for (const meter of tap.querySelectorAll("[data-live=share]")) meter.value = value.share;
    }
  }
}

// Shows a pour that the card does not know yet at once, and asks for the rest of the card. A pour that is over is not shown.
function begin(tap, { path, pour_id, visit_id, guest }) {
  if (tap.dataset.phase !== "POURING") return false;
  tap.dataset.pour = pour_id;
  for (const part of tap.querySelectorAll("[data-now]")) part.hidden = part.dataset.now !== "flow";
  setText(tap, "guest", guest);
  for (const link of tap.querySelectorAll("[data-live=guest]")) link.href = `/visits/${visit_id}`;
  refresh([path]);
  return true;
}

function setText(where, name, text) {
  for (const element of where.querySelectorAll(`[data-live=${name}]`)) {
    if (element.textContent !== text) element.textContent = text;
  }
}

function showCard(detail) {
  document.dispatchEvent(new CustomEvent("tapwire:card", { detail }));
}

function showLink({ broker, cores }) {
  const states = { broker, core: broker && cores > 0 };
  for (const [name, is_there] of Object.entries(states)) {
    for (const element of document.querySelectorAll(`[data-link=${name}]`)) element.dataset.there = is_there;
  }
  page.dataset.core = states.core ? "there" : "away";
}

// Parts of the page that show one of the topics load themselves again; events close together make one request. All taps are loaded
// by one request, and the next one starts when it is answered, so that many events never queue up.
const waiting = new Set();
const staleTaps = new Set();
let gathering = 0;
let isAsking = false;

function refresh(topics) {
  topics.forEach((topic) => waiting.add(topic));
  gathering ||= setTimeout(() => {
    gathering = 0;
    for (const element of document.querySelectorAll("[data-refresh]")) {
      if (!element.dataset.refresh.split(" ").some((topic) => waiting.has(topic) || waiting.has("*"))) continue;
      if (element.dataset.tap) staleTaps.add(element.dataset.tap);
      else htmx.trigger(element, "refresh");
    }
    waiting.clear();
    askForTaps();
  }, REFRESH_GATHER_MS);
}

async function askForTaps() {
  if (isAsking || !staleTaps.size) return;
  isAsking = true;
  const paths = [...staleTaps].slice(0, TAPS_AT_ONCE);
  const asked = new URLSearchParams(paths.map((path) => ["tap", path]));
  paths.forEach((path) => staleTaps.delete(path));
  const parts = document.getElementById("taps")?.dataset.parts ?? "/parts/taps";
  try {
    await htmx.ajax("GET", `${parts}?${asked}`, { source: "#taps", target: "#taps", swap: "none" });
  } catch {
    // The htmx:sendError listener has told the viewer; everything is loaded again when the server is back.
  }
  isAsking = false;
  askForTaps();
}

// A keg's forecast changes with time alone: a tap at which nobody pours has a slower pace, and after an hour none.
function refreshForecasts() {
  if (document.hidden) return;
  for (const forecast of document.querySelectorAll("[data-forecast]")) staleTaps.add(forecast.closest("[data-tap]").dataset.tap);
  askForTaps();
}

function watchStaleness() {
  const silent_ms = performance.now() - heardAt;
  const is_stale = silent_ms > STALE_AFTER_MS;
  page.classList.toggle("is-stale", is_stale);
  const banner = document.getElementById("stale");
  if (banner) {
    banner.hidden = !is_stale;
    if (is_stale) banner.querySelector("[data-age]").textContent = seconds(silent_ms);
  }
  if (wasStale && !is_stale) setTimeout(() => refresh(["*"]), FIRST_REFRESH_ALL_MS);
  wasStale = is_stale;
}

function seconds(ms) {
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "second", unitDisplay: "short" });
  return format.format(Math.round(ms / 1000));
}

if (page.dataset.live !== undefined) {
  listen();
  setInterval(watchStaleness, 1_000);
  setInterval(refreshForecasts, FORECAST_MS);
}

// --- dialogs, toasts, forms ------------------------------------------------------------------------------------------------

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "dialog-body") return;
  if (!dialog.open) dialog.showModal();
});
// Not at once: when htmx settles, it moves the focus to the title, for dialogs without a field.
document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target.id !== "dialog-body") return;
  dialog.querySelector("input:not([type=hidden]):not([readonly]), select, textarea")?.focus();
});
dialog?.addEventListener("close", () => {
  if (!dialog.open) document.getElementById("dialog-body").replaceChildren(); // the event comes late: another dialog may be open by now
});
document.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) dialog?.close();
});
document.addEventListener("closeDialog", () => dialog?.close());
document.addEventListener("changed", (event) => refresh(event.detail.topics));
document.addEventListener("said", (event) => say(event.detail.text, event.detail.undo));

function say(text, undo) {
  const toast = Object.assign(document.createElement("p"), { className: "toast", textContent: text });
  if (undo) toast.append(undoButton(undo));
  toasts.replaceChildren(toast);
  raiseToasts();
  setTimeout(() => toast.remove(), undo ? UNDO_MS : TOAST_MS);
}

// A button beside a message, to take back what it says.
function undoButton({ label, path }) {
  const button = Object.assign(document.createElement("button"), { className: "button", type: "button", textContent: label });
  button.addEventListener("click", () => {
    toasts.replaceChildren();
    htmx.ajax("GET", path, "#dialog-body");
  });
  return button;
}

// What is shown last is uppermost: an open dialog would cover the toasts.
function raiseToasts() {
  toasts.hidePopover();
  toasts.showPopover();
}

// A failed request is reported in the form that sent it, or in a toast.
document.addEventListener("htmx:sendError", (event) => {
  const slot = event.detail.elt.closest("form")?.querySelector(".problem");
  if (!slot) return say(page.dataset.offline);
  const problem = Object.assign(document.createElement("p"), { textContent: page.dataset.offline });
  problem.setAttribute("role", "alert");
  slot.replaceChildren(problem);
});
document.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
  if (target === toasts) raiseToasts();
  if (target.matches(".problem")) target.scrollIntoView({ block: "center" }); // the button lies over a form's end
});
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) event.detail.shouldSwap = event.detail.xhr.responseText.startsWith("<");
});

// A preset button fills its field; a filter sends its form when it changes.
document.addEventListener("click", (event) => {
  const preset = event.target.closest("[data-fill]");
  if (!preset) return;
  const field = preset.closest("form").elements[preset.dataset.fill];
  field.value = preset.dataset.value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit-on-change]")) event.target.form.requestSubmit();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
});

// Notes and coins add up in the form's amount, in minor units: no fractions.
document.addEventListener("input", (event) => {
  const counting = event.target.closest("[data-denominations]");
  if (!counting || !event.target.dataset.worth) return;
  const rows = [...counting.querySelectorAll("[data-worth]")];
  const sum = rows.reduce((all, row) => all + Number(row.dataset.worth) * (Number.parseInt(row.value, 10) || 0), 0);
  const digits = Number(counting.dataset.digits);
  const text = String(sum).padStart(digits + 1, "0");
  const field = counting.closest("form").elements[counting.dataset.denominations];
  field.value = digits ? `${text.slice(0, -digits)}.${text.slice(-digits)}` : text;
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await copy(button.dataset.copy, button.parentElement);
  say(button.dataset.copied);
});

// Pages without TLS have no clipboard of their own: there the selection is copied.
async function copy(text, where) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = Object.assign(document.createElement("textarea"), { value: text });
  where.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

// After the device slept, everything is loaded again.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh(["*"]);
});
