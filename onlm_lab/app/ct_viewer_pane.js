// One plane on a canvas: voxels through the window, then the map, the outline, the crosshair, the ruler, the scale bar.

const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"];
const OUTLINE = "#d55e00", CROSSHAIR = "#56b4e9", RULER = "#f0e442";
const MOST_ZOOM = 16;
const SHARP_FROM_PX = 5; // a voxel that is drawn larger is drawn as it is, not smoothed

const ramp = CIVIDIS.map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));

function cividis(share) {
  const at = Math.min(Math.max(share, 0), 1) * (ramp.length - 1);
  const low = Math.min(Math.floor(at), ramp.length - 2);
  return ramp[low].map((value, k) => Math.round(value + (at - low) * (ramp[low + 1][k] - value)));
}

// Grey values of all HU: black up to centre - width / 2, white from centre + width / 2 (DICOM PS3.3 C.11.2.1.3.2).
const greys = { key: "", table: new Uint32Array(65536) };

function greyTable(centre, width) {
  const key = `${centre} ${width}`;
  if (greys.key === key) return greys.table;
  for (let hu = -32768; hu < 32768; hu++) {
    const grey = Math.round(Math.min(Math.max((hu - centre) / width + 0.5, 0), 1) * 255);
    greys.table[hu & 0xffff] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  greys.key = key;
  return greys.table;
}

// What a map's pixel looks like: its colour by one scale, clear where it says nothing.
function mapPicture(layer, values) {
  const size = Math.round(Math.sqrt(values.length));
  const picture = document.createElement("canvas");
  picture.width = picture.height = size;
  const image = new ImageData(size, size);
  values.forEach((value, k) => {
    const share = layer.limit > 0 ? value / layer.limit : 0;
    image.data.set([...cividis(share / 2 + 0.5), Math.round(255 * Math.min(Math.abs(share), 1))], 4 * k);
  });
  picture.getContext("2d").putImageData(image, 0, 0);
  return picture;
}

// The edges between voxels in the mask and outside it, as pairs of corners (row, column) of the plane as it is shown.
function outlineOf(store, plane, index) {
  const key = `${plane} ${index}`;
  if (store.outlines.has(key)) return store.outlines.get(key);
  const { normal, down, across, upright } = GEOMETRY[plane];
  const box = store.volume.mask_box;
  const sizes = box.map(([first, last]) => last - first);
  const strides = [sizes[1] * sizes[2], sizes[2], 1];
  const inside = (row, column) => {
    if (row < 0 || column < 0 || row >= sizes[down] || column >= sizes[across]) return 0;
    return store.mask[(index - box[normal][0]) * strides[normal] + row * strides[down] + column * strides[across]];
  };
  const lines = [];
  if (index >= box[normal][0] && index < box[normal][1]) {
    const rows = store.volume.shape[down];
    const place = (row, column) => [upright ? rows - (box[down][0] + row) : box[down][0] + row, box[across][0] + column];
    for (let row = 0; row <= sizes[down]; row++)
      for (let column = 0; column <= sizes[across]; column++) {
        if (inside(row, column) !== inside(row - 1, column)) lines.push([place(row, column), place(row, column + 1)]);
        if (inside(row, column) !== inside(row, column - 1)) lines.push([place(row, column), place(row + 1, column)]);
      }
  }
  store.outlines.set(key, lines);
  return lines;
}

class Pane {
  constructor(plane, model, store, texts) {
    Object.assign(this, { plane, model, store, texts, zoom: 1, pan: [0, 0], ruler: null, crosshair: true });
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.buffer = document.createElement("canvas");
    this.shown = null; // what lies in the buffer
    this.drawn = 0;
  }

  // Everything that depends on the size of the canvas and of the plane, in pixels of the canvas.
  frame() {
    const { down, across } = GEOMETRY[this.plane];
    const { shape, spacing_mm: spacing } = this.store.volume;
    const [rows, columns] = [shape[down], shape[across]];
    const { width, height } = this.canvas;
    const pxPerMm = this.zoom * Math.min(width / (columns * spacing[across]), height / (rows * spacing[down]));
    const [stepX, stepY] = [spacing[across] * pxPerMm, spacing[down] * pxPerMm];
    const left = width / 2 + this.pan[0] * pxPerMm - (columns * stepX) / 2;
    const top = height / 2 + this.pan[1] * pxPerMm - (rows * stepY) / 2;
    return { rows, columns, pxPerMm, stepX, stepY, left, top };
  }

  // Row and column (fractions; a voxel's middle is whole) of the plane as it is shown, under a pixel of the canvas.
  placeAt(x, y) {
    const { stepX, stepY, left, top } = this.frame();
    return [(y - top) / stepY - 0.5, (x - left) / stepX - 0.5];
  }

  // Of an index along the plane's downward axis the row that shows it, and the other way round.
  rowOf(index) {
    return GEOMETRY[this.plane].upright ? this.store.volume.shape[GEOMETRY[this.plane].down] - 1 - index : index;
  }

  get index() {
    return this.store.at(this.plane);
  }

  // Row and column of the voxel that the crosshair is on.
  get cross() {
    const { down, across } = GEOMETRY[this.plane];
    return [this.rowOf(this.store.at(PLANES[down])), this.store.at(PLANES[across])];
  }

  // HU at a row and column; null outside, or where the slice is not here.
  huAt(row, column) {
    const { rows, columns } = this.frame();
    const [r, c] = [Math.round(row), Math.round(column)];
    const values = this.store.values(this.plane, this.index);
    return values && r >= 0 && c >= 0 && r < rows && c < columns ? values[r * columns + c] : null;
  }

  draw() {
    const { canvas, context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 1;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    canvas.dataset.drawn = String(++this.drawn);
    if (!this.store.volume) {
      canvas.dataset.state = "empty";
      return;
    }
    canvas.dataset.slice = String(this.index);
    const values = this.store.values(this.plane, this.index);
    canvas.dataset.state = values ? "shown" : "loading";
    const frame = this.frame();
    if (values) {
      this.drawVoxels(values, frame);
      this.drawMap(frame);
      this.drawOutline(frame);
    } else this.drawText(this.store.failed ? this.texts.too_large : this.texts.loading, canvas.width / 2, canvas.height / 2, "center");
    if (this.crosshair) this.drawCrosshair(frame);
    this.drawRulers(frame);
    this.drawScale(frame);
  }

  drawVoxels(values, { rows, columns, stepX, stepY, left, top }) {
    const [centre, width] = [this.model.get("window_centre_hu"), this.model.get("window_width_hu")];
    const key = `${centre} ${width}`;
    if (this.shown?.values !== values || this.shown.key !== key) {
      if (this.buffer.width !== columns || this.buffer.height !== rows) {
        [this.buffer.width, this.buffer.height] = [columns, rows];
        this.image = new ImageData(columns, rows);
        this.pixels = new Uint32Array(this.image.data.buffer);
      }
      const table = greyTable(centre, width);
      const { pixels } = this;
      for (let k = 0; k < pixels.length; k++) pixels[k] = table[values[k] & 0xffff];
      this.buffer.getContext("2d").putImageData(this.image, 0, 0);
      this.shown = { values, key };
    }
    this.context.imageSmoothingEnabled = Math.max(stepX, stepY) < SHARP_FROM_PX * devicePixelRatio;
    this.context.drawImage(this.buffer, left, top, columns * stepX, rows * stepY);
  }

  // The maps of the chosen kind that lie in this very slice.
  layers() {
    const [chosen, { normal }] = [this.model.get("saliency"), GEOMETRY[this.plane]];
    const spacing = this.store.volume.spacing_mm[normal];
    return this.model
      .get("layers")
      .map((layer, number) => ({ ...layer, number, slice: Math.round(layer.centre_mm[normal] / spacing) }))
      .filter((layer) => layer.name === chosen && layer.plane === this.plane);
  }

  drawMap({ rows, pxPerMm, left, top }) {
    const { down, across, upright } = GEOMETRY[this.plane];
    const spacing = this.store.volume.spacing_mm;
    for (const layer of this.layers().filter(({ slice }) => slice === this.index)) {
      const values = this.store.mapValues(layer.number);
      if (!values) continue;
      if (!this.store.pictures.has(layer.number)) this.store.pictures.set(layer.number, mapPicture(layer, values));
      const [y, x] = [layer.centre_mm[down] + spacing[down] / 2, layer.centre_mm[across] + spacing[across] / 2];
      const [half, fromTop] = [layer.edge_mm / 2, upright ? rows * spacing[down] - y : y];
      this.context.globalAlpha = this.model.get("saliency_alpha");
      this.context.imageSmoothingEnabled = true;
      const edge = layer.edge_mm * pxPerMm;
      this.context.drawImage(this.store.pictures.get(layer.number), left + (x - half) * pxPerMm, top + (fromTop - half) * pxPerMm, edge, edge);
      this.context.globalAlpha = 1;
    }
  }

  drawOutline({ stepX, stepY, left, top }) {
    if (!this.model.get("mask_shown") || !this.store.mask || !this.store.volume.mask_box) return;
    this.stroke(OUTLINE, 1.6, outlineOf(this.store, this.plane, this.index).map((line) => line.map(([row, column]) => [left + column * stepX, top + row * stepY])));
  }

  drawCrosshair({ stepX, stepY, left, top }) {
    const [row, column] = this.cross;
    const [x, y] = [left + (column + 0.5) * stepX, top + (row + 0.5) * stepY];
    const gap = 14 * devicePixelRatio;
    const { width, height } = this.canvas;
    this.stroke(CROSSHAIR, 1, [
      [[0, y], [x - gap, y]], [[x + gap, y], [width, y]], [[x, 0], [x, y - gap]], [[x, y + gap], [x, height]],
    ]);
  }

  // What was measured in this slice, and what is being measured.
  drawRulers(frame) {
    const { stepX, stepY, left, top } = frame;
    const own = this.store.rulers.filter((r) => r.plane === this.plane && r.index === this.index);
    if (this.ruler?.index === this.index) own.push(this.ruler);
    for (const ruler of own) {
      const [a, b] = [ruler.from, ruler.to].map(([row, column]) => [left + (column + 0.5) * stepX, top + (row + 0.5) * stepY]);
      const tick = 5 * devicePixelRatio;
      const ends = [a, b].flatMap(([x, y]) => [[[x - tick, y], [x + tick, y]], [[x, y - tick], [x, y + tick]]]);
      this.stroke("#000", 4, [[a, b], ...ends]);
      this.stroke(RULER, 1.8, [[a, b], ...ends]);
      this.drawText(`${this.length(ruler).toFixed(1)} mm`, b[0] + 8 * devicePixelRatio, b[1] - 8 * devicePixelRatio, b[0] > this.canvas.width * 0.8 ? "right" : "left", RULER);
    }
  }

  length({ from, to }) {
    const { down, across } = GEOMETRY[this.plane];
    const spacing = this.store.volume.spacing_mm;
    return Math.hypot((to[0] - from[0]) * spacing[down], (to[1] - from[1]) * spacing[across]);
  }

  drawScale({ pxPerMm }) {
    const { width, height } = this.canvas;
    const mm = [200, 100, 50, 20, 10, 5, 2].find((length) => length * pxPerMm < width / 3) ?? 1;
    const [x, y, tick] = [12 * devicePixelRatio, height - 12 * devicePixelRatio, 5 * devicePixelRatio];
    const end = x + mm * pxPerMm;
    const lines = [[[x, y], [end, y]], [[x, y - tick], [x, y]], [[end, y - tick], [end, y]]];
    this.stroke("#000", 4, lines);
    this.stroke("#fff", 1.8, lines);
    this.drawText(`${mm} mm`, x, y - 12 * devicePixelRatio, "left");
    this.canvas.dataset.scale = `${mm} mm`;
  }

  stroke(colour, width, lines) {
    const { context } = this;
    context.strokeStyle = colour;
    context.lineWidth = width * devicePixelRatio;
    context.beginPath();
    for (const [from, to] of lines) {
      context.moveTo(...from);
      context.lineTo(...to);
    }
    context.stroke();
  }

  drawText(text, x, y, align, colour = "#fff") {
    const { context } = this;
    context.font = `600 ${13 * devicePixelRatio}px system-ui, "DejaVu Sans", sans-serif`;
    [context.textAlign, context.textBaseline, context.lineJoin] = [align, "middle", "round"];
    [context.strokeStyle, context.lineWidth, context.fillStyle] = ["#000", 3 * devicePixelRatio, colour];
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }

  // Makes larger or smaller; what lies under the given pixel of the canvas stays where it is.
  zoomAt(factor, x, y) {
    const before = this.frame();
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const [mmX, mmY] = [(x - this.canvas.width / 2) / before.pxPerMm, (y - this.canvas.height / 2) / before.pxPerMm];
    const ratio = zoom / this.zoom;
    this.pan = zoom === 1 ? [0, 0] : [this.pan[0] - mmX * (1 - 1 / ratio), this.pan[1] - mmY * (1 - 1 / ratio)];
    this.zoom = zoom;
  }

  // Brings the crosshair into view where it lies outside.
  follow() {
    const { stepX, stepY, left, top, pxPerMm } = this.frame();
    const [row, column] = this.cross;
    const [x, y] = [left + (column + 0.5) * stepX, top + (row + 0.5) * stepY];
    if (x < 0 || x > this.canvas.width) this.pan[0] += (this.canvas.width / 2 - x) / pxPerMm;
    if (y < 0 || y > this.canvas.height) this.pan[1] += (this.canvas.height / 2 - y) / pxPerMm;
  }
}
