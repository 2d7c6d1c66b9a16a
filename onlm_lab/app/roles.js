// What a screen reader and a printer need of a page, beyond what its widgets say of themselves: landmarks, tabs with
// arrow keys, names, one line that tells what changed, and figures at the width of the paper. It holds inside its own
// page alone, in JupyterLab as in Voilà.

const HEARD_MS = 15000; // a change so long after a control was moved is its answer
const STILL_MS = 700;
const TOLD = ".onlm-basis, .onlm-sentence, .onlm-error";
const LONGEST = 320; // letters of what is told

function name(page) {
  for (const control of page.querySelectorAll(".onlm-control")) {
    const label = control.querySelector(".onlm-label")?.textContent ?? "";
    for (const one of control.querySelectorAll(".noUi-handle, .widget-readout, select, input")) {
      if (one.closest(".onlm-control") !== control || one.getAttribute("aria-label")) continue;
      if (one.labels?.length && [...one.labels].some((text) => text.textContent.trim())) continue;
      if (one.matches(".widget-readout")) one.setAttribute("role", "textbox");
      one.setAttribute("aria-label", label);
    }
  }
  for (const box of page.querySelectorAll(".widget-toggle-buttons:not(.onlm-tabs)")) {
    const label = box.closest(".onlm-control")?.querySelector(".onlm-label")?.textContent;
    set(box, { role: "group", ...(label ? { "aria-label": label } : {}) });
    for (const one of box.querySelectorAll("button")) set(one, { "aria-pressed": one.classList.contains("mod-active") });
  }
  for (const one of page.querySelectorAll("button.widget-toggle-button"))
    if (!one.closest(".onlm-tabs")) set(one, { "aria-pressed": one.classList.contains("mod-active") });
}

function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes))
    if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
}

function tabs(page, mine) {
  const box = page.querySelector(".onlm-tabs");
  const place = page.querySelector(".onlm-place");
  const buttons = [...(box?.querySelectorAll("button") ?? [])];
  if (!buttons.length || !place) return;
  place.id ||= `onlm-place-${mine}`;
  const list = buttons[0].parentElement;
  if (list !== box && box.getAttribute("role")) box.removeAttribute("role");
  set(list, { role: "tablist" });
  buttons.forEach((one, i) => {
    const open = one.classList.contains("mod-active");
    one.id ||= `onlm-tab-${mine}-${i}`;
    set(one, { role: "tab", "aria-selected": open, tabindex: open ? 0 : -1 });
    one.removeAttribute("aria-pressed");
    if (open) set(one, { "aria-controls": place.id });
    else one.removeAttribute("aria-controls");
    if (open) set(place, { role: "tabpanel", "aria-labelledby": one.id });
  });
}

function arrows(event) {
  const tab = event.target.closest?.("[role=tab]");
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!tab || (!step && event.key !== "Home" && event.key !== "End")) return;
  const all = [...tab.parentElement.querySelectorAll("[role=tab]")];
  const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : (all.indexOf(tab) + step + all.length) % all.length;
  event.preventDefault();
  event.stopPropagation();
  all[to].focus();
  all[to].click();
}

function landmarks(page) {
  const alone = document.body.dataset.voila !== undefined; // JupyterLab has a main part and a banner of its own
  const main = page.querySelector(".onlm-main");
  if (main && alone) set(main, { role: "main" });
  const head = page.querySelector(".onlm-header");
  if (head && alone) set(head, { role: "banner" });
  const left = page.querySelector(".onlm-left");
  if (left && alone) set(left, { role: "complementary" });
}

const seen = (element) => element.offsetParent !== null;

function sentences(page) {
  return [...page.querySelectorAll(TOLD)].filter(seen).map((one) => one.textContent.trim()).filter(Boolean);
}

function chosen(page) {
  // "Model: fused" for every control that is shown.
  const found = [];
  const tab = page.querySelector(".onlm-tabs [aria-selected=true]");
  if (tab) found.push(tab.textContent.trim());
  for (const control of page.querySelectorAll(".onlm-left .onlm-control")) {
    if (!seen(control)) continue;
    const said = [];
    for (const one of control.querySelectorAll("select")) said.push(...[...one.selectedOptions].map((o) => o.textContent.trim()));
    for (const one of control.querySelectorAll(".widget-readout, .widget-toggle-button.mod-active, .widget-toggle-buttons .mod-active"))
      said.push(one.textContent.trim());
    for (const one of control.querySelectorAll("input[type=text], input[type=number]")) said.push(one.value);
    const label = control.querySelector(".onlm-label")?.textContent.trim();
    const own = control.querySelector(".onlm-own.mod-active"); // then the slider beside it does not hold
    const values = own ? [own.textContent.trim()] : [...new Set(said)].filter(Boolean);
    if (label && values.length) found.push(`${label}: ${values.join(", ")}`);
  }
  return found.join(" · ");
}

function render({ model, el }) {
  const mine = model.model_id ?? Math.random().toString(36).slice(2);
  el.classList.add("onlm-roles");
  const told = document.createElement("div");
  told.className = "onlm-unseen onlm-told";
  told.setAttribute("role", "status");
  const line = document.createElement("p");
  line.className = "onlm-chosen";
  const from = document.createElement("p");
  from.className = "onlm-chosen";
  el.append(told, line, from);

  let page = null;
  let before = new Set();
  let moved = -Infinity;
  let timer = 0;
  let naming = 0;
  const tell = () => {
    timer = 0;
    const now = sentences(page);
    const fresh = now.filter((text) => !before.has(text));
    before = new Set(now);
    if (!fresh.length || Date.now() - moved > HEARD_MS) return;
    const said = fresh.slice(0, 2).join(" ");
    told.textContent = said.length > LONGEST ? `${said.slice(0, LONGEST)}…` : said;
  };
  const mark = () => {
    naming = 0;
    landmarks(page);
    name(page);
    tabs(page, mine);
  };
  const changed = (records) => {
    if (records.every((one) => el.contains(one.target))) return; // what it told itself
    naming ||= setTimeout(mark, 30);
    clearTimeout(timer);
    timer = setTimeout(tell, STILL_MS);
  };
  const hand = () => (moved = Date.now());
  const come = new MutationObserver(changed);
  const begin = () => {
    page = el.closest(".onlm");
    if (!page) return false;
    mark();
    before = new Set(sentences(page));
    come.observe(page, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
    page.addEventListener("keydown", arrows, true);
    for (const kind of ["change", "click", "keyup", "pointerup"]) page.addEventListener(kind, hand, true);
    return true;
  };
  // A widget is drawn before it stands in its page.
  const wait = setInterval(() => begin() && clearInterval(wait), 50);

  const paper = () => {
    if (page) line.textContent = chosen(page);
    // Where it was printed from: without the question mark, behind which a token may stand.
    from.textContent = document.body.dataset.voila === undefined ? "" : location.origin + location.pathname + location.hash;
  };
  window.addEventListener("beforeprint", paper);
  return () => {
    clearInterval(wait);
    clearTimeout(timer);
    clearTimeout(naming);
    come.disconnect();
    window.removeEventListener("beforeprint", paper);
    page?.removeEventListener("keydown", arrows, true);
    for (const kind of ["change", "click", "keyup", "pointerup"]) page?.removeEventListener(kind, hand, true);
  };
}

export default { render };
