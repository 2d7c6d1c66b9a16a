// The row of controls above the planes, and what is said about the maps below them.

const PRESETS = { lung: [-600, 1500], mediastinum: [50, 350], soft: [40, 400], bone: [400, 1800] };

function element(tag, { text, attributes = {}, on = {}, children = [] } = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const [name, act] of Object.entries(on)) made.addEventListener(name, act);
  made.append(...children);
  return made;
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

// A number as a person writes it, with a real minus.
function said(value, digits = 0) {
  const text = Number(value).toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
}

function presetOf(centre, width) {
  return Object.keys(PRESETS).find((name) => PRESETS[name][0] === centre && PRESETS[name][1] === width) ?? "";
}

class Controls {
  constructor(view) {
    const { texts } = view;
    this.view = view;
    const button = (key, act, title) =>
      element("button", { text: texts[key], attributes: { type: "button", "data-key": key, ...(title ? { title: texts[title] } : {}) }, on: { click: act } });
    const group = (label, children) =>
      element("div", { attributes: { role: "group", "aria-label": texts[label], class: "onlm-ct-group" }, children });
    this.planes = Object.fromEntries(PLANES.map((plane) => [plane, button(plane, () => view.set({ plane }))]));
    this.three = button("three_planes", () => view.set({ three_planes: !view.model.get("three_planes") }));
    this.presets = Object.fromEntries(Object.keys(PRESETS).map((name) => [name, button(name, () => view.preset(name))]));
    this.centre = this.number("centre", (value) => view.window(value, view.model.get("window_width_hu")));
    this.width = this.number("width", (value) => view.window(view.model.get("window_centre_hu"), value));
    this.tumour = button("to_tumour", () => view.toTumour());
    this.measure = button("measure", () => view.toggleMeasure());
    this.cross = button("crosshair", () => view.toggleCrosshair());
    this.larger = button("larger", () => view.zoom(1.4), "larger_title");
    this.smaller = button("smaller", () => view.zoom(1 / 1.4), "smaller_title");
    this.whole = button("whole", () => view.zoom(0));
    this.clear = button("clear_measures", () => view.clearRulers());
    this.outline = button("outline", () => view.set({ mask_shown: !view.model.get("mask_shown") }));
    this.map = element("select", { on: { change: () => view.set({ saliency: this.map.value }) } });
    this.alpha = element("input", {
      attributes: { type: "range", min: 0, max: 100, step: 5, "aria-label": texts.alpha },
      on: { input: () => view.set({ saliency_alpha: Number(this.alpha.value) / 100 }) },
    });
    this.toMap = button("to_map", () => view.toMap());
    this.maps = group("maps", [element("label", { text: texts.maps, children: [this.map] }), element("label", { text: texts.alpha, children: [this.alpha] }), this.toMap]);
    this.bar = element("div", {
      attributes: { class: "onlm-ct-bar" },
      children: [
        group("planes", [...Object.values(this.planes), this.three]),
        group("window", [...Object.values(this.presets), this.centre.label, this.width.label]),
        group("tools", [this.tumour, this.measure, this.clear, this.cross, this.outline, this.smaller, this.larger, this.whole]),
        this.maps,
      ],
    });
    this.legend = element("div", { attributes: { class: "onlm-ct-legend" } });
    this.help = this.helpOf(texts);
  }

  number(key, act) {
    const input = element("input", {
      attributes: { type: "number", step: 10, "aria-label": this.view.texts[`${key}_label`] },
      on: { change: () => (Number.isFinite(input.valueAsNumber) ? act(input.valueAsNumber) : this.redraw()) },
    });
    return { input, label: element("label", { text: this.view.texts[key], children: [input] }) };
  }

  helpOf(texts) {
    const rows = texts.keys.map(([key, what]) =>
      element("tr", { children: [element("th", { attributes: { scope: "row" }, children: [element("kbd", { text: key })] }), element("td", { text: what })] }),
    );
    return element("details", { attributes: { class: "onlm-ct-help" }, children: [element("summary", { text: texts.help }), element("table", { children: rows })] });
  }

  redraw() {
    const { model, texts, store } = this.view;
    const get = (name) => model.get(name);
    const pressed = (button, is) => button.setAttribute("aria-pressed", String(is));
    const there = store.volume !== null;
    PLANES.forEach((plane) => pressed(this.planes[plane], get("plane") === plane));
    pressed(this.three, get("three_planes"));
    const preset = presetOf(get("window_centre_hu"), get("window_width_hu"));
    Object.entries(this.presets).forEach(([name, button]) => pressed(button, name === preset));
    for (const [box, name] of [[this.centre, "window_centre_hu"], [this.width, "window_width_hu"]])
      if (document.activeElement !== box.input || box.input.value === "") box.input.value = Math.round(get(name));
    pressed(this.measure, this.view.measuring);
    pressed(this.cross, this.view.crosshair);
    this.clear.hidden = store.rulers.length === 0;
    this.outline.disabled = !there || !store.volume.mask_box;
    this.outline.title = there && !store.volume.mask_box ? store.volume.why_no_mask : "";
    pressed(this.outline, get("mask_shown") && !this.outline.disabled);
    this.tumour.disabled = !there || !store.volume.centre_voxel;
    this.tumour.title = this.tumour.disabled && there ? store.volume.why_no_centre : "";
    const names = [...new Set(get("layers").map((layer) => layer.name))];
    this.maps.hidden = names.length === 0;
    const key = names.join("|");
    if (this.map.dataset.names !== key) {
      const options = [["", texts.off], ...names.map((name) => [name, name])];
      this.map.replaceChildren(...options.map(([value, text]) => element("option", { text, attributes: { value } })));
      this.map.dataset.names = key;
    }
    this.map.value = get("saliency");
    this.alpha.value = Math.round(100 * get("saliency_alpha"));
    this.alpha.disabled = this.toMap.disabled = !get("saliency");
    this.redrawLegend();
  }

  redrawLegend() {
    const { model, texts } = this.view;
    const layers = model.get("layers").filter((layer) => layer.name === model.get("saliency"));
    this.legend.hidden = layers.length === 0;
    if (!layers.length) return this.legend.replaceChildren();
    const [{ limit, scale, is_shared: isShared }] = layers;
    const bar = element("span", { attributes: { class: "onlm-ct-ramp", "aria-hidden": "true" } });
    bar.style.background = `linear-gradient(to right, ${CIVIDIS.join(", ")})`;
    const ends = { limit: said(limit, 2), least: said(-limit, 2) };
    const sentences = [filled(texts.legend, ends), texts[`scale_${scale}`], ...(isShared ? [texts.shared_map] : []), this.view.whereMap()];
    this.legend.replaceChildren(
      element("div", { attributes: { class: "onlm-ct-scale" }, children: [element("span", { text: filled(texts.lowers, ends) }), bar, element("span", { text: filled(texts.raises, ends) })] }),
      element("p", { text: sentences.filter(Boolean).join(" ") }),
    );
  }
}
