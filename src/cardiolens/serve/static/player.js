// All views of a study on one clock: a place in the beat between 0 and 1.
import { fill, h } from "./dom.js";
import { View } from "./view.js";

export class Player {
  constructor(study) {
    Object.assign(this, { study, at: 0, playing: false, speed: 1, contours: true, attention: false, reading: null, full: false, onTime: () => {}, onState: () => {} });
    this.views = study.cines.map((cine) => new View(study, cine, this));
    this.leading = this.views.find((view) => view.name === "SAX") || this.views.reduce((a, b) => (!a || b.phases > a.phases ? b : a), null);
    this.active = this.leading;
    const count = this.views.length;
    this.node = h("div", { class: `panels ${count === 1 ? "one" : count === 3 ? "three" : ""}` }, this.views.map((view) => view.node));
    if (!count) fill(this.node, h("div", { class: "empty" }, "This study holds no cine of a standard view."));
    const cycles = study.cines.map((cine) => cine.cycle_ms).filter(Boolean);
    this.cycle = cycles.length ? cycles.reduce((a, b) => a + b) / cycles.length : 1000;
  }

  get phases() { return this.leading?.phases || 1; }
  get phase() { return Math.min(Math.floor(this.at * this.phases + 1e-6), this.phases - 1); }

  async begin() {
    if (this.active) this.activate(this.active);
    await Promise.all(this.views.map((view) => view.load()));
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.play();
    for (const view of this.views) if (view.planes > 1) await view.loadAll();
  }

  // --- time

  play() {
    if (this.playing || this.phases < 2) return;
    this.playing = true;
    let last = performance.now();
    const step = (now) => {
      if (!this.playing) return;
      const before = this.at;
      this.at = (this.at + ((now - last) / this.cycle) * this.speed) % 1;
      last = now;
      if (Math.floor(before * 120) !== Math.floor(this.at * 120)) this.redraw();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
    this.onState();
  }

  stop() { this.playing = false; this.onState(); }
  toggle() { if (this.playing) { this.stop(); this.go(this.phase); } else this.play(); }
  go(phase) { const n = this.phases; this.at = ((((phase % n) + n) % n) + 0.001) / n; this.redraw(); }
  step(by) { this.stop(); this.go(this.phase + by); }
  setSpeed(speed) { this.speed = speed; this.onState(); }

  redraw() {
    for (const view of this.views) view.draw();
    this.onTime();
  }

  // --- views

  activate(view) {
    if (this.active === view && view.node.classList.contains("active")) return;
    this.active = view;
    for (const one of this.views) one.node.classList.toggle("active", one === view);
    this.told();
  }

  toggleFull(view = this.active) {
    if (view) this.activate(view);
    this.full = !this.full;
    this.node.classList.toggle("full", this.full);
    this.onState();
  }

  told() { this.edit?.show(); this.onState(); }

  setContours(on) {
    this.contours = on;
    if (on) for (const view of this.views) view.loadLabels();
    this.redraw();
    this.onState();
  }

  setAttention(on) { this.attention = on; this.redraw(); this.onState(); }

  setReading(reading) {
    this.reading = reading;
    const drawn = reading.contours?.views || {};
    for (const view of this.views) {
      view.structures = drawn[view.name] || null;
      if (view.structures && this.contours) view.loadLabels();
    }
    this.told();
    this.redraw();
  }

  marks(view) {
    const found = this.reading?.contours;
    if (!found || view.name !== "SAX") return "";
    return ["ed", "es"].filter((which) => found[which] === view.phase).map((which) => which.toUpperCase()).join(" ");
  }
}
