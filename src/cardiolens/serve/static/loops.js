// Small loops: one picture with the phases side by side, drawn frame by frame; only those in sight play.
import { ofStudy, raw } from "./api.js";
import { h } from "./dom.js";

const playing = new Set();
const still = matchMedia("(prefers-reduced-motion: reduce)");
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const loop = target.loop;
    if (isIntersecting) { loop.load(); playing.add(loop); } else playing.delete(loop);
  }
});

class Loop {
  constructor(canvas, key, view, plane, side) {
    Object.assign(this, { canvas, key, view, plane, side, asked: false, frames: 1, picture: null });
  }

  async load() {
    if (this.asked) return;
    this.asked = true;
    try {
      const answer = await raw(ofStudy(this.key, `/loop/${encodeURIComponent(this.view)}/${this.plane}?side=${this.side}`));
      this.frames = Number(answer.headers.get("X-Frames")) || 1;
      this.picture = await createImageBitmap(await answer.blob());
      this.canvas.width = this.picture.width / this.frames;
      this.canvas.height = this.picture.height;
      this.draw(0);
    } catch { this.canvas.title = "This loop cannot be shown."; }
  }

  draw(frame) {
    if (!this.picture) return;
    const { width, height } = this.canvas;
    this.canvas.getContext("2d").drawImage(this.picture, (frame % this.frames) * width, 0, width, height, 0, 0, width, height);
  }
}

setInterval(() => {
  if (document.visibilityState !== "visible" || still.matches) return;
  const now = performance.now();
  for (const loop of playing) loop.draw(Math.floor((now / 1000) * loop.frames));
}, 60);

export function loop(key, view, plane = -1, side = 128, words = "") {
  const canvas = h("canvas", { class: "loop", width: side, height: side, role: "img", "aria-label": words || `${view} loop` });
  canvas.loop = new Loop(canvas, key, view, plane, side);
  seen.observe(canvas);
  return canvas;
}
