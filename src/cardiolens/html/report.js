"use strict";
/* Plays the loops: all views in step, each at its own number of phases, over one heart cycle.
   A page of contours has lines over the images, larger canvases and marked phases; a page of a prediction has attention. */
(() => {
  const data = JSON.parse(document.getElementById("loops").textContent);
  const panels = document.getElementById("panels");
  const stack = document.getElementById("stack");
  const play = document.getElementById("play");
  const phaseInput = document.getElementById("phase");
  const phaseNow = document.getElementById("phase-now");
  const speed = document.getElementById("speed");
  const outline = document.getElementById("field");
  const zoom = data.zoom || 1;
  const structures = [...document.querySelectorAll("input[data-structure]")];
  const marks = [...document.querySelectorAll("button[data-phase]")];
  const shownLines = () => structures.filter((input) => input.checked).map((input) => input.dataset.structure);
  const outlined = () => outline !== null && outline.checked;
  const mostPhases = Math.max(...data.cines.map((cine) => cine.planes[0].phases), 1);
  const screens = []; // { canvas, view, plane(), drawn }
  let playing = false, cycle = 0, last = null;

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const beyond = (plane) => data.limit !== null && data.limit !== undefined && plane.score !== null && plane.score !== undefined && plane.score > data.limit;
  const mark = (element, plane) => {
    element.classList.toggle("odd", beyond(plane));
    element.title = beyond(plane) ? "This plane alone is " + (plane.score / data.limit).toFixed(1) + " times the out-of-domain limit" : "";
  };
  const attended = data.cines.some((cine) => cine.planes.some((plane) => plane.attention !== undefined));
  const percent = (value) => (value === null || value === undefined ? "not read" : (100 * value).toFixed(1) + " %");

  for (const cine of data.cines) {
    for (const plane of cine.planes) {
      plane.image = new Image();
      plane.image.onload = () => { plane.ready = true; draw(); };
      plane.image.src = plane.uri;
    }
  }

  function screen(canvas, view, planeOf) {
    const first = planeOf();
    canvas.width = first.width * zoom;
    canvas.height = first.height * zoom;
    canvas.setAttribute("role", "img");
    screens.push({ canvas, view, planeOf, drawn: "" });
  }

  function draw(force) {
    for (const item of screens) {
      const plane = item.planeOf();
      if (!plane.ready) continue;
      const index = phaseAt(plane.phases);
      const key = index + ":" + item.planeOf.current + ":" + outlined() + ":" + shownLines().join();
      if (!force && key === item.drawn) continue;
      item.drawn = key;
      const context = item.canvas.getContext("2d");
      const left = (index % plane.columns) * plane.width, top = Math.floor(index / plane.columns) * plane.height;
      context.drawImage(plane.image, left, top, plane.width, plane.height, 0, 0, plane.width * zoom, plane.height * zoom);
      drawLines(context, plane, index);
      if (outlined()) {
        const [x, y, w, h] = data.field[item.view];
        context.strokeStyle = "#ffd34d";
        context.setLineDash([4, 3]);
        context.strokeRect(x * plane.width + 0.5, y * plane.height + 0.5, w * plane.width - 1, h * plane.height - 1);
      }
    }
    phaseInput.value = String(Math.round(cycle * 999));
    const shown = Math.round(cycle * data.cycle_ms) + " ms" + (data.phases ? " · phase " + data.phases[phaseAt(data.phases.length)] : "");
    if (phaseNow.textContent !== shown) phaseNow.textContent = shown;
  }

  /* Lines of a phase: for each structure closed polylines, x and y in tenths of a pixel of the sheet, one after the other. */
  function drawLines(context, plane, index) {
    if (!plane.lines) return;
    context.lineWidth = Math.max(1.2, 0.55 * zoom);
    context.lineJoin = "round";
    for (const name of shownLines()) {
      context.strokeStyle = data.colours[name];
      for (const line of (plane.lines[name] || [])[index] || []) {
        context.beginPath();
        for (let i = 0; i < line.length; i += 2) context.lineTo(line[i] / 10 * zoom, line[i + 1] / 10 * zoom);
        context.closePath();
        context.stroke();
      }
    }
  }

  function phaseAt(count) { return Math.min(count - 1, Math.floor(cycle * count + 1e-9)); }

  function panel(cine) {
    const figure = make("figure", "panel");
    const caption = make("figcaption");
    const count = cine.planes.length;
    const share = cine.planes.reduce((sum, plane) => sum + (plane.attention || 0), 0);
    const read = cine.planes.some((plane) => plane.attention !== null);
    const name = make("strong", "", cine.view);
    caption.append(name, make("span", "", attended ? "attention " + percent(read ? share : null) : cine.words));
    const canvas = make("canvas");
    canvas.setAttribute("aria-label", cine.view + " cine loop");
    figure.append(caption, canvas);
    let current = Math.floor(count / 2);
    const planeOf = () => cine.planes[current];
    planeOf.current = current;
    screen(canvas, cine.view, planeOf);
    mark(name, cine.planes[current]);
    if (count > 1) {
      const label = make("label");
      const input = make("input");
      const text = make("span");
      Object.assign(input, { type: "range", min: "1", max: String(count), value: String(current + 1) });
      input.setAttribute("aria-label", cine.view + " plane");
      label.append(text, input);
      figure.append(label);
      const grid = thumbs(cine, (chosen) => { select(chosen); });
      const select = (chosen) => {
        current = Math.min(count - 1, Math.max(0, chosen));
        planeOf.current = current;
        input.value = String(current + 1);
        text.textContent = "Plane " + (current + 1) + " of " + count;
        mark(name, cine.planes[current]);
        grid.forEach((button, i) => button.setAttribute("aria-pressed", String(i === current)));
        draw(true);
      };
      input.addEventListener("input", () => select(Number(input.value) - 1));
      document.addEventListener("keydown", (event) => {
        if (busy(event)) return;
        if (event.key === "ArrowUp" || event.key === "ArrowDown") {
          event.preventDefault();
          select(current + (event.key === "ArrowUp" ? -1 : 1));
        }
      });
      select(current);
    }
    return figure;
  }

  function thumbs(cine, choose) {
    const grid = make("div", "planes");
    grid.setAttribute("role", "group");
    grid.setAttribute("aria-label", "All " + cine.view + " planes");
    const greatest = Math.max(...cine.planes.map((plane) => plane.attention || 0), 1e-9);
    const buttons = cine.planes.map((plane, i) => {
      const button = make("button", "plane");
      button.type = "button";
      button.setAttribute("aria-label", cine.view + " plane " + (i + 1) + (attended ? ", attention " + percent(plane.attention) : "") +
        (beyond(plane) ? ", beyond the out-of-domain limit" : ""));
      const canvas = make("canvas");
      const text = make("span");
      text.append(make("b", "", String(i + 1)), make("i", "", attended ? percent(plane.attention) : plane.place));
      button.append(canvas, text);
      if (attended) button.append(weight((plane.attention || 0) / greatest));
      const planeOf = () => plane;
      screen(canvas, cine.view, planeOf);
      mark(button, plane);
      button.addEventListener("click", () => choose(i));
      grid.append(button);
      return button;
    });
    stack.append(grid);
    return buttons;
  }

  function weight(fraction) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("class", "weight");
    svg.setAttribute("aria-hidden", "true");
    const bar = document.createElementNS(space, "rect");
    bar.setAttribute("width", (100 * fraction).toFixed(1) + "%");
    bar.setAttribute("height", "100%");
    svg.append(bar);
    return svg;
  }

  /* A control that has the focus keeps the keys that it uses itself. */
  const busy = (event) =>
    event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) ||
    (event.key === " " && /^(BUTTON|SUMMARY)$/.test(event.target.tagName));

  function setPlaying(on) {
    playing = on;
    last = null;
    play.textContent = on ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(on));
    if (on) requestAnimationFrame(step);
  }

  function step(now) {
    if (!playing) return;
    if (last !== null) cycle = (cycle + (now - last) * Number(speed.value) / data.cycle_ms) % 1;
    last = now;
    draw();
    requestAnimationFrame(step);
  }

  play.addEventListener("click", () => setPlaying(!playing));
  if (outline !== null) outline.addEventListener("change", () => draw(true));
  for (const input of structures) input.addEventListener("change", () => draw(true));
  for (const button of marks) {
    button.addEventListener("click", () => {
      setPlaying(false);
      cycle = Number(button.dataset.phase) / mostPhases + 1e-6;
      draw(true);
    });
  }
  phaseInput.addEventListener("input", () => {
    setPlaying(false);
    cycle = Math.min(0.9999, Number(phaseInput.value) / 999);
    draw();
  });
  document.addEventListener("keydown", (event) => {
    if (busy(event)) return;
    if (event.key === " ") {
      event.preventDefault();
      setPlaying(!playing);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      setPlaying(false);
      const at = Math.floor(cycle * mostPhases + 1e-9) + (event.key === "ArrowRight" ? 1 : -1);
      cycle = ((at + mostPhases) % mostPhases) / mostPhases + 1e-6;
      draw();
    }
  });
  window.addEventListener("beforeprint", () => draw(true));

  for (const cine of data.cines) panels.append(panel(cine));
  panels.classList.toggle("few", data.cines.length < 3);
  draw(true);
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) setPlaying(true);
})();
