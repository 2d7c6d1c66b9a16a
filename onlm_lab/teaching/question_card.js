// A question: a fieldset with radio buttons, checkboxes or a box for a number. Texts are text nodes, never HTML.

let cards = 0;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function choices(shown, name) {
  const type = shown.kind === "choice" ? "radio" : "checkbox";
  const inputs = shown.options.map((one) => element("input", { type, name, value: one.key }));
  const rows = inputs.map((input, k) =>
    element("label", { className: "onlm-option" }, input, element("span", { textContent: shown.options[k].text })),
  );
  return {
    rows,
    read: () => {
      const keys = inputs.filter((one) => one.checked).map((one) => one.value);
      return type === "radio" ? (keys[0] ?? null) : keys;
    },
    mark: (answer) => inputs.forEach((one) => (one.checked = [answer].flat().includes(one.value))),
  };
}

function number(shown, name) {
  const box = element("input", { type: "number", step: "any", id: name, className: "onlm-number", autocomplete: "off" });
  const words = shown.unit === "%" ? "Your answer in percent" : "Your answer";
  const row = element("div", { className: "onlm-option" }, element("label", { htmlFor: name, textContent: words }), box);
  if (shown.unit) row.append(element("span", { textContent: shown.unit }));
  return {
    rows: [row],
    read: () => (box.value.trim() === "" ? null : Number(box.value)),
    mark: (answer) => (box.value = answer ?? ""),
  };
}

function render({ model, el }) {
  el.classList.add("onlm-question");
  const shown = model.get("shown");
  const name = `onlm-question-${(cards += 1)}`;
  const entry = (shown.kind === "number" ? number : choices)(shown, name);
  const said = element("div", { className: "onlm-verdict", hidden: true });
  said.setAttribute("role", "status");
  const note = element("p", { className: "onlm-note", hidden: true });
  const form = element(
    "form", { noValidate: true },
    element(
      "fieldset", {},
      element("legend", {},
        element("span", { className: "onlm-heading", textContent: shown.heading }),
        element("span", { className: "onlm-asked", textContent: shown.text })),
      ...entry.rows,
      element("button", { type: "submit", textContent: shown.action }),
    ),
  );
  form.dataset.question = shown.id;
  // JupyterLab's keys (arrows, Enter) would move in the notebook; it looks at the very element that has the focus.
  for (const one of form.querySelectorAll("input, button")) one.setAttribute("data-lm-suppress-shortcuts", "true");
  form.addEventListener("keydown", (event) => {
    // In JupyterLab Enter does not send a form by itself.
    if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    said.classList.add("onlm-waiting");
    model.send({ kind: "answer", answer: entry.read() });
  });
  el.append(form, said, note);

  const speak = () => {
    const verdict = model.get("verdict");
    said.classList.remove("onlm-waiting");
    said.hidden = !verdict.why;
    said.classList.toggle("onlm-right", verdict.right === true);
    said.classList.toggle("onlm-wrong", verdict.right === false);
    const parts = verdict.word ? [element("strong", { textContent: `${verdict.right === true ? "✓" : verdict.right === false ? "✗" : "•"} ${verdict.word}. ` })] : [];
    parts.push(element("span", { textContent: verdict.why ?? "" }));
    if (verdict.tries > 1) parts.push(element("span", { className: "onlm-tries", textContent: ` Try ${verdict.tries}.` }));
    said.replaceChildren(...parts);
    note.textContent = model.get("note");
    note.hidden = !model.get("note");
  };
  const mark = () => entry.mark(model.get("answer"));
  model.on("change:verdict", speak);
  model.on("change:note", speak);
  model.on("change:answer", mark);
  mark();
  speak();
  return () => {
    model.off("change:verdict", speak);
    model.off("change:note", speak);
    model.off("change:answer", mark);
  };
}

export default { render };
