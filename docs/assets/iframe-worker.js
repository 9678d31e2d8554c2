// Search in a page that was opened as a file: browsers start no worker there, so its script runs in a frame instead.
if (location.protocol === "file:") {
  const path = (url) => new URL(url, location.href).href;
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      this.waiting = [];
      frame.addEventListener("load", () => this.#start(frame.contentWindow, path(url)), { once: true });
      document.body.append(frame);
    }
    #start(inside, url) {
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) => Promise.all(urls.map((one) => load(inside.document, path(one))));
      load(inside.document, url).then(() => {
        this.inside = inside;
        this.waiting.splice(0).forEach((data) => this.postMessage(data));
      });
    }
    postMessage(data) {
      if (this.inside) this.inside.dispatchEvent(new MessageEvent("message", { data }));
      else this.waiting.push(data);
    }
    terminate() {}
  };
  const load = (inside, url) => new Promise((done, fail) => {
    const script = inside.createElement("script");
    Object.assign(script, { src: url, onload: done, onerror: fail });
    inside.body.append(script);
  });
}
