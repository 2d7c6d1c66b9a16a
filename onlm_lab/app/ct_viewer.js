// A CT in three planes on canvases: the view, and what mouse and keys do. Choices live in the model; a change of the
// model redraws, at most once a frame.

const SAY_MS = 500;
const WIDE_PX = 700; // from here on three planes beside each other
const CLICK_PX = 4; // a press that moves less is a click

class View {
  constructor(model, el) {
    this.model = model;
    this.el = el;
    this.store = storeOf(model);
    this.texts = model.get("texts");
    this.measuring = false;
    this.crosshair = true;
    this.off = [];
    el.classList.add("onlm-ct");
    this.panes = Object.fromEntries(PLANES.map((plane) => [plane, new Pane(plane, model, this.store, this.texts)]));
    this.cards = Object.fromEntries(PLANES.map((plane) => [plane, this.card(this.panes[plane])]));
    this.controls = new Controls(this);
    this.stage = element("div", { attributes: { class: "onlm-ct-stage" }, children: Object.values(this.cards).map((c) => c.root) });
    this.sentence = element("p", { attributes: { class: "onlm-ct-sentence", role: "status" } });
    this.notes = element("p", { attributes: { class: "onlm-ct-notes" } });
    this.live = element("div", { attributes: { class: "onlm-ct-live", role: "status", "aria-live": "polite" } });
    el.append(this.sentence, this.controls.bar, this.stage, this.controls.legend, this.notes, this.controls.help, this.live);
    // JupyterLab's own keys (D D deletes the cell) rest while one of these has the focus.
    for (const part of el.querySelectorAll("canvas, button, input, select, summary")) part.setAttribute("data-lm-suppress-shortcuts", "true");
    const names = ["plane", "three_planes", "window_centre_hu", "window_width_hu", "mask_shown", "saliency", "saliency_alpha", "layers", "busy", "sentence"];
    for (const name of [...names, ...PLANES.map((plane) => `slice_${plane}`)]) this.on(name);
    this.on("volume", () => Object.values(this.panes).forEach((pane) => Object.assign(pane, { zoom: 1, pan: [0, 0], ruler: null, pointer: null })));
    this.off.push(this.store.listen((more) => this.arrived(more)));
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(el);
    PLANES.forEach((plane) => this.watch.observe(this.cards[plane].frame));
    this.redraw();
  }

  on(name, first = () => {}) {
    const act = () => {
      first();
      this.schedule();
      if (/slice|window|plane/.test(name)) this.sayLater();
    };
    this.model.on(`change:${name}`, act);
    this.off.push(() => this.model.off(`change:${name}`, act));
  }

  card(pane) {
    const { texts } = this;
    const letters = GEOMETRY[pane.plane].letters.map((letter, k) =>
      element("span", { text: letter, attributes: { class: `onlm-ct-letter onlm-ct-${["top", "bottom", "left", "right"][k]}`, "aria-hidden": "true" } }),
    );
    const head = element("div", { attributes: { class: "onlm-ct-head" } });
    const readout = element("div", { attributes: { class: "onlm-ct-readout" } });
    const slider = element("input", { attributes: { type: "range", min: 0, max: 0, step: 1, "aria-label": texts[`${pane.plane}_slider`] }, on: { input: () => this.slice(pane, Number(slider.value)) } });
    const frame = element("div", { attributes: { class: "onlm-ct-frame" }, children: [pane.canvas, ...letters] });
    pane.canvas.tabIndex = 0;
    pane.canvas.setAttribute("role", "application");
    pane.canvas.setAttribute("data-plane", pane.plane);
    this.listen(pane, { readout });
    return { root: element("section", { attributes: { class: "onlm-ct-card", "data-plane": pane.plane }, children: [head, frame, slider, readout] }), head, frame, slider, readout };
  }

  set(values) {
    for (const [name, value] of Object.entries(values)) this.model.set(name, value);
    // At once: the kernel echoes what it gets, and an echo would undo what was chosen but not yet sent.
    this.model.save_changes();
  }

  slice(pane, index) {
    if (!this.store.volume) return;
    const last = this.store.volume.shape[GEOMETRY[pane.plane].normal] - 1;
    this.set({ [`slice_${pane.plane}`]: Math.min(Math.max(Math.round(index), 0), last) });
  }

  window(centre, width) {
    this.set({ window_centre_hu: Math.round(centre), window_width_hu: Math.max(1, Math.round(width)) });
  }

  preset(name) {
    this.window(...PRESETS[name]);
  }

  // The plane that has the focus, or the chosen one.
  get active() {
    return this.panes[document.activeElement?.dataset?.plane] ?? this.panes[this.model.get("plane")];
  }

  zoom(factor) {
    const pane = this.active;
    if (!this.store.volume) return;
    const { stepX, stepY, left, top } = pane.frame();
    const [row, column] = pane.cross;
    if (factor === 0) [pane.zoom, pane.pan] = [1, [0, 0]];
    else pane.zoomAt(factor, left + (column + 0.5) * stepX, top + (row + 0.5) * stepY);
    this.schedule();
  }

  toTumour() {
    const centre = this.store.volume?.centre_voxel;
    if (centre) PLANES.forEach((plane, axis) => this.slice(this.panes[plane], centre[axis]));
  }

  // Each plane to its map that lies nearest.
  toMap() {
    for (const pane of Object.values(this.panes)) {
      const near = pane.layers().sort((a, b) => Math.abs(a.slice - pane.index) - Math.abs(b.slice - pane.index))[0];
      if (near) this.slice(pane, near.slice);
    }
  }

  whereMap() {
    const pane = this.panes[this.model.get("plane")];
    const slices = this.store.volume ? pane.layers().map((layer) => layer.slice) : [];
    if (slices.includes(pane.index)) return "";
    const name = this.texts[pane.plane];
    if (!slices.length) return filled(this.texts.no_map_here, { plane: name });
    return filled(this.texts.map_elsewhere, { plane: name, slices: [...new Set(slices)].map((k) => k + 1).join(", ") });
  }

  toggleMeasure() {
    this.measuring = !this.measuring;
    for (const pane of Object.values(this.panes)) pane.ruler = null;
    this.schedule();
    this.say(this.measuring ? this.texts.measuring : this.texts.measured_off);
  }

  toggleCrosshair() {
    this.crosshair = !this.crosshair;
    for (const pane of Object.values(this.panes)) pane.crosshair = this.crosshair;
    this.schedule();
  }

  clearRulers() {
    this.store.rulers = [];
    for (const pane of Object.values(this.panes)) pane.ruler = null;
    this.store.tell();
  }

  // A point of the ruler: the first begins it, the second ends it.
  rulerPoint(pane, place) {
    if (!pane.ruler) {
      pane.ruler = { plane: pane.plane, index: pane.index, from: place, to: place };
      this.say(this.texts.first_point);
    } else {
      const ruler = { ...pane.ruler, to: place };
      pane.ruler = null;
      this.store.rulers.push(ruler);
      this.say(filled(this.texts.distance, { mm: pane.length(ruler).toFixed(1) }));
      this.store.tell();
    }
    this.schedule();
  }

  // The crosshair to a row and column of a plane: the other two planes go there.
  point(pane, [row, column]) {
    const { down, across } = GEOMETRY[pane.plane];
    this.slice(this.panes[PLANES[down]], pane.rowOf(Math.round(row)));
    this.slice(this.panes[PLANES[across]], column);
  }

  // While slices arrive nothing is drawn again but what waited for them.
  arrived(more) {
    const waits = PLANES.some((plane) => !this.cards[plane].root.hidden && this.panes[plane].canvas.dataset.state !== "shown");
    if (!more || waits) this.schedule();
    else this.redrawNotes();
  }

  schedule() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.redraw();
    });
  }

  resize() {
    for (const plane of PLANES) {
      const { canvas } = this.panes[plane];
      const { clientWidth, clientHeight } = this.cards[plane].frame;
      const [width, height] = [Math.round(clientWidth * devicePixelRatio), Math.round(clientHeight * devicePixelRatio)];
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    }
    this.redraw();
  }

  redraw() {
    const { model, store, stage } = this;
    const wide = this.el.clientWidth >= WIDE_PX;
    const three = wide && model.get("three_planes");
    this.el.classList.toggle("onlm-ct-wide", wide);
    stage.classList.toggle("onlm-ct-three", three);
    this.controls.three.hidden = !wide;
    this.sentence.textContent = model.get("sentence") || (store.volume ? "" : this.texts.empty);
    this.sentence.hidden = !this.sentence.textContent;
    const wrong = Boolean(model.get("sentence")) && !model.get("busy");
    this.sentence.classList.toggle("onlm-ct-wrong", wrong);
    this.sentence.setAttribute("role", wrong ? "alert" : "status");
    this.el.setAttribute("aria-busy", String(model.get("busy")));
    for (const part of [this.controls.bar, stage, this.controls.help]) part.hidden = !store.volume;
    for (const plane of PLANES) {
      const large = plane === model.get("plane");
      this.cards[plane].root.hidden = !(three || large);
      this.cards[plane].root.classList.toggle("onlm-ct-large", large);
      if (store.volume && !this.cards[plane].root.hidden) this.redrawCard(plane);
    }
    this.controls.redraw();
    this.redrawNotes();
  }

  redrawNotes() {
    this.notes.textContent = this.notesText();
    this.notes.hidden = !this.notes.textContent;
    this.el.dataset.volume = String(this.store.volume?.token ?? "");
    this.el.dataset.here = String(this.store.volume ? this.store.nHere : 0);
  }

  notesText() {
    const { store, texts } = this;
    if (!store.volume) return "";
    const { shape, oblique_degrees: oblique, why_no_mask: noMask, why_no_centre: noCentre } = store.volume;
    const loading = store.complete || store.failed ? "" : filled(texts.arriving, { n: store.nHere, all: shape[0] });
    return [loading, noCentre, noMask, oblique > 1 ? filled(texts.oblique, { degrees: said(oblique, 1) }) : ""].filter(Boolean).join(" ");
  }

  redrawCard(plane) {
    const { head, slider, readout } = this.cards[plane];
    const pane = this.panes[plane];
    const last = this.store.volume.shape[GEOMETRY[plane].normal] - 1;
    const words = this.words(pane);
    head.textContent = filled(this.texts.head, words);
    [slider.max, slider.value] = [last, pane.index];
    slider.setAttribute("aria-valuetext", filled(this.texts.slice_value, words));
    pane.canvas.setAttribute("aria-label", filled(this.texts.canvas, words));
    if (pane.canvas.width && pane.canvas.height) pane.draw();
    this.readHu(pane, pane.pointer, readout);
  }

  words(pane) {
    const { normal } = GEOMETRY[pane.plane];
    const { shape, spacing_mm: spacing, first_mm: first } = this.store.volume;
    const mm = first[2 - normal] + pane.index * spacing[normal];
    const [centre, width] = [this.model.get("window_centre_hu"), this.model.get("window_width_hu")];
    const preset = presetOf(centre, width);
    return {
      plane: this.texts[pane.plane], slice: pane.index + 1, all: shape[normal], axis: "zyx"[normal], mm: said(mm, 1),
      centre: said(centre), width: said(width), preset: preset ? this.texts[preset] : this.texts.own_window,
    };
  }

  // HU under the pointer, or under the crosshair while the plane has the focus and no pointer is over it.
  readHu(pane, place, readout) {
    const at = place ?? pane.cross;
    const hu = pane.huAt(...at);
    const text = hu === null ? "" : filled(this.texts[place ? "hu_pointer" : "hu_cross"], { hu: said(hu) });
    readout.textContent = text;
    readout.dataset.hu = hu === null ? "" : String(hu);
  }

  say(text) {
    clearTimeout(this.saying);
    this.live.textContent = text;
  }

  sayLater() {
    clearTimeout(this.saying);
    this.saying = setTimeout(() => {
      if (this.store.volume) this.live.textContent = filled(this.texts.said, this.words(this.active));
    }, SAY_MS);
  }

  remove() {
    this.watch.disconnect();
    this.off.forEach((end) => end());
    cancelAnimationFrame(this.waiting);
    clearTimeout(this.saying);
  }
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.remove();
}

export default { render };
