// The tap wall: taps are moved by drag, by buttons or by the arrow keys; the order is sent when the hand rests.

const SAVE_AFTER_MS = 500;
const EDGE_PX = 70;
const SCROLL_PX = 14;
const wall = document.getElementById("taps");
const form = document.getElementById("wall-form");
const arrange = document.getElementById("arrange");
const moved = document.getElementById("moved");
let saving = 0;

arrange.addEventListener("click", () => {
  const is_on = wall.classList.toggle("is-arranging");
  arrange.setAttribute("aria-pressed", is_on);
});

// The arrow keys and buttons move a tap among those of its room.
wall.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (button) step(button.closest(".wall-tap"), Number(button.dataset.move), button);
});
wall.addEventListener("keydown", (event) => {
  const handle = event.target.closest("[data-handle]");
  const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
  if (!handle || by === undefined) return;
  event.preventDefault();
  step(handle.closest(".wall-tap"), by, handle);
});

function step(tap, by, focused) {
  const taps = [...tap.parentElement.children];
  const from = taps.indexOf(tap);
  const to = Math.min(Math.max(from + by, 0), taps.length - 1);
  if (to === from) return;
  place(tap, taps[to], to > from);
  focused.focus();
  tap.scrollIntoView({ block: "nearest" });
  say(tap);
  save();
}

function place(tap, other, after) {
  other[after ? "after" : "before"](tap);
}

function say(tap) {
  const taps = [...tap.parentElement.children];
  const words = { tap: tap.querySelector(".wall-name b").textContent, place: taps.indexOf(tap) + 1, all: taps.length };
  moved.textContent = moved.dataset.text.replace(/{(\w+)}/g, (_, word) => words[word]);
}

// Drag by mouse, pen or finger: the tap goes to the place of the one under the pointer.
wall.addEventListener("pointerdown", (event) => {
  const handle = event.target.closest("[data-handle]");
  if (!handle || event.button !== 0) return;
  const tap = handle.closest(".wall-tap");
  const before = [...tap.parentElement.children];
  handle.setPointerCapture(event.pointerId);
  tap.classList.add("is-dragged");

  const drag = ({ clientX, clientY }) => {
    if (clientY < EDGE_PX) scrollBy(0, -SCROLL_PX);
    if (clientY > innerHeight - EDGE_PX) scrollBy(0, SCROLL_PX);
    const over = document.elementFromPoint(clientX, clientY)?.closest(".wall-tap");
    if (!over || over === tap || over.parentElement !== tap.parentElement) return;
    const box = over.getBoundingClientRect();
    const taps = [...tap.parentElement.children];
    const is_after = taps.indexOf(over) > taps.indexOf(tap);
    // only past its middle, so that taps of different size do not jump to and fro
    const is_past = is_after ? clientX > box.left + box.width * 0.3 : clientX < box.right - box.width * 0.3;
    if (is_past) place(tap, over, is_after);
  };
  const drop = () => {
    handle.removeEventListener("pointermove", drag);
    tap.classList.remove("is-dragged");
    if (before.some((one, at) => tap.parentElement.children[at] !== one)) {
      say(tap);
      save();
    }
  };
  handle.addEventListener("pointermove", drag);
  handle.addEventListener("lostpointercapture", drop, { once: true });
});

function save() {
  clearTimeout(saving);
  saving = setTimeout(() => {
    form.elements.tap_ids.value = [...wall.querySelectorAll(".wall-tap")].map((tap) => tap.dataset.id).join(",");
    form.elements.sort_by.value = "own";
    form.requestSubmit();
    form.elements.tap_ids.value = "";
  }, SAVE_AFTER_MS);
}
