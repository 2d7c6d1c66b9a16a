// The voxels that have arrived, kept once a model however many views show it. Slices come in blocks, those nearest to
// the one that is looked at first; a coronal or sagittal plane is asked for by itself until all slices are there.

const GEOMETRY = {
  axial: { normal: 0, down: 1, across: 2, upright: false, letters: ["A", "P", "R", "L"] },
  coronal: { normal: 1, down: 0, across: 2, upright: true, letters: ["H", "F", "R", "L"] },
  sagittal: { normal: 2, down: 0, across: 1, upright: true, letters: ["H", "F", "A", "P"] },
};
const PLANES = Object.keys(GEOMETRY);
const MISSING = 0, ASKED = 1, HERE = 2;
const BLOCK_BYTES = 2 ** 21;
const UNDER_WAY = 2; // requests for blocks at a time: what is asked for next must not wait behind many
const AGAIN_MS = 30000;
const KEPT_PLANES = 12;

const stores = new WeakMap();

function storeOf(model) {
  if (!stores.has(model)) stores.set(model, new Store(model));
  return stores.get(model);
}

class Store {
  constructor(model) {
    this.model = model;
    this.listeners = new Set();
    model.on("msg:custom", (message, buffers) => this.take(message, buffers));
    model.on("change:volume", () => this.begin());
    model.on("change:layers", () => this.beginLayers());
    PLANES.forEach((plane) => model.on(`change:slice_${plane}`, () => this.ask()));
    this.begin();
  }

  begin() {
    const volume = this.model.get("volume");
    this.volume = volume?.token ? volume : null;
    this.planes = new Map();
    this.planeAsked = null;
    this.hu = this.bytesOfHu = this.mask = null;
    this.outlines = new Map();
    this.failed = false;
    this.underWay = 0;
    this.nHere = 0;
    this.rulers = [];
    this.beginLayers();
    if (!this.volume) return this.tell();
    const [nz, ny, nx] = this.volume.shape;
    this.state = new Uint8Array(nz);
    this.sliceBytes = 2 * ny * nx;
    this.block = Math.max(1, Math.floor(BLOCK_BYTES / this.sliceBytes));
    try {
      this.hu = new Int16Array(nz * ny * nx);
    } catch {
      this.failed = true;
      return this.tell();
    }
    this.bytesOfHu = new Uint8Array(this.hu.buffer);
    if (this.listeners.size) this.start();
    this.tell();
  }

  beginLayers() {
    this.maps = null;
    this.pictures = new Map();
    this.layersAsked = false;
    this.tell();
  }

  listen(listener) {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.start();
    return () => this.listeners.delete(listener);
  }

  start() {
    if (!this.volume || this.failed) return;
    if (this.volume.mask_box && !this.mask) this.send({ kind: "mask" });
    this.ask();
  }

  // `more`: slices that arrived; who shows a slice that was here already has nothing to draw.
  tell(more = false) {
    this.listeners.forEach((listener) => listener(more));
  }

  send(message) {
    this.model.send({ ...message, volume: this.volume.token });
  }

  get complete() {
    return this.volume !== null && this.nHere === this.volume.shape[0];
  }

  at(plane) {
    return this.model.get(`slice_${plane}`);
  }

  // The next slices that are not here, around the one that is looked at.
  ask() {
    if (!this.volume || this.failed || !this.listeners.size) return;
    while (this.underWay < UNDER_WAY) {
      const first = this.nearestMissing(this.at("axial"));
      if (first < 0) return;
      const end = Math.min((Math.floor(first / this.block) + 1) * this.block, this.state.length);
      let from = first, to = first;
      while (from > Math.floor(first / this.block) * this.block && this.state[from - 1] === MISSING) from--;
      while (to < end && this.state[to] === MISSING) to++;
      this.state.fill(ASKED, from, to);
      this.underWay++;
      this.send({ kind: "slices", first: from, n: to - from });
      this.askAgain(this.volume.token, from, to);
    }
  }

  askAgain(token, from, to) {
    // A kernel that was busy, or a message that a server dropped: ask once more.
    setTimeout(() => {
      if (this.volume?.token !== token || this.state[from] !== ASKED) return;
      for (let z = from; z < to; z++) if (this.state[z] === ASKED) this.state[z] = MISSING;
      this.underWay = Math.max(0, this.underWay - 1);
      this.ask();
    }, AGAIN_MS);
  }

  nearestMissing(z) {
    for (let away = 0; away < this.state.length; away++) {
      if (this.state[z + away] === MISSING) return z + away;
      if (this.state[z - away] === MISSING) return z - away;
    }
    return -1;
  }

  take(message, buffers) {
    if (!this.volume || message.volume !== this.volume.token) return;
    const data = buffers.length ? new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength) : null;
    if (message.kind === "slices") this.takeSlices(message, data);
    if (message.kind === "plane") this.takePlane(message, data);
    if (message.kind === "mask") this.mask = data.slice();
    if (message.kind === "layers") this.takeLayers(message, buffers);
    this.tell(message.kind === "slices");
  }

  takeSlices({ first, n }, data) {
    if (data.length !== n * this.sliceBytes) return;
    this.bytesOfHu.set(data, first * this.sliceBytes);
    for (let z = first; z < first + n; z++) {
      if (this.state[z] !== HERE) this.nHere++;
      this.state[z] = HERE;
    }
    this.underWay = Math.max(0, this.underWay - 1);
    this.ask();
  }

  takePlane({ plane, index }, data) {
    const values = new Int16Array(data.slice().buffer); // in the array's own order, the feet first
    this.keep(`${plane} ${index}`, turned(values, plane, this.volume.shape));
    if (this.planeAsked === `${plane} ${index}`) this.planeAsked = null;
  }

  takeLayers(message, buffers) {
    this.maps = buffers.map((b) => new Float32Array(new Uint8Array(b.buffer, b.byteOffset, b.byteLength).slice().buffer));
  }

  keep(key, values) {
    this.planes.delete(key);
    this.planes.set(key, values);
    if (this.planes.size > KEPT_PLANES) this.planes.delete(this.planes.keys().next().value);
  }

  // A plane as it is looked at, int16 in rows; null where it is not here yet (it is then asked for).
  values(plane, index) {
    if (!this.volume || this.failed) return null;
    const [, ny, nx] = this.volume.shape;
    if (plane === "axial") {
      return this.state[index] === HERE ? this.hu.subarray(index * ny * nx, (index + 1) * ny * nx) : null;
    }
    const key = `${plane} ${index}`;
    if (this.planes.has(key)) return this.planes.get(key);
    if (this.complete) {
      this.keep(key, cut(this.hu, plane, index, this.volume.shape));
      return this.planes.get(key);
    }
    if (this.planeAsked === null) {
      this.planeAsked = key;
      this.send({ kind: "plane", plane, index });
      const token = this.volume.token;
      setTimeout(() => {
        if (this.volume?.token !== token || this.planeAsked !== key) return;
        this.planeAsked = null;
        this.tell();
      }, AGAIN_MS);
    }
    return null;
  }

  // The maps' numbers come when they are first wanted.
  mapValues(number) {
    if (!this.maps && !this.layersAsked && this.volume) {
      this.layersAsked = true;
      this.send({ kind: "layers" });
    }
    return this.maps ? this.maps[number] : null;
  }
}

// A coronal or sagittal plane out of the whole volume, the head at the top.
function cut(hu, plane, index, [nz, ny, nx]) {
  const n = plane === "coronal" ? nx : ny;
  const values = new Int16Array(nz * n);
  for (let row = 0; row < nz; row++) {
    const slice = (nz - 1 - row) * ny * nx;
    if (plane === "coronal") values.set(hu.subarray(slice + index * nx, slice + (index + 1) * nx), row * n);
    else for (let y = 0; y < ny; y++) values[row * n + y] = hu[slice + y * nx + index];
  }
  return values;
}

function turned(values, plane, shape) {
  if (!GEOMETRY[plane].upright) return values;
  const n = shape[GEOMETRY[plane].across];
  const rows = shape[0];
  const over = new Int16Array(values.length);
  for (let row = 0; row < rows; row++) over.set(values.subarray((rows - 1 - row) * n, (rows - row) * n), row * n);
  return over;
}
