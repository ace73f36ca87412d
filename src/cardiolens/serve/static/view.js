// One view: its frames, window, zoom, contours and attention on a canvas.
import { get, ofStudy, raw } from "./api.js";
import { clamp, h } from "./dom.js";
import { outlines, regionOf, smoothed } from "./outline.js";

const HEAT = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

export class View {
  constructor(study, cine, player) {
    Object.assign(this, { study, cine, player, name: cine.view, zoom: 1, pan: [0, 0], home: null, window: null, scale: null, ghost: null, brush: null, drawnOn: null });
    [this.planes, this.phases, this.rows, this.cols] = cine.shape;
    this.plane = Math.floor(this.planes / 2);
    this.frames = new Map();
    this.labels = new Map();
    this.lines = new Map();
    this.heat = new Map();
    this.asked = new Set();
    this.build();
  }

  build() {
    this.canvas = h("canvas", { tabindex: 0, role: "img", "aria-label": `${this.name}, ${this.planes} planes, ${this.phases} phases` });
    [this.tl, this.tr, this.bl] = ["tl", "tr", "bl"].map((name) => h("div", { class: name }));
    this.wait = h("div", { class: "wait" }, "Loading");
    this.slider = this.planes > 1 ? h("input", { class: "planes", type: "range", min: 1, max: this.planes, value: this.plane + 1, "aria-label": `Plane of ${this.name}`, tabindex: -1,
      oninput: (e) => this.setPlane(Number(e.target.value) - 1) }) : null;
    this.node = h("div", { class: "view" }, this.canvas, this.tl, this.tr, this.bl, this.slider, this.wait);
    this.small = document.createElement("canvas");
    [this.small.width, this.small.height] = [this.cols, this.rows];
    this.pixels = this.small.getContext("2d").createImageData(this.cols, this.rows);
    new ResizeObserver(() => this.resize()).observe(this.node);
    this.canvas.addEventListener("pointerdown", (e) => this.down(e));
    this.canvas.addEventListener("pointermove", (e) => this.move(e));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, (e) => this.up(e));
    this.canvas.addEventListener("pointerleave", () => { this.brush = null; this.draw(); });
    this.canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    this.canvas.addEventListener("dblclick", () => this.player.toggleFull(this));
    this.canvas.addEventListener("focus", () => this.player.activate(this));
  }

  // --- data

  async load(plane = this.plane) {
    if (this.frames.has(plane) || this.asked.has(plane)) return;
    this.asked.add(plane);
    try {
      const answer = await raw(ofStudy(this.study.key, `/frames/${this.name}/${plane}`));
      const [low, high] = answer.headers.get("X-Scale").split(" ").map(Number);
      this.scale = { low, high };
      this.first ??= answer.headers.get("X-Window").split(" ").map(Number);
      this.window ??= [...this.first];
      this.frames.set(plane, new Uint8Array(await answer.arrayBuffer()));
    } catch (error) {
      this.wait.textContent = error.message;
      this.wait.hidden = false;
    }
    this.asked.delete(plane);
    this.draw();
  }

  async loadAll() {
    const order = [...Array(this.planes).keys()].sort((a, b) => Math.abs(a - this.plane) - Math.abs(b - this.plane));
    for (const plane of order) await this.load(plane);
  }

  async loadLabels(plane = this.plane) {
    if (!this.structures || this.labels.has(plane) || this.asked.has(`l${plane}`)) return;
    this.asked.add(`l${plane}`);
    try {
      const answer = await raw(ofStudy(this.study.key, `/labels/${this.name}/${plane}`));
      this.labels.set(plane, new Uint8Array(await answer.arrayBuffer()));
      if (!this.home) this.findHome(this.labels.get(plane));
    } catch { /* shown without */ }
    this.asked.delete(`l${plane}`);
    this.draw();
  }

  forget(plane = null) {
    // Contours changed: those of a plane, or of all.
    for (const one of plane === null ? [...this.labels.keys()] : [plane]) {
      this.labels.delete(one);
      for (const key of [...this.lines.keys()]) if (key.startsWith(`${one}:`)) this.lines.delete(key);
    }
    this.loadLabels();
  }

  async loadHeat(plane = this.plane) {
    if (this.heat.has(plane)) return;
    this.heat.set(plane, null);
    try {
      const found = await get(ofStudy(this.study.key, `/attention/${this.name}/${plane}`));
      found.bytes = Uint8Array.from(atob(found.values), (c) => c.charCodeAt(0));
      this.heat.set(plane, found);
    } catch (error) { this.heat.set(plane, { none: error.message }); }
    this.draw();
  }

  linesOf(structure, plane = this.plane, phase = this.phase) {
    const key = `${plane}:${phase}:${structure}`;
    if (!this.lines.has(key)) {
      const labels = this.labels.get(plane);
      if (!labels) return [];
      const size = this.rows * this.cols;
      this.lines.set(key, outlines(regionOf(labels.subarray(phase * size, (phase + 1) * size), structure), this.rows, this.cols));
    }
    return this.lines.get(key);
  }

  // --- state

  get phase() { return clamp(Math.floor(this.player.at * this.phases + 1e-6), 0, this.phases - 1); }

  setPlane(plane) {
    this.plane = clamp(plane, 0, this.planes - 1);
    if (this.slider) this.slider.value = this.plane + 1;
    this.load();
    if (this.player.contours) this.loadLabels();
    this.draw();
    this.player.told();
  }

  reset() {
    // Window as at first; the heart large, or where it is already, the whole field.
    if (this.first) this.window = [...this.first];
    const there = this.home && this.zoom === this.home.zoom && this.pan[0] === this.home.pan[0];
    const { zoom, pan } = this.home && !there ? this.home : { zoom: 1, pan: [0, 0] };
    [this.zoom, this.pan] = [zoom, [...pan]];
    this.draw();
  }

  findHome(labels) {
    // Zoom and shift (mm) that show what was drawn on a plane large.
    let [left, right, top, bottom] = [this.cols, 0, this.rows, 0];
    const size = this.rows * this.cols;
    for (let i = 0; i < labels.length; i++) {
      if (!labels[i]) continue;
      const [row, col] = [Math.floor((i % size) / this.cols), i % this.cols];
      left = Math.min(left, col); right = Math.max(right, col); top = Math.min(top, row); bottom = Math.max(bottom, row);
    }
    if (right <= left || bottom <= top) return;
    const [sy, sx] = this.cine.spacing_mm || [1, 1];
    const [wide, tall] = [this.node.clientWidth, this.node.clientHeight];
    const fit = Math.min(wide / (this.cols * sx), tall / (this.rows * sy));
    const wanted = Math.min((0.72 * wide) / ((right - left + 1) * sx), (0.72 * tall) / ((bottom - top + 1) * sy));
    const zoom = clamp(wanted / fit, 1, 3);
    this.home = { zoom, pan: [((this.cols - 1) / 2 - (left + right) / 2) * sx, ((this.rows - 1) / 2 - (top + bottom) / 2) * sy] };
    if (!this.touched) this.reset(); // else somebody looks at something already
  }

  widen(width, level) {
    // The window wider by a share, and its level moved by a share of its width.
    if (!this.window) return;
    this.touched = true;
    const [low, high] = this.window;
    const [middle, half] = [(low + high) / 2 + level * (high - low), ((high - low) * (1 + width)) / 2];
    this.window = [middle - half, middle + half];
    this.draw();
  }

  zoomBy(factor) { this.touched = true; this.zoom = clamp(this.zoom * factor, 0.5, 8); this.draw(); }

  // --- pointer

  toImage(event) {
    // The pointer in pixels of the image, [column, row].
    const box = this.canvas.getBoundingClientRect();
    const { ox, oy, px, py } = this.frame();
    return [(event.clientX - box.left - ox) / px - 0.5, (event.clientY - box.top - oy) / py - 0.5];
  }

  down(event) {
    if (event.button > 1) return;
    this.canvas.focus({ preventScroll: true });
    this.player.activate(this);
    this.canvas.setPointerCapture(event.pointerId);
    const edit = this.player.edit;
    if (edit?.on && event.button === 0 && !event.shiftKey && edit.begin(this, this.toImage(event))) { this.held = "edit"; return; }
    this.held = event.shiftKey || event.button === 1 ? "pan" : "window";
    this.from = [event.clientX, event.clientY, ...(this.held === "pan" ? this.pan : this.window || [0, 1])];
  }

  move(event) {
    const edit = this.player.edit;
    if (edit?.on && edit.paints) { this.brush = this.toImage(event); if (!this.held) this.draw(); }
    if (!this.held) return;
    if (this.held === "edit") { edit.go(this, this.toImage(event)); return; }
    this.touched = true;
    const [x, y, a, b] = this.from;
    const [dx, dy] = [event.clientX - x, event.clientY - y];
    if (this.held === "pan") this.pan = [a + dx / this.frame().fit, b + dy / this.frame().fit];
    else if (this.scale) {
      const unit = (this.scale.high - this.scale.low) / 400;
      const [middle, width] = [(a + b) / 2 + dy * unit, Math.max((b - a) * Math.exp(dx / 200), 4 * unit)];
      this.window = [middle - width / 2, middle + width / 2];
    }
    this.draw();
  }

  up() {
    if (this.held === "edit") this.player.edit.end(this);
    this.held = null;
  }

  wheel(event) {
    event.preventDefault();
    this.player.activate(this);
    if (event.ctrlKey || this.planes === 1) this.zoomBy(Math.exp(-event.deltaY / 400));
    else this.setPlane(this.plane + Math.sign(event.deltaY));
  }

  // --- drawing

  resize() {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: wide, clientHeight: tall } = this.node;
    if (!wide || !tall) return;
    [this.canvas.width, this.canvas.height, this.ratio] = [Math.round(wide * ratio), Math.round(tall * ratio), ratio];
    this.draw();
  }

  frame() {
    // Where the image lies on the canvas, in CSS pixels: corner, and size of a pixel of the image.
    const [sy, sx] = this.cine.spacing_mm || [1, 1];
    const [wide, tall] = [this.node.clientWidth, this.node.clientHeight];
    const fit = Math.min(wide / (this.cols * sx), tall / (this.rows * sy)) * this.zoom;
    const [px, py] = [fit * sx, fit * sy];
    return { px, py, fit, ox: (wide - px * this.cols) / 2 + this.pan[0] * fit, oy: (tall - py * this.rows) / 2 + this.pan[1] * fit };
  }

  draw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => { this.due = false; this.paint(); });
  }

  paint() {
    const frames = this.frames.get(this.plane);
    const pen = this.canvas.getContext("2d");
    pen.setTransform(this.ratio || 1, 0, 0, this.ratio || 1, 0, 0);
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!frames) return;
    this.wait.hidden = true;
    this.grey(frames);
    const { ox, oy, px, py, fit } = this.frame();
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.drawImage(this.small, ox, oy, px * this.cols, py * this.rows);
    if (this.player.attention) this.paintHeat(pen, ox, oy, px, py);
    if (this.player.contours && this.structures) this.paintLines(pen, ox, oy, px, py);
    if (this.player.edit?.on && this.brush && this.player.active === this) this.paintBrush(pen, ox, oy, px, py);
    if (this.cine.spacing_mm) this.paintScale(pen, fit);
    this.tell();
  }

  grey(frames) {
    const size = this.rows * this.cols;
    const { low, high } = this.scale;
    const [from, to] = this.window;
    const table = new Uint8ClampedArray(256);
    for (let i = 0; i < 256; i++) table[i] = (255 * (low + ((high - low) * i) / 255 - from)) / Math.max(to - from, 1e-6);
    const out = this.pixels.data;
    const start = this.phase * size;
    for (let i = 0; i < size; i++) {
      const value = table[frames[start + i]];
      const o = 4 * i;
      out[o] = value; out[o + 1] = value; out[o + 2] = value; out[o + 3] = 255;
    }
    this.small.getContext("2d").putImageData(this.pixels, 0, 0);
  }

  paintLines(pen, ox, oy, px, py) {
    pen.lineWidth = 1.6;
    pen.lineJoin = "round";
    const { ghost } = this;
    for (const structure of this.structures) {
      const own = this.player.edit?.on && this.player.active === this && this.player.edit.structure === structure;
      const lines = ghost && ghost.structure === structure ? ghost.lines : this.linesOf(structure);
      const [r, g, b] = this.study.colours[structure];
      pen.strokeStyle = `rgba(${r}, ${g}, ${b}, ${own || !this.player.edit?.on ? 1 : 0.45})`;
      pen.lineWidth = own ? 2.2 : 1.6;
      for (const line of lines) {
        pen.beginPath();
        for (const [x, y] of smoothed(line)) pen.lineTo(ox + (x + 0.5) * px, oy + (y + 0.5) * py);
        pen.closePath();
        pen.stroke();
      }
    }
    const stroke = ghost?.stroke;
    if (stroke) {
      const [r, g, b] = this.study.colours[ghost.structure];
      pen.strokeStyle = ghost.erase ? "rgba(0, 0, 0, 0.55)" : `rgba(${r}, ${g}, ${b}, 0.5)`;
      pen.lineWidth = 2 * ghost.radius * px;
      pen.lineCap = "round";
      pen.beginPath();
      for (const [x, y] of stroke) pen.lineTo(ox + (x + 0.5) * px, oy + (y + 0.5) * py);
      if (stroke.length === 1) pen.lineTo(ox + (stroke[0][0] + 0.5) * px + 0.01, oy + (stroke[0][1] + 0.5) * py);
      pen.stroke();
      pen.lineCap = "butt";
    }
  }

  paintBrush(pen, ox, oy, px, py) {
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.arc(ox + (this.brush[0] + 0.5) * px, oy + (this.brush[1] + 0.5) * py, this.player.edit.radius * px, 0, 2 * Math.PI);
    pen.stroke();
  }

  paintHeat(pen, ox, oy, px, py) {
    if (!this.heat.has(this.plane)) this.loadHeat();
    const found = this.heat.get(this.plane);
    if (!found || found.none) return;
    const [, rows, cols] = found.grid;
    const small = document.createElement("canvas");
    [small.width, small.height] = [cols, rows];
    const data = new ImageData(cols, rows);
    const start = found.times[this.phase] * rows * cols;
    for (let i = 0; i < rows * cols; i++) {
      const share = found.bytes[start + i] / 255;
      data.data.set([...heat(share), 190 * share], 4 * i);
    }
    small.getContext("2d").putImageData(data, 0, 0);
    const [left, top, wide, tall] = found.field;
    pen.strokeStyle = "rgba(255, 255, 255, 0.25)";
    pen.lineWidth = 1;
    pen.strokeRect(ox + left * px * this.cols, oy + top * py * this.rows, wide * px * this.cols, tall * py * this.rows);
    pen.drawImage(small, ox + left * px * this.cols, oy + top * py * this.rows, wide * px * this.cols, tall * py * this.rows);
  }

  paintScale(pen, fit) {
    const wide = 50 * fit;
    const [x, y] = [this.node.clientWidth - 34 - wide, this.node.clientHeight - 12];
    if (x < 120) return;
    pen.strokeStyle = "#9fb0bd";
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, y - 4); pen.lineTo(x, y); pen.lineTo(x + wide, y); pen.lineTo(x + wide, y - 4);
    pen.stroke();
    pen.fillStyle = "#9fb0bd";
    pen.font = "11px system-ui, sans-serif";
    pen.textAlign = "right";
    pen.fillText("50 mm", x + wide, y - 7);
  }

  tell() {
    const at = this.cine.positions_mm;
    const where = this.planes > 1 ? `plane ${this.plane + 1} of ${this.planes}${at ? `, ${at[this.plane].toFixed(0)} mm` : ""}` : "";
    const text = `${this.name}|${where}`;
    if (this.said !== text) {
      this.tl.replaceChildren(h("b", {}, this.name), h("div", {}, where));
      this.said = text;
    }
    const marks = this.player.marks(this);
    this.tr.textContent = `phase ${this.phase + 1} of ${this.phases}${marks ? `  ${marks}` : ""}`;
    const [low, high] = this.window;
    const none = this.player.attention ? this.heat.get(this.plane)?.none : "";
    this.bl.textContent = none ? "no attention: not read by the model" : `W ${Math.round(high - low)}  L ${Math.round((low + high) / 2)}`;
  }
}

function heat(share) {
  const at = clamp(share, 0, 1) * (HEAT.length - 1);
  const [i, f] = [Math.min(Math.floor(at), HEAT.length - 2), at - Math.min(Math.floor(at), HEAT.length - 2)];
  return HEAT[i].map((value, c) => Math.round(value + f * (HEAT[i + 1][c] - value)));
}
