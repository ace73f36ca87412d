// Lines around masks, and pulling at them.  Points are [column, row]; pixel centres lie at whole numbers.

export const STRUCTURES = { "LV cavity": 1, "LV myocardium": 2, "RV cavity": 3, LA: 4, RA: 5 };

export function regionOf(labels, structure) {
  // The line of the myocardium is the epicardium, so its region holds the cavity too.
  const value = STRUCTURES[structure];
  const inside = new Uint8Array(labels.length);
  let any = false;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] === value) { inside[i] = 1; any = true; } else if (value === 2 && labels[i] === 1) inside[i] = 1;
  }
  return any ? inside : null;
}

// Sides of a cell of four pixels, and which are joined for each of the 16 cases; inside stays on the left.
const TOP = 0, RIGHT = 1, BOTTOM = 2, LEFT = 3;
const CASES = [[], [[LEFT, BOTTOM]], [[BOTTOM, RIGHT]], [[LEFT, RIGHT]], [[RIGHT, TOP]], [[LEFT, BOTTOM], [RIGHT, TOP]], [[BOTTOM, TOP]], [[LEFT, TOP]],
  [[TOP, LEFT]], [[TOP, BOTTOM]], [[TOP, LEFT], [BOTTOM, RIGHT]], [[TOP, RIGHT]], [[RIGHT, LEFT]], [[RIGHT, BOTTOM]], [[BOTTOM, LEFT]], []];

export function outlines(inside, rows, cols) {
  if (!inside) return [];
  const at = (r, c) => (r >= 0 && c >= 0 && r < rows && c < cols ? inside[r * cols + c] : 0);
  const wide = 2 * cols + 4;
  const next = new Map();
  for (let r = 0; r <= rows; r++) {
    for (let c = 0; c <= cols; c++) {
      const sides = CASES[at(r - 1, c - 1) * 8 + at(r - 1, c) * 4 + at(r, c) * 2 + at(r, c - 1)];
      for (const [from, to] of sides) next.set(place(from, r, c, wide), place(to, r, c, wide));
    }
  }
  const lines = [];
  while (next.size) {
    const start = next.keys().next().value;
    const line = [];
    let now = start;
    do {
      line.push([((now % wide) - 2) / 2, (Math.floor(now / wide) - 2) / 2]);
      const to = next.get(now);
      next.delete(now);
      now = to;
    } while (now !== undefined && now !== start);
    if (line.length > 2) lines.push(line);
  }
  return lines;
}

function place(side, r, c, wide) {
  // The middle of a side, in half pixels, as one number.
  const x = side === LEFT ? 2 * c - 2 : side === RIGHT ? 2 * c : 2 * c - 1;
  const y = side === TOP ? 2 * r - 2 : side === BOTTOM ? 2 * r : 2 * r - 1;
  return (y + 2) * wide + x + 2;
}

export function smoothed(line) {
  const n = line.length;
  return line.map(([x, y], i) => {
    const [a, b] = [line[(i + n - 1) % n], line[(i + 1) % n]];
    return [(a[0] + 2 * x + b[0]) / 4, (a[1] + 2 * y + b[1]) / 4];
  });
}

export function nearest(lines, point) {
  // {line, vertex, away} of the nearest vertex, or null.
  let best = null;
  lines.forEach((line, l) => line.forEach(([x, y], v) => {
    const away = Math.hypot(x - point[0], y - point[1]);
    if (!best || away < best.away) best = { line: l, vertex: v, away };
  }));
  return best;
}

export function pulled(line, vertex, shift, reach) {
  // A closed line with one vertex moved; its neighbours along the line follow, less the farther they are.
  const n = line.length;
  const along = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) {
    const [a, b] = [line[i], line[(i + 1) % n]];
    along[i + 1] = along[i] + Math.hypot(b[0] - a[0], b[1] - a[1]);
  }
  return line.map(([x, y], i) => {
    const straight = Math.abs(along[i] - along[vertex]);
    const way = Math.min(straight, along[n] - straight);
    const weight = Math.exp(-(way * way) / (2 * reach * reach));
    return [x + weight * shift[0], y + weight * shift[1]];
  });
}
