// Keeps a menu up to date by asking for its list again. The browser sends the ETag that it has; nearly all answers are "not modified".

const WALL_POLL_MS = 800; // beside a second for which the server keeps a list: live within two
const PHONE_POLL_MS = 2_000;
const PATIENCE_MS = 5_000;
const LOST_AFTER_MS = 7_000;
const PAGE_MS = 12_000;
const RELOAD_MS = 6 * 3_600_000; // a wall that is never touched gets the pages of a newer version
const page = document.body;
const menu = document.getElementById("menu");
const wall = matchMedia("(min-width: 1100px) and (min-height: 600px)");
const began = performance.now();
let heardAt = began;
let shown = "";
let pageNumber = 0;

async function look() {
  try {
    const answer = await fetch(page.dataset.list, { cache: "no-cache", signal: AbortSignal.timeout(PATIENCE_MS) });
    const text = answer.ok ? await answer.text() : "";
    if (answer.ok || answer.status === 404) {
      heardAt = performance.now();
      if (text !== shown) show(text);
      if (heardAt - began > RELOAD_MS) location.reload();
    }
  } catch {
    // the server is away: the notice says so, and the next look may find it
  }
  document.getElementById("lost").hidden = performance.now() - heardAt < LOST_AFTER_MS;
}

function show(text) {
  shown = text;
  menu.innerHTML = text;
  turn();
}

// A wall shows the first taps, then the next ones; a telephone shows all.
function turn() {
  const taps = [...menu.querySelectorAll(".taps > li")];
  const perPage = wall.matches ? Number(page.dataset.wallTaps) : taps.length;
  const pages = Math.max(1, Math.ceil(taps.length / perPage));
  taps.forEach((tap, place) => {
    tap.hidden = Math.floor(place / perPage) !== pageNumber % pages;
  });
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, wall.matches ? WALL_POLL_MS : PHONE_POLL_MS);
}

setInterval(() => {
  pageNumber += 1;
  turn();
}, PAGE_MS);
wall.addEventListener("change", turn);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) look();
});
turn();
watch();
