// Keeps what was typed into a form while a session ends, for the same user after the next login in this tab. Passwords, codes and
// hidden fields are never kept.

const KEPT = "tapwire-typed";
const LOGGED_OUT = "tapwire-logged-out";
const KEPT_FOR_MS = 60 * 60 * 1000;

const page = document.body;
const dialog = document.getElementById("dialog");
let mayKeep = true;

const address = () => location.pathname + location.search;

function fields(form) {
  const isKept = ({ name, type, dataset }) => name && !["hidden", "password", "submit", "button", "file"].includes(type) && !("unkept" in dataset);
  return [...form.elements].filter(isKept);
}

function isTyped(field) {
  if (["radio", "checkbox"].includes(field.type)) return field.checked !== field.defaultChecked;
  if (field.options) return [...field.options].some((option) => option.selected !== option.defaultSelected);
  return field.value !== field.defaultValue;
}

function keep() {
  const forms = [...(dialog?.open ? dialog : document).querySelectorAll("form[hx-post]")];
  const form = forms.find((candidate) => fields(candidate).some(isTyped));
  if (!form || !mayKeep) return;
  const values = fields(form).map(({ name, type, value, checked }) => ({ name, type, value, checked }));
  const from = dialog?.open ? dialog.dataset.from : undefined;
  const kept = { user: page.dataset.user, at: Date.now(), address: address(), from, action: form.getAttribute("hx-post"), values };
  sessionStorage.setItem(KEPT, JSON.stringify(kept));
}

async function restore() {
  const text = sessionStorage.getItem(KEPT);
  if (!text) return;
  const kept = JSON.parse(text);
  if (kept.user === page.dataset.user && kept.address !== address() && Date.now() - kept.at < KEPT_FOR_MS) return;
  sessionStorage.removeItem(KEPT);
  if (kept.user !== page.dataset.user || Date.now() - kept.at >= KEPT_FOR_MS) return;
  if (kept.from) await htmx.ajax("GET", kept.from, "#dialog-body");
  const form = document.querySelector(`form[hx-post="${CSS.escape(kept.action)}"]`);
  if (!form) return;
  for (const { name, type, value, checked } of kept.values) {
    const isChoice = ["radio", "checkbox"].includes(type);
    const field = fields(form).find((one) => one.name === name && one.type === type && (!isChoice || one.value === value));
    if (!field) continue;
    if (isChoice) field.checked = checked;
    else field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  form.querySelector(".problem")?.replaceChildren(Object.assign(document.createElement("p"), { textContent: page.dataset.restored }));
}

function forget() {
  mayKeep = false;
  sessionStorage.removeItem(KEPT);
}

document.addEventListener("htmx:beforeSwap", ({ detail: { target, pathInfo } }) => {
  if (target?.id === "dialog-body") dialog.dataset.from = pathInfo.finalRequestPath;
});
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
  if (xhr.getResponseHeader("HX-Redirect")?.startsWith("/login")) keep();
});
document.addEventListener("tapwire:leave", keep);
document.addEventListener("submit", ({ target }) => {
  if (target.getAttribute("action") !== "/logout") return;
  forget();
  localStorage.setItem(LOGGED_OUT, Date.now());
});
addEventListener("storage", ({ key }) => {
  if (key === LOGGED_OUT) forget();
});
restore();
