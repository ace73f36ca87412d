// The strip under the images: volumes over the beat where there are contours, the time, ED and ES to be moved.
import { clamp, fill, h, s } from "./dom.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [58, 16, 26, 22];
const SHOWN = ["LV cavity", "RV cavity"];

export class Curve {
  constructor(player, moved) {
    Object.assign(this, { player, moved, reading: null });
    this.svg = s("svg", { role: "group", "aria-label": "Time in the beat, volumes, end-diastole and end-systole" });
    this.node = h("div", { class: "strip" }, this.svg);
    new ResizeObserver(() => this.draw()).observe(this.node);
    this.svg.addEventListener("pointerdown", (e) => this.scrub(e));
    this.svg.addEventListener("pointermove", (e) => { if (e.buttons & 1 && this.scrubbing) this.scrub(e); });
    this.svg.addEventListener("pointerup", () => { this.scrubbing = false; });
  }

  show(reading) { this.reading = reading; this.draw(); }

  get phases() { return this.player.phases; }
  x(phase) { return LEFT + ((this.wide - LEFT - RIGHT) * phase) / Math.max(this.phases - 1, 1); }
  phaseAt(event) {
    const box = this.svg.getBoundingClientRect();
    return clamp(Math.round(((event.clientX - box.left - LEFT) / Math.max(this.wide - LEFT - RIGHT, 1)) * (this.phases - 1)), 0, this.phases - 1);
  }

  scrub(event) {
    if (event.target.closest(".mark")) return;
    this.scrubbing = true;
    this.svg.setPointerCapture(event.pointerId);
    this.player.stop();
    this.player.go(this.phaseAt(event));
  }

  draw() {
    this.wide = this.node.clientWidth - 24;
    const tall = this.svg.clientHeight || 148;
    if (this.wide < 50) return;
    this.svg.setAttribute("viewBox", `0 0 ${this.wide} ${tall}`);
    const found = this.reading?.contours;
    const sax = this.player.leading?.name === "SAX";
    const curves = Object.entries(found && sax ? found.curves : {}).filter(([name]) => SHOWN.includes(name));
    const all = curves.flatMap(([, curve]) => curve.values).filter((value) => value !== null);
    const most = Math.max(...all, 1) * 1.06;
    const y = (value) => TOP + (tall - TOP - BOTTOM) * (1 - value / most);
    const parts = [s("line", { class: "axis", x1: LEFT, x2: this.wide - RIGHT, y1: tall - BOTTOM, y2: tall - BOTTOM })];
    const times = found?.times_ms;
    for (let phase = 0; phase < this.phases; phase++) {
      parts.push(s("line", { class: "axis", x1: this.x(phase), x2: this.x(phase), y1: tall - BOTTOM, y2: tall - BOTTOM + 3 }));
      const every = Math.ceil(this.phases / 10);
      if (phase % every === 0) parts.push(s("text", { x: this.x(phase), y: tall - 6, "text-anchor": "middle" }, times ? `${Math.round(times[phase])}${phase ? "" : " ms"}` : phase + 1));
    }
    for (const part of all.length ? [0, 0.5, 1] : []) {
      const value = Math.round((most * part) / 10) * 10;
      parts.push(s("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, part === 1 && curves[0] ? `${value} ${curves[0][1].unit === "ml" ? "ml" : ""}` : value));
      parts.push(s("line", { class: "axis", x1: LEFT, x2: this.wide - RIGHT, y1: y(value), y2: y(value), opacity: 0.5 }));
    }
    curves.forEach(([name, curve], i) => {
      const colour = `rgb(${this.player.study.colours[name].join(",")})`;
      const points = curve.values.map((value, phase) => (value === null ? null : `${this.x(phase)},${y(value)}`)).filter(Boolean);
      parts.push(s("polyline", { points: points.join(" "), fill: "none", stroke: colour, "stroke-width": 2 }));
      parts.push(s("text", { x: this.wide - RIGHT - 4, y: 13 + 14 * i, "text-anchor": "end", style: { fill: colour } }, name.replace(" cavity", "")));
    });
    if (!all.length) parts.push(s("text", { x: this.wide / 2, y: tall / 2, "text-anchor": "middle" }, found || !this.reading ? "" : "The volume curve stands here once the contours are drawn"));
    this.now = s("line", { class: "now", y1: TOP - 8, y2: tall - BOTTOM });
    parts.push(this.now);
    if (found && sax) for (const which of ["ed", "es"]) if (found[which] !== null) parts.push(this.mark(which, found, tall));
    fill(this.svg, parts);
    this.time();
  }

  mark(which, found, tall) {
    const phase = found[which];
    const moved = found.found[which] !== phase;
    const [line, box, text] = [s("line", { y1: TOP - 4, y2: tall - BOTTOM }), s("rect", { y: 2, width: 30, height: 16, rx: 4 }), s("text", { y: 14 }, which.toUpperCase())];
    const put = (at) => {
      const x = this.x(at);
      line.setAttribute("x1", x); line.setAttribute("x2", x); box.setAttribute("x", x - 15); text.setAttribute("x", x);
      node.setAttribute("aria-valuenow", at + 1);
      node.setAttribute("aria-valuetext", `phase ${at + 1}`);
    };
    const hit = s("rect", { x: this.x(phase) - 14, y: 0, width: 28, height: tall - BOTTOM, fill: "transparent", style: { fill: "transparent" } });
    const node = s("g", { class: moved ? "mark moved" : "mark", tabindex: 0, role: "slider", "aria-label": which === "ed" ? "End-diastole" : "End-systole", "aria-valuemin": 1, "aria-valuemax": this.phases },
      s("title", {}, `${which.toUpperCase()}: phase ${phase + 1}${moved ? `, moved from ${found.found[which] + 1}` : ""}. Drag, or arrow keys and Enter.`), line, hit, box, text);
    let at = phase;
    put(at);
    node.addEventListener("pointerdown", (e) => { e.stopPropagation(); node.setPointerCapture(e.pointerId); this.player.stop(); });
    node.addEventListener("pointermove", (e) => { if (e.buttons & 1) { at = this.phaseAt(e); put(at); this.player.go(at); } });
    node.addEventListener("pointerup", () => { if (at !== phase) this.moved(which, at); });
    node.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (step) { at = clamp(at + step, 0, this.phases - 1); put(at); this.player.stop(); this.player.go(at); }
      else if (e.key === "Enter" && at !== phase) this.moved(which, at);
      else if (e.key === "Escape") { at = phase; put(at); }
      else return;
      e.preventDefault();
      e.stopPropagation();
    });
    return node;
  }

  time() {
    if (!this.now) return;
    const phase = Math.floor(this.player.at * this.phases + 1e-6);
    const x = this.x(clamp(phase, 0, this.phases - 1));
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
  }
}
