// Sliders and menus. One move at a time goes to the kernel; while it draws, only the newest place waits.

let sliders = 0;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function words(control, value) {
  const number = (control.unit === "%" ? 100 * value : Number(value)).toFixed(control.digits);
  return control.unit ? `${number} ${control.unit}` : number;
}

function render({ model, el }) {
  el.classList.add("onlm-sliders");
  let waiting = false; // a move is with the kernel
  let newest = false; // another was made since
  let sent = model.get("answered");
  const inputs = new Map();

  const send = () => {
    if (waiting) {
      newest = true;
      return;
    }
    newest = false;
    waiting = true;
    sent += 1;
    const values = Object.fromEntries([...inputs].map(([name, one]) => [name, one.read()]));
    model.send({ kind: "moved", number: sent, values });
  };
  const answered = () => {
    waiting = false;
    el.dataset.answered = model.get("answered");
    if (newest) send();
  };

  for (const control of model.get("controls")) {
    const id = `onlm-slider-${(sliders += 1)}`;
    const label = element("label", { htmlFor: id, textContent: control.label });
    const row = element("div", { className: "onlm-slider" }, label);
    if (control.kind === "slider") {
      const { low, high, step } = control;
      const input = element("input", { type: "range", id, min: low, max: high, step });
      input.name = control.name;
      const output = element("output", { htmlFor: id });
      const say = () => {
        output.textContent = words(control, input.value);
        input.setAttribute("aria-valuetext", output.textContent);
      };
      const show = (value) => {
        input.value = value;
        say();
      };
      input.addEventListener("input", () => {
        say();
        send();
      });
      row.append(output, input);
      inputs.set(control.name, { read: () => Number(input.value), show });
    } else {
      const select = element("select", { id, name: control.name });
      select.append(...control.options.map(([value, text]) => element("option", { value, textContent: text })));
      select.addEventListener("change", send);
      row.append(select);
      inputs.set(control.name, { read: () => select.value, show: (value) => (select.value = value) });
    }
    // JupyterLab's arrow keys would move in the notebook; it looks at the very element that has the focus.
    row.querySelector("input, select").setAttribute("data-lm-suppress-shortcuts", "true");
    el.append(row);
  }
  const show = () => {
    if (waiting) return; // the hand is ahead of the kernel
    for (const [name, value] of Object.entries(model.get("values"))) inputs.get(name)?.show(value);
  };
  show();
  model.on("change:values", show);
  model.on("change:answered", answered);
  return () => {
    model.off("change:values", show);
    model.off("change:answered", answered);
  };
}

export default { render };
