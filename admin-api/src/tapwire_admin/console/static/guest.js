// Keeps a guest's page up to date by asking again: often while beer flows, seldom after the visit, not at all in the background. The
// answer says when to ask next; 0 ends it. Nothing is stored on the telephone.

const PATIENCE_MS = 8_000;
const LOST_AFTER_MS = 12_000;
const RETRY_MS = 4_000;
const GONE = 404;
const TOO_MANY = 429;
const main = document.querySelector("main");
const lost = document.getElementById("lost");
let heardAt = performance.now();
let timer = 0;
let isLooking = false;

const parts = (root) => [...root.querySelectorAll("[data-part]")];
const pollMs = () => Number(main.querySelector("[data-poll-ms]").dataset.pollMs);

async function look() {
  if (isLooking) return;
  isLooking = true;
  clearTimeout(timer);
  const nextMs = await ask().catch(() => RETRY_MS); // the server is away: the notice says so, and the next look may find it
  lost.hidden = performance.now() - heardAt < LOST_AFTER_MS;
  isLooking = false;
  if (nextMs && !document.hidden) timer = setTimeout(look, nextMs);
}

async function ask() {
  const options = { cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer", signal: AbortSignal.timeout(PATIENCE_MS) };
  const answer = await fetch(document.body.dataset.now, options);
  if (answer.status === TOO_MANY) {
    heardAt = performance.now();
    return Math.max(RETRY_MS, Number(answer.headers.get("Retry-After")) * 1_000);
  }
  if (!answer.ok && answer.status !== GONE) return RETRY_MS;
  show(await answer.text(), answer.status === GONE);
  heardAt = performance.now();
  return pollMs();
}

function show(text, isGone) {
  const fresh = document.createElement("template");
  fresh.innerHTML = text;
  if (isGone) {
    main.replaceChildren(...parts(fresh.content));
    document.querySelector("footer p")?.remove();
    document.querySelector("link[rel=manifest]")?.remove();
    return;
  }
  for (const part of parts(fresh.content)) {
    const shown = main.querySelector(`[data-part="${part.dataset.part}"]`);
    if (shown.outerHTML !== part.outerHTML) shown.replaceWith(part);
  }
  offer(fresh.content.querySelector(".top-ups"));
}

// The form stays as it is while somebody types, but comes and goes with what the guest may do.
function offer(form) {
  const shown = main.querySelector(".top-ups");
  if (shown && !form) shown.remove();
  if (!shown && form) main.querySelector('[data-part="pours"]').before(form);
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && pollMs()) look();
});
setInterval(() => {
  if (!document.hidden && pollMs()) lost.hidden = performance.now() - heardAt < Math.max(LOST_AFTER_MS, 2 * pollMs());
}, 2_000);
timer = setTimeout(look, pollMs());
