// Shows on a tap's screen what the server sends, and a notice when the server is gone.

const LOST_AFTER_MS = 7_000;
const RECONNECT_MS = 2_000;
const SUPERSEDED_MS = 60_000;
const LOW_KEG = 0.1;
const page = document.body;
let heardAt = performance.now();

function show(screen) {
  page.dataset.state = screen.state;
  for (const element of document.querySelectorAll("[data-show]")) {
    const text = screen[element.dataset.show];
    if (element.textContent !== text) element.textContent = text;
  }
  document.querySelector("main progress").value = screen.share;
  const keg = document.querySelector(".keg");
  keg.value = screen.keg;
  keg.classList.toggle("is-low", screen.keg < LOW_KEG);
}

function listen() {
  const stream = new EventSource(page.dataset.live);
  stream.addEventListener("screen", (event) => {
    heardAt = performance.now();
    show(JSON.parse(event.data));
  });
  stream.addEventListener("end", () => {
    stream.close(); // this tap's screen is open too often: a newer one has the place
    setTimeout(listen, SUPERSEDED_MS);
  });
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  };
}

setInterval(() => {
  document.getElementById("lost").hidden = performance.now() - heardAt < LOST_AFTER_MS;
}, 500);
listen();
