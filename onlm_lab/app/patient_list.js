// A table of which one row is chosen: by click, by the arrow keys, Home, End and the page keys, or by two buttons.
// Every text is a text node.

const PAUSE_MS = 120; // a held arrow key passes many rows: only the one that it stops at is asked for
const PAGE = 10; // rows

function button(label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "onlm-small";
  element.textContent = label;
  element.addEventListener("click", act);
  return element;
}

function render({ model, el }) {
  el.classList.add("onlm-list");
  const tools = document.createElement("div");
  tools.className = "onlm-list-tools";
  const previous = button("", () => step(-1));
  const next = button("", () => step(1));
  const where = document.createElement("span");
  where.setAttribute("role", "status");
  tools.append(previous, next, where);
  const box = document.createElement("div");
  box.className = "onlm-list-box";
  const none = document.createElement("p");
  none.className = "onlm-sentence";
  el.append(tools, box, none);

  let lines = []; // of the table, one a patient
  let waiting = null;
  let coming = null; // chosen by a held key and not yet told: the model keeps what the kernel knows, whose echo may be on its way
  const rows = () => model.get("rows");
  const at = () => rows().findIndex((row) => row.id === (coming ?? model.get("chosen")));

  const tell = () => {
    model.set("chosen", coming);
    coming = null;
    model.save_changes();
  };
  const choose = (index, { pause = false, focus = true } = {}) => {
    if (!rows().length) return;
    const k = Math.min(Math.max(index, 0), rows().length - 1);
    coming = rows()[k].id;
    mark();
    if (focus) lines[k].focus({ preventScroll: true });
    clearTimeout(waiting);
    if (pause) waiting = setTimeout(tell, PAUSE_MS);
    else tell();
  };
  const step = (by) => choose(at() + by, { focus: false });

  const mark = () => {
    const k = at();
    lines.forEach((line, i) => {
      line.setAttribute("aria-selected", String(i === k));
      line.tabIndex = i === Math.max(k, 0) ? 0 : -1;
    });
    previous.disabled = k <= 0;
    next.disabled = k >= rows().length - 1;
    where.textContent = k < 0 ? `${rows().length}` : `${k + 1} / ${rows().length}`;
    const line = lines[k];
    if (!line) return;
    const head = box.querySelector("thead")?.offsetHeight ?? 0;
    if (line.offsetTop - head < box.scrollTop) box.scrollTop = line.offsetTop - head;
    else if (line.offsetTop + line.offsetHeight > box.scrollTop + box.clientHeight)
      box.scrollTop = line.offsetTop + line.offsetHeight - box.clientHeight;
  };

  const press = (event) => {
    const k = at();
    const to = { ArrowDown: k + 1, ArrowUp: k - 1, Home: 0, End: rows().length - 1, PageDown: k + PAGE, PageUp: k - PAGE };
    if (event.key in to) {
      event.preventDefault();
      event.stopPropagation();
      choose(to[event.key], { pause: true });
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(lines.indexOf(document.activeElement));
    }
  };

  const draw = () => {
    const texts = model.get("texts");
    previous.textContent = `‹ ${texts.previous}`;
    next.textContent = `${texts.next} ›`;
    tools.hidden = !model.get("steps");
    el.classList.toggle("onlm-whole", !model.get("steps"));
    none.textContent = rows().length ? "" : texts.none;
    none.hidden = rows().length > 0;
    box.hidden = !rows().length;
    const held = box.contains(document.activeElement);
    const table = document.createElement("table");
    table.setAttribute("role", "grid");
    table.setAttribute("aria-label", model.get("label"));
    const head = table.createTHead().insertRow();
    for (const column of model.get("columns")) {
      const th = document.createElement("th");
      th.scope = "col";
      th.textContent = column.label;
      head.append(th);
    }
    const body = table.createTBody();
    lines = rows().map((row, i) => {
      const line = body.insertRow();
      for (const column of model.get("columns")) {
        const cell = line.insertCell();
        cell.className = `onlm-cell-${column.key}`;
        cell.textContent = row[column.key] ?? "";
      }
      line.addEventListener("click", () => choose(i));
      return line;
    });
    table.addEventListener("keydown", press);
    box.replaceChildren(table);
    mark();
    if (held && lines.length) lines[Math.max(at(), 0)].focus({ preventScroll: true });
  };

  draw();
  for (const name of ["rows", "columns", "label", "texts", "steps"]) model.on(`change:${name}`, draw);
  model.on("change:chosen", mark);
  return () => {
    clearTimeout(waiting);
    for (const name of ["rows", "columns", "label", "texts", "steps"]) model.off(`change:${name}`, draw);
    model.off("change:chosen", mark);
  };
}

export default { render };
