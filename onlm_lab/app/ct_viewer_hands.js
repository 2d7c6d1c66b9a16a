// What mouse and keys do on a plane.

const KEYS = {
  ArrowUp: (view, pane) => view.slice(pane, pane.index + 1),
  ArrowDown: (view, pane) => view.slice(pane, pane.index - 1),
  ArrowRight: (view, pane) => view.slice(pane, pane.index + 1),
  ArrowLeft: (view, pane) => view.slice(pane, pane.index - 1),
  PageUp: (view, pane) => view.slice(pane, pane.index + 10),
  PageDown: (view, pane) => view.slice(pane, pane.index - 10),
  Home: (view, pane) => view.slice(pane, 0),
  End: (view, pane) => view.slice(pane, Infinity),
  "+": (view) => view.zoom(1.4),
  "=": (view) => view.zoom(1.4),
  "-": (view) => view.zoom(1 / 1.4),
  0: (view) => view.zoom(0),
  1: (view) => view.choosePlane("axial"),
  2: (view) => view.choosePlane("coronal"),
  3: (view) => view.choosePlane("sagittal"),
  l: (view) => view.preset("lung"),
  m: (view) => view.preset("mediastinum"),
  s: (view) => view.preset("soft"),
  b: (view) => view.preset("bone"),
  t: (view) => view.toTumour(),
  c: (view) => view.toggleCrosshair(),
  o: (view) => view.set({ mask_shown: !view.model.get("mask_shown") }),
  h: (view) => view.nextMap(),
  r: (view, pane) => view.rulerPoint(pane, pane.cross),
  Escape: (view) => view.clearRulers(),
};
const NOTCH_PX = 40; // of a touchpad's path that are one slice
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

Object.assign(View.prototype, {
  choosePlane(plane) {
    this.set({ plane });
    this.redraw(); // shown before it can have the focus
    this.panes[plane].canvas.focus();
  },

  // Off, the first map, the next, and off again.
  nextMap() {
    const names = ["", ...new Set(this.model.get("layers").map((layer) => layer.name))];
    this.set({ saliency: names[(names.indexOf(this.model.get("saliency")) + 1) % names.length] });
  },

  listen(pane, { readout }) {
    const { canvas } = pane;
    const pixel = (event) => {
      const box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    };
    let press = null;
    let turned = 0; // of a fine wheel or a touchpad: so far
    const wheel = (event) => {
      event.preventDefault();
      if (!this.store.volume || !event.deltaY) return;
      if (event.ctrlKey) {
        pane.zoomAt(event.deltaY < 0 ? 1.15 : 1 / 1.15, ...pixel(event));
        return this.schedule();
      }
      turned = Math.sign(turned) === Math.sign(event.deltaY) ? turned + event.deltaY : event.deltaY;
      if (event.deltaMode === 0 && Math.abs(turned) < NOTCH_PX) return;
      turned = 0;
      this.slice(pane, pane.index - Math.sign(event.deltaY));
    };
    const down = (event) => {
      if (!this.store.volume) return;
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      press = {
        x: event.clientX, y: event.clientY, moved: false, pan: [...pane.pan], toWindow: event.button === 2 || event.shiftKey,
        centre: this.model.get("window_centre_hu"), width: this.model.get("window_width_hu"),
      };
      event.preventDefault();
    };
    const move = (event) => {
      if (!this.store.volume) return;
      pane.pointer = pane.placeAt(...pixel(event));
      if (pane.ruler) pane.ruler.to = pane.pointer;
      if (press) {
        const [dx, dy] = [event.clientX - press.x, event.clientY - press.y];
        press.moved ||= Math.hypot(dx, dy) >= CLICK_PX;
        if (press.moved && press.toWindow) {
          const step = Math.max(1, press.width / 400);
          this.window(press.centre - dy * step, Math.max(1, press.width + dx * step));
        } else if (press.moved) {
          const scale = devicePixelRatio / pane.frame().pxPerMm;
          pane.pan = pane.zoom > 1 ? [press.pan[0] + dx * scale, press.pan[1] + dy * scale] : [0, 0];
        }
      }
      if (press || pane.ruler) this.schedule();
      else this.readHu(pane, pane.pointer, readout);
    };
    const up = (event) => {
      if (press && !press.moved && !press.toWindow && event.button === 0) {
        const place = pane.placeAt(...pixel(event));
        if (this.measuring) this.rulerPoint(pane, place);
        else if (pane.huAt(...place) !== null) this.point(pane, place);
      }
      press = null;
    };
    const leave = () => {
      pane.pointer = null;
      if (this.store.volume) this.readHu(pane, null, readout);
    };
    canvas.addEventListener("wheel", wheel, { passive: false });
    canvas.addEventListener("pointerdown", down);
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", () => (press = null));
    canvas.addEventListener("pointerleave", leave);
    canvas.addEventListener("dblclick", () => !this.measuring && this.choosePlane(pane.plane));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.key(event, pane));
  },

  key(event, pane) {
    if (!this.store.volume || event.ctrlKey || event.altKey || event.metaKey) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.shiftKey && MOVES[name]) {
      const [row, column] = pane.cross;
      this.point(pane, [row + MOVES[name][0], column + MOVES[name][1]]);
      if (pane.ruler) pane.ruler.to = pane.cross;
      pane.pointer = null;
      pane.follow();
    } else if (name === "?") this.controls.help.open = !this.controls.help.open;
    else if (Object.hasOwn(KEYS, name)) KEYS[name](this, pane);
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.schedule();
  },
});
