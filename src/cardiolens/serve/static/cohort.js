// The cohort: a map of the embeddings in any colour, the distribution of a column, tables by subgroup.
import { get, pageOf, send, watch } from "./api.js";
import { bars, histogram } from "./charts.js";
import { fill, h, number, toast } from "./dom.js";
import { embedThen } from "./findings.js";
import { problem, shell } from "./shell.js";

// Okabe and Ito's colours, readable with any colour vision, lightened for a dark ground.
const GROUPS = ["#56b4e9", "#e69f00", "#2fbf8f", "#f0e442", "#d55e00", "#cc79a7", "#8fa7ff", "#b0b8bf", "#7fd1d1", "#c8a06a", "#9acd68", "#e58fb1", "#6c7883"];
const SCALE = [[68, 60, 140], [59, 110, 160], [40, 160, 150], [120, 205, 95], [250, 230, 70]];
const main = shell(h("main", {}));
const state = new URLSearchParams(location.search);
const [mapCard, spread, table] = [h("section", { class: "card" }), h("section", { class: "card", "aria-label": "Distribution" }), h("section", { class: "card wide", "aria-label": "Subgroups" })];
let columns = [], places = null, colour = null, drawn = [];

function along(share) {
  const at = Math.min(Math.max(share, 0), 1) * (SCALE.length - 1);
  const i = Math.min(Math.floor(at), SCALE.length - 2);
  return `rgb(${SCALE[i].map((value, c) => Math.round(value + (at - i) * (SCALE[i + 1][c] - value))).join(",")})`;
}

const choice = (name, words, act) => h("label", { class: "row small quiet" }, words, h("select", { onchange: (e) => { state.set(name, e.target.value); history.replaceState(null, "", `?${state}`); act(); } },
  columns.map((one) => h("option", { value: one.name, selected: one.name === state.get(name) }, `${one.words}${one.of === "results" ? " (predicted)" : ""}`))));

function colourOf(found, i) {
  const value = found.values[i];
  if (value === null) return "#39444d";
  if (found.kind === "number") {
    const { edges } = found.histogram;
    return along((value - edges[0]) / Math.max(edges[edges.length - 1] - edges[0], 1e-9));
  }
  return GROUPS[found.groups.findIndex((one) => one.name === value) % GROUPS.length];
}

async function showMap() {
  if (!places?.there) return;
  try {
    colour = await send("/api/cohort/column", { name: state.get("colour"), keys: places.keys });
  } catch (error) { toast(error.message, "error"); return; }
  const canvas = h("canvas", { role: "img", "aria-label": `Map of ${places.studies} studies, coloured by ${state.get("colour")}` });
  const tip = h("div", { class: "tip", hidden: true });
  const method = h("select", { "aria-label": "Method", onchange: (e) => layOut(e.target.value) }, [["umap", "UMAP"], ["tsne", "t-SNE"], ["pca", "principal components"]].map(([name, words]) => h("option", { value: name, selected: name === places.method }, words)));
  fill(mapCard, h("div", { class: "row" }, h("h2", { class: "grow" }, `Map of ${places.studies} studies by ${places.method_words}`), method, choice("colour", "Colour", showMap)), h("div", { class: "map" }, canvas, tip), legend(),
    h("p", { class: "quiet small" }, "Each point is a study; near points have cines that the video model finds alike. Distances across the map mean little. Click a point to open the study."));
  const wide = canvas.clientWidth || 700, tall = Math.min(wide * 0.68, 560), ratio = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [wide * ratio, tall * ratio];
  canvas.style.height = `${tall}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const ys = places.places.map(([, y]) => y), xs = places.places.map(([x]) => x);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const size = places.keys.length > 2000 ? 2.2 : places.keys.length > 300 ? 3.5 : 5.5;
  drawn = places.places.map(([x, y]) => [16 + ((wide - 32) * (x - x0)) / Math.max(x1 - x0, 1e-9), 16 + ((tall - 32) * (y - y0)) / Math.max(y1 - y0, 1e-9)]);
  const order = drawn.map((_, i) => i).sort((a, b) => (colour.values[a] === null ? 0 : 1) - (colour.values[b] === null ? 0 : 1));
  for (const i of order) {
    pen.fillStyle = colourOf(colour, i);
    pen.beginPath();
    pen.arc(drawn[i][0], drawn[i][1], size, 0, 2 * Math.PI);
    pen.fill();
  }
  const near = (e) => {
    const box = canvas.getBoundingClientRect();
    let best = -1, away = 14;
    drawn.forEach(([x, y], i) => { const d = Math.hypot(x - (e.clientX - box.left), y - (e.clientY - box.top)); if (d < away) { best = i; away = d; } });
    return best;
  };
  canvas.addEventListener("pointermove", (e) => {
    const i = near(e);
    tip.hidden = i < 0;
    if (i < 0) return;
    const value = colour.values[i];
    fill(tip, places.keys[i], h("br"), `${state.get("colour")}: ${value === null ? "not known" : value}`);
    tip.style.left = `${Math.min(drawn[i][0] + 12, wide - 200)}px`;
    tip.style.top = `${drawn[i][1] + 12}px`;
  });
  canvas.addEventListener("click", (e) => { const i = near(e); if (i >= 0) location.href = pageOf(places.keys[i]); });
}

function legend() {
  if (colour.kind === "groups") return h("div", { class: "legend" }, colour.groups.map((one, i) => h("span", {}, h("span", { class: "swatch", style: { color: GROUPS[i % GROUPS.length] } }), `${one.name} (${one.n})`)), unknown());
  const { edges } = colour.histogram;
  return h("div", { class: "legend" }, h("span", {}, number(edges[0], 1)), h("span", { style: { width: "180px", height: "10px", borderRadius: "5px", alignSelf: "center", background: `linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(along).join(", ")})` } }), h("span", {}, number(edges[edges.length - 1], 1)), unknown());
}

function unknown() {
  const none = colour.values.filter((value) => value === null).length;
  return none ? h("span", {}, h("span", { class: "swatch", style: { color: "#39444d" } }), `not known (${none})`) : null;
}

async function showSpread() {
  try {
    const found = await send("/api/cohort/column", { name: state.get("show") });
    const told = found.kind === "number" ? `mean ${number(found.mean, 1)}, SD ${number(found.sd, 1)}, median ${number(found.median, 1)}; known for ${found.known}` : `known for ${found.known}`;
    fill(spread, h("div", { class: "row" }, h("h2", { class: "grow" }, "Distribution"), choice("show", "Of", showSpread)), found.kind === "number" ? histogram(found.histogram, { label: state.get("show"), height: 220 }) : bars(found.groups, GROUPS), h("p", { class: "quiet small" }, told, found.void ? `; ${found.void} left out, being out of domain or flagged as an error` : null));
  } catch (error) { fill(spread, problem(error)); }
}

async function showTable() {
  try {
    const { rows, fewest, unknown: none, void: outside } = await get(`/api/cohort/subgroups?by=${encodeURIComponent(state.get("by"))}`);
    const pair = (mean, sd) => (mean === undefined ? "–" : `${number(mean, 1)} ± ${number(sd, 1)}`);
    fill(table, h("div", { class: "row" }, h("h2", { class: "grow" }, "LVEF by subgroup, in percentage points"), choice("by", "By", showTable)),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["Group", "Studies", "Label, mean ± SD", "Video model, mean ± SD", "Both", "Mean absolute error", "Bias", "Limits of agreement"].map((text, i) => h("th", { class: i ? "num" : "", scope: "col" }, text)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.group), h("td", { class: "num" }, row.n), h("td", { class: "num" }, pair(row.label_mean, row.label_sd)), h("td", { class: "num" }, pair(row.prediction_mean, row.prediction_sd)),
          h("td", { class: "num" }, row.both ?? "–"), h("td", { class: "num" }, number(row.mae, 1)), h("td", { class: "num" }, number(row.bias, 1)), h("td", { class: "num" }, row.loa_low === undefined ? "–" : `${number(row.loa_low, 1)} to ${number(row.loa_high, 1)}`)))))),
      h("p", { class: "quiet small" }, `Groups with fewer than ${fewest} known values show none. ${none ? `${none} studies are of no known group. ` : ""}${outside ? `${outside} predictions out of domain are left out. ` : ""}Only studies that were read have a prediction. Research use only, not a medical device.`));
  } catch (error) { fill(table, problem(error)); }
}

async function layOut(method = "") {
  try {
    places = await get(`/api/cohort/map?method=${method}`);
    if (places.there) { await showMap(); return; }
    const job = await send("/api/jobs", { kind: "map", method });
    const ended = await watch(job.id, (now) => fill(mapCard, h("h2", {}, "Map"), h("p", { class: "quiet" }, now.message), h("progress", {})));
    if (ended.state !== "done") { fill(mapCard, h("h2", {}, "Map"), h("p", { class: "bad" }, ended.message), h("button", { onclick: () => layOut("tsne") }, "Use t-SNE")); return; }
    places = await get(`/api/cohort/map?method=${method}`);
    await showMap();
  } catch (error) { fill(mapCard, problem(error)); }
}

async function begin() {
  try {
    const found = await get("/api/cohort/columns");
    columns = found.columns;
    const has = (name) => columns.some((one) => one.name === name);
    for (const name of ["colour", "show"]) if (!has(state.get(name))) state.set(name, has("lvef") ? "lvef" : "predicted_lvef");
    if (!has(state.get("by"))) state.set("by", has("sex") ? "sex" : columns[0].name);
    fill(main, h("div", { class: "page" }, h("div", { class: "head" }, h("h1", {}, "Cohort")), h("div", { class: "cohort" }, mapCard, spread, table)));
    showSpread();
    showTable();
    if (found.index.there) {
      await layOut();
      if (found.index.missing) {
        const bar = h("div", {});
        mapCard.append(h("div", { class: "row small quiet" }, `${found.index.missing} ${found.index.missing === 1 ? "study is" : "studies are"} not embedded yet.`,
          h("button", { onclick: (e) => { e.target.disabled = true; embedThen(bar, () => location.reload()); } }, "Bring up to date"), bar));
      }
    }
    else {
      const bar = h("div", {});
      fill(mapCard, h("h2", {}, "Map"), h("p", { class: "quiet" }, "The studies must be embedded once before they can be mapped."), h("button", { class: "main", onclick: (e) => { e.target.disabled = true; embedThen(bar, () => location.reload()); } }, "Embed the store"), bar);
    }
  } catch (error) { fill(main, problem(error)); }
}

begin();
