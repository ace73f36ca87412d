// Changing contours: pull at a line, paint, erase, grow, shrink, copy, clear; the server measures anew.
import { ofStudy, send } from "./api.js";
import { fill, h, toast } from "./dom.js";
import { nearest, pulled } from "./outline.js";

const TOOLS = [["pull", "Pull", "Drag a line; what lies near follows"], ["brush", "Brush", "Paint to the structure"], ["erase", "Erase", "Take away from the structure"]];
const WHO = "cardiolens-reader";

export class Edit {
  constructor(player, done) {
    Object.assign(this, { player, done, on: false, tool: "pull", structure: "", size: 6, busy: false });
    this.node = h("div", { class: "tools", role: "toolbar", "aria-label": "Edit contours", hidden: true });
  }

  get paints() { return this.tool !== "pull"; }
  get reader() { return localStorage.getItem(WHO) || ""; }
  get radius() { return this.size / (this.player.active?.cine.spacing_mm?.[1] || 1.5); }

  toggle(on = !this.on) {
    const view = this.player.active;
    if (on && !view?.structures) { toast(`Nothing is drawn on ${view ? view.name : "this view"}; draw the contours first.`, "error"); return; }
    this.on = on;
    if (on) { this.player.stop(); this.player.setContours(true); }
    this.show();
    this.player.redraw();
  }

  show() {
    this.node.hidden = !this.on;
    const view = this.player.active;
    if (!this.on || !view?.structures) { this.node.hidden = true; this.on = this.on && !!view?.structures; return; }
    if (!view.structures.includes(this.structure)) this.structure = view.structures[0];
    const colour = (name) => ({ color: `rgb(${this.player.study.colours[name].join(",")})` });
    const act = (words, title, edit) => h("button", { title, onclick: () => this.apply(edit()) }, words);
    fill(this.node,
      view.structures.map((name) => h("button", { "aria-pressed": String(name === this.structure), onclick: () => { this.structure = name; this.show(); this.player.redraw(); } },
        h("span", { class: "swatch", style: colour(name) }), name === "LV myocardium" ? "LV epicardium" : name === "LV cavity" ? "LV endocardium" : name)),
      h("span", { class: "gap" }),
      TOOLS.map(([name, words, title]) => h("button", { title, "aria-pressed": String(name === this.tool), onclick: () => { this.tool = name; this.show(); } }, words)),
      h("label", { class: "row small quiet", title: "How far a pull reaches, or the radius of the brush" }, `${this.size} mm`,
        h("input", { type: "range", min: 1, max: 20, value: this.size, "aria-label": "Size in mm", onchange: () => this.show(), oninput: (e) => { this.size = Number(e.target.value); } })),
      h("span", { class: "gap" }),
      act("Grow", "One pixel outwards (+)", () => ({ how: "move", pixels: 1 })), act("Shrink", "One pixel inwards (−)", () => ({ how: "move", pixels: -1 })),
      act("← copy", "All contours of the phase before", () => ({ how: "copy", source: (view.phase + view.phases - 1) % view.phases })),
      act("copy →", "All contours of the phase after", () => ({ how: "copy", source: (view.phase + 1) % view.phases })),
      act("Clear", "Take this structure away here", () => ({ how: "clear" })), act("As the model", "Back to what the model drew on this plane and phase", () => ({ how: "model" })),
      h("span", { class: "gap" }), h("button", { onclick: () => this.undo(), title: "Z" }, "Undo"),
      h("input", { value: this.reader, placeholder: "Your initials", maxlength: 64, size: 9, "aria-label": "Your initials, recorded with each change", onchange: (e) => localStorage.setItem(WHO, e.target.value.trim()) }),
      h("button", { class: "main", onclick: () => this.toggle(false) }, "Done"));
  }

  // --- pointer; points in pixels of the image

  begin(view, point) {
    if (this.busy || !view.structures) return false;
    if (!view.structures.includes(this.structure)) this.show();
    if (this.paints) {
      view.ghost = { structure: this.structure, lines: view.linesOf(this.structure), stroke: [point], radius: this.radius, erase: this.tool === "erase" };
      return true;
    }
    let best = null;
    for (const structure of view.structures) {
      const lines = view.linesOf(structure);
      const found = nearest(lines, point);
      if (found && (!best || found.away - (structure === this.structure ? 1 : 0) < best.away)) best = { ...found, structure, lines };
    }
    if (!best || best.away * view.frame().px > 14) return false;
    if (best.structure !== this.structure) { this.structure = best.structure; this.show(); }
    this.grip = { ...best, from: point };
    view.ghost = { structure: best.structure, lines: best.lines };
    return true;
  }

  go(view, point) {
    if (!view.ghost) return;
    if (view.ghost.stroke) { view.ghost.stroke.push(point); view.brush = point; } else {
      const { line, vertex, from, lines } = this.grip;
      const shift = [point[0] - from[0], point[1] - from[1]];
      view.ghost.lines = lines.map((one, i) => (i === line ? pulled(one, vertex, shift, Math.max(this.radius, 1)) : one));
    }
    view.draw();
  }

  end(view) {
    const { ghost } = view;
    if (!ghost) return;
    if (ghost.stroke) this.apply({ how: ghost.erase ? "erase" : "brush", points: ghost.stroke, radius: ghost.radius });
    else if (ghost.lines !== this.grip.lines) this.apply({ how: "line", lines: ghost.lines });
    else view.ghost = null;
  }

  // --- to the server

  // Who changes what: the study as it was loaded, which may have been replaced since.
  who() { return { reader: this.reader, content: this.player.study.content }; }

  async apply(edit) {
    const view = this.player.active;
    if (this.busy || !view) return;
    this.busy = true;
    this.node.classList.add("busy");
    try {
      const reading = await send(ofStudy(this.player.study.key, "/changes/contour"),
        { view: view.name, plane: view.plane, phase: view.phase, structure: this.structure, ...this.who(), ...edit });
      view.forget(view.plane);
      this.done(reading);
    } catch (error) { toast(error.message, "error"); }
    this.busy = false;
    this.node.classList.remove("busy");
    setTimeout(() => { view.ghost = null; view.draw(); }, 120);
  }

  async phase(which, phase) {
    try {
      this.done(await send(ofStudy(this.player.study.key, "/changes/phase"), { which, phase, ...this.who() }));
    } catch (error) { toast(error.message, "error"); this.done(null); }
  }

  async undo() {
    try {
      const reading = await send(ofStudy(this.player.study.key, "/changes/undo"), this.who());
      for (const view of this.player.views) view.forget();
      this.done(reading);
      toast("Taken back.");
    } catch (error) { toast(error.message, "error"); }
  }
}
