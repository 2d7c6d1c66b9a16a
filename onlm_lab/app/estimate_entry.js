// A probability in percent: a number box, a scale, and the button that saves. The scale has no handle until something was
// given: a handle in the middle would draw the estimate to itself.

const PATIENCE_MS = 15000;
let number = 0;

function whole(text) {
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) && value >= 0 && value <= 100 ? Math.round(value) : null;
}

function render({ model, el }) {
  el.classList.add("onlm-estimate");
  const id = `onlm-estimate-${++number}`;
  const label = document.createElement("label");
  label.htmlFor = id;
  const row = document.createElement("div");
  row.className = "onlm-estimate-row";
  const box = document.createElement("input");
  Object.assign(box, { id, type: "number", min: "0", max: "100", step: "1", inputMode: "numeric", autocomplete: "off" });
  const unit = document.createElement("span");
  unit.textContent = "%";
  const clock = document.createElement("span");
  clock.className = "onlm-clock";
  clock.setAttribute("role", "timer");
  clock.setAttribute("aria-label", "Time on this case");
  const scale = document.createElement("input");
  Object.assign(scale, { type: "range", min: "0", max: "100", step: "1" });
  const ends = document.createElement("div");
  ends.className = "onlm-estimate-ends";
  ends.setAttribute("aria-hidden", "true");
  for (const text of ["0 %", "25", "50", "75", "100 %"]) {
    const end = document.createElement("span");
    end.textContent = text;
    ends.appendChild(end);
  }
  const said = document.createElement("p");
  said.className = "onlm-estimate-said";
  said.setAttribute("role", "status");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "onlm-estimate-save";
  row.append(box, unit, clock);
  el.append(label, row, scale, ends, said, button);

  let given = null;
  let waiting = 0;
  const show = () => {
    label.textContent = model.get("label");
    button.textContent = model.get("action");
    button.disabled = given === null || model.get("closed");
    scale.value = given === null ? "0" : String(given);
    scale.classList.toggle("onlm-untouched", given === null);
    scale.setAttribute("aria-valuetext", given === null ? "not yet given" : `${given} percent`);
    scale.setAttribute("aria-label", `${model.get("label")}, scale`);
    if (!waiting) said.textContent = given === null && box.value.trim() !== "" ? "A whole number from 0 to 100." : "";
  };
  const answered = () => {
    clearTimeout(waiting);
    waiting = 0;
    show();
  };
  const save = () => {
    if (button.disabled) return;
    model.send({ kind: "save", value: given, case: model.get("case") });
    clearTimeout(waiting);
    said.textContent = "Saving …";
    waiting = setTimeout(() => {
      said.textContent = "No answer came. Reload the page and begin again: what was saved stays saved.";
    }, PATIENCE_MS);
  };
  const fromScale = () => {
    box.value = scale.value;
    given = Number(scale.value);
    show();
  };
  box.addEventListener("input", () => {
    given = whole(box.value);
    show();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") save();
  });
  scale.addEventListener("input", fromScale);
  // A click at the very left gives 0 without an input event while the scale stands there untouched.
  scale.addEventListener("pointerup", () => given === null && fromScale());
  button.addEventListener("click", save);

  let since = performance.now();
  const tick = () => {
    const seconds = Math.floor((performance.now() - since) / 1000);
    clock.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  };
  const restart = () => {
    since = performance.now();
    box.value = "";
    given = null;
    answered();
    tick();
    box.focus({ preventScroll: true }); // the button that was pressed is closed now
  };
  const timer = setInterval(tick, 1000);
  model.on("change:label change:action change:closed", show);
  model.on("change:answered", answered);
  model.on("change:case", restart);
  show();
  tick();
  return () => {
    clearInterval(timer);
    clearTimeout(waiting);
    model.off("change:label change:action change:closed", show);
    model.off("change:answered", answered);
    model.off("change:case", restart);
  };
}

export default { render };
