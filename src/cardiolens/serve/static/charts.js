// A histogram, and bars of groups; click gives the range or the group.
import { h, s } from "./dom.js";

const short = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 1 ? value.toFixed(1) : value.toFixed(3));

export function histogram({ counts, edges }, { label = "", height = 150, colour = null } = {}) {
  const [wide, top, bottom] = [520, 14, 34];
  const most = Math.max(...counts, 1);
  const bar = (wide - 8) / counts.length;
  return s("svg", { class: "chart", viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-label": `Distribution of ${label}` },
    counts.map((count, i) => s("rect", { x: 4 + i * bar + 1, width: Math.max(bar - 2, 1), y: top + (height - top - bottom) * (1 - count / most), height: ((height - top - bottom) * count) / most, style: colour ? { fill: colour((edges[i] + edges[i + 1]) / 2) } : {} },
      s("title", {}, `${short(edges[i])} to ${short(edges[i + 1])}: ${count}`))),
    s("line", { class: "axis", x1: 4, x2: wide - 4, y1: height - bottom, y2: height - bottom }),
    [0, 0.5, 1].map((part) => s("text", { x: 4 + (wide - 8) * part, y: height - bottom + 14, "text-anchor": ["start", "middle", "end"][part * 2] }, short(edges[0] + (edges[edges.length - 1] - edges[0]) * part))),
    s("text", { x: wide / 2, y: height - 3, "text-anchor": "middle" }, label), s("text", { x: 4, y: 10 }, `most in a bar: ${most}`));
}

export function bars(groups, colours) {
  const most = Math.max(...groups.map((one) => one.n), 1);
  return h("table", { class: "figures" }, h("tbody", {}, groups.map((one, i) => h("tr", {}, h("th", { scope: "row" }, h("span", { class: "swatch", style: { color: colours[i % colours.length] } }), one.name),
    h("td", { style: { width: "50%" } }, h("div", { class: "meter blue" }, h("i", { style: { width: `${(100 * one.n) / most}%`, background: colours[i % colours.length] } }))), h("td", { class: "num" }, one.n)))));
}
