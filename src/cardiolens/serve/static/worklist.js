// The work-list: filters, a table of one page, work on all that fit.
import { get, pageOf, send } from "./api.js";
import { fill, h, number, toast, words } from "./dom.js";
import { loop } from "./loops.js";
import { problem, shell } from "./shell.js";

const COUNT = 25;
const VIEWS = ["SAX", "2CH", "3CH", "4CH"];
const state = new URLSearchParams(location.search);
const main = shell(h("main", {}));
const list = h("section", { "aria-live": "polite", "aria-label": "Studies" });
let columns = [];
let timer = 0;

function put(name, value) {
  state.delete(name);
  for (const one of [value].flat()) if (one !== "" && one !== null) state.append(name, one);
  if (name !== "start") state.delete("start");
  history.replaceState(null, "", `?${state}`);
  clearTimeout(timer);
  timer = setTimeout(show, 160);
}

function filters() {
  const range = (name, label) => {
    const [, low = "", high = ""] = (state.getAll("between").find((one) => one.startsWith(`${name}:`)) || "").split(":");
    const ends = [low, high].map((value, i) => h("input", {
      type: "number", value, min: 0, max: 100, "aria-label": `${label}, ${i ? "at most" : "at least"}`, placeholder: i ? "100" : "0",
      onchange: () => put("between", [...state.getAll("between").filter((one) => !one.startsWith(`${name}:`)),
        ...(ends[0].value || ends[1].value ? [`${name}:${ends[0].value}:${ends[1].value}`] : [])]),
    }));
    return h("fieldset", {}, h("legend", {}, `${label}, %`), h("div", { class: "pair" }, ends[0], "to", ends[1]));
  };
  const yes = (name, label, answers) => h("div", {}, h("label", { for: `f-${name}` }, label),
    h("select", { id: `f-${name}`, onchange: (e) => put(name, e.target.value) },
      [["", "all"], ["true", answers[0]], ["false", answers[1]]].map(([value, text]) =>
        h("option", { value, selected: (state.get(name) || "") === value }, text))));
  const chosen = new Set(state.getAll("view"));
  const value = h("select", { id: "f-value", "aria-label": "Value", disabled: true });
  const now = (state.get("label") || "").split(":");
  const known = columns.filter((one) => one.kind === "values");
  const column = h("select", { id: "f-column", onchange: (e) => { values(e.target.value); put("label", ""); } },
    h("option", { value: "" }, "any"), known.map((one) => h("option", { value: one.name, selected: one.name === now[0] }, words(one.name))));
  const values = (name) => {
    const found = known.find((one) => one.name === name);
    fill(value, found ? [h("option", { value: "" }, "any value"), Object.entries(found.values).map(([text, n]) =>
      h("option", { value: text, selected: name === now[0] && text === now[1] }, `${text} (${n})`))] : []);
    value.disabled = !found;
  };
  value.addEventListener("change", () => put("label", value.value ? `${column.value}:${value.value}` : ""));
  values(now[0]);
  const hasLvef = columns.some((one) => one.name === "lvef");
  return h("form", { class: "filters card", role: "search", onsubmit: (e) => e.preventDefault() },
    h("div", {}, h("label", { for: "f-words" }, "Study, site or condition"),
      h("input", { id: "f-words", type: "search", value: state.get("words") || "", oninput: (e) => put("words", e.target.value) })),
    range("predicted_lvef", "LVEF, video model"), hasLvef && range("lvef", "LVEF, label"),
    h("fieldset", {}, h("legend", {}, "Views present"), h("div", { class: "checks" }, VIEWS.map((view) => h("label", {},
      h("input", { type: "checkbox", checked: chosen.has(view), onchange: (e) => { chosen[e.target.checked ? "add" : "delete"](view); put("view", [...chosen]); } }), view)))),
    yes("predicted", "Read by the model", ["read", "not read"]), yes("flagged", "Conditions flagged", ["some", "none"]),
    yes("report", "Report", ["there", "not there"]),
    known.length ? h("div", {}, h("label", { for: "f-column" }, "Label column"), column, value) : null,
    h("button", { type: "button", class: "flat", onclick: () => { location.search = ""; } }, "Clear all"));
}

function heading(name, text, kind = "") {
  const on = (state.get("sort") || "key") === name;
  const down = state.get("descending") === "true";
  return h("th", { class: kind, scope: "col", "aria-sort": on ? (down ? "descending" : "ascending") : null },
    h("button", { onclick: () => { state.set("descending", String(on && !down)); put("sort", name); } }, text, on ? (down ? " ↓" : " ↑") : ""));
}

function lvef(result) {
  if (result.lvef === undefined || result.lvef === null) return h("span", { class: "faint" }, "–");
  if (result.out_of_domain) return h("span", { class: "bad", title: "Unlike what the model has learned from: do not rely on it" }, h("s", {}, `${number(result.lvef)} %`));
  return h("span", {}, `${number(result.lvef)} %`, result.low !== null ? h("span", { class: "quiet small" }, ` ${number(result.low)}–${number(result.high)}`) : null);
}

function contour(result) {
  if (result.contour_lvef === undefined || result.contour_lvef === null) return h("span", { class: "faint" }, "–");
  const kind = { error: "bad", warning: "warn" }[result.contour_worst] || "";
  const title = { error: "Flag: do not use", warning: "Flag: look first" }[result.contour_worst];
  return h("span", { class: kind, title }, `${number(result.contour_lvef)} %`, result.corrected ? h("span", { class: "small quiet" }, " corrected") : null);
}

function row(one) {
  const view = one.views["4CH"] ? "4CH" : Object.keys(one.views)[0];
  const outside = one.result.out_of_domain === true;
  const flagged = outside ? [] : one.result.flagged || [];
  return h("tr", {},
    h("td", { class: "loops" }, view ? h("a", { href: pageOf(one.key), tabindex: -1, "aria-hidden": "true" }, small(one.key, view)) : null),
    h("td", { class: "who" }, h("a", { href: pageOf(one.key) }, one.key.split("/")[1]),
      one.trouble ? h("div", { class: "bad small" }, one.trouble) : null,
      h("div", { class: "quiet small" }, one.key.split("/")[0]),
      h("div", { class: "quiet small" }, [one.sex, one.age === null ? null : `${Math.round(one.age)} y${one.age >= 90 ? " or over" : ""}`].filter(Boolean).join(", "))),
    h("td", { class: "hide views" }, VIEWS.map((name) => [h("span", { class: one.views[name] ? "chip on" : "chip", title: one.views[name] ? `${one.views[name][0]} planes, ${one.views[name][1]} phases` : "not there" }, one.views[name] ? name : "–"), " "])),
    h("td", { class: "num" }, lvef(one.result)), h("td", { class: "num" }, contour(one.result)),
    h("td", { class: "num" }, one.label_lvef === null ? h("span", { class: "faint" }, "–") : `${number(one.label_lvef)} %`),
    h("td", {}, outside ? h("span", { class: "chip", title: "Unlike what the model has learned from: do not rely on its figures" }, "out of domain") : null, flagged.slice(0, 2).map((name) => [h("span", { class: "chip flag" }, name), " "]), flagged.length > 2 ? h("span", { class: "quiet small" }, `+${flagged.length - 2}`) : null),
    h("td", { class: "conditions hide" }, one.conditions.join(", ")),
    h("td", { class: "hide" }, one.has_report ? "yes" : h("span", { class: "faint" }, "–")));
}

function small(key, view) {
  const canvas = loop(key, view, -1, 96);
  canvas.style.width = "62px";
  return canvas;
}

async function work(kind, total) {
  try {
    const { keys } = await get(`/api/keys?${state}`);
    const minutes = Math.ceil((keys.length * (kind === "predict" ? 1 : 20)) / 60);
    if (total > 5 && !confirm(`${kind === "predict" ? "Read" : "Draw"} ${total} studies? This may take ${minutes} minutes or more; it goes on in the background, and what is done already is not done again.`)) return;
    await send("/api/jobs", { kind, keys });
    toast("Added to the jobs.");
  } catch (error) { toast(error.message, "error"); }
}

async function show() {
  const start = Number(state.get("start") || 0);
  let found;
  try {
    found = await get(`/api/studies?${state}${state.has("start") ? "" : "&start=0"}&count=${COUNT}`);
  } catch (error) { fill(list, problem(error)); return; }
  if (!found.studies) {
    fill(list, h("div", { class: "empty" }, h("h2", {}, "This store holds no study"),
      h("p", {}, "Bring one in: ", h("a", { href: "/upload" }, "upload a zip of DICOM files"), ", or on the server "), h("p", {}, h("code", {}, "cardiolens ingest path/to/scans --out STORE"))));
    return;
  }
  const { rows, total } = found;
  fill(list,
    h("div", { class: "head" }, h("h1", {}, total === found.studies ? `${total} studies` : `${total} of ${found.studies} studies`),
      found.looked_at < found.studies ? h("span", { class: "quiet" }, `${found.looked_at} looked at so far`) : null, h("span", { class: "grow" }),
      h("button", { onclick: () => work("predict", total), disabled: !total }, "Read these"),
      h("button", { onclick: () => work("segment", total), disabled: !total }, "Draw contours"),
      h("a", { href: `/api/numbers.csv?${state}`, download: "" }, "Numbers (CSV)")),
    total ? h("div", { class: "scroll" }, h("table", { class: "list" },
      h("thead", {}, h("tr", {}, h("th", {}), heading("key", "Study"), h("th", { class: "hide", scope: "col" }, "Views"), heading("predicted_lvef", "LVEF, video", "num"),
        heading("contour_lvef", "LVEF, contours", "num"), columns.some((one) => one.name === "lvef") ? heading("lvef", "LVEF, label", "num") : h("th", { class: "num" }, "LVEF, label"),
        h("th", { scope: "col" }, "Flagged"), h("th", { class: "hide", scope: "col" }, "Conditions, label"), h("th", { class: "hide", scope: "col" }, "Report"))),
      h("tbody", {}, rows.map(row)))) : h("div", { class: "empty" }, h("h2", {}, "No study fits"), h("p", {}, "Take a filter away.")),
    total > COUNT ? h("div", { class: "pager" }, h("span", { class: "quiet" }, `${start + 1}–${Math.min(start + COUNT, total)} of ${total}`),
      h("button", { disabled: start === 0, onclick: () => put("start", String(Math.max(0, start - COUNT))) }, "Previous"),
      h("button", { disabled: start + COUNT >= total, onclick: () => put("start", String(start + COUNT)) }, "Next")) : null);
  if (found.looked_at < found.studies) timer = setTimeout(show, 3000);
}

async function begin() {
  try {
    const [about, found] = await Promise.all([get("/api/about"), get("/api/columns")]);
    columns = found.columns;
    const trouble = [about.trouble, about.no_segmenter].filter(Boolean).map((text) => h("p", { class: "note warning" }, text));
    fill(main, h("div", { class: "page" }, trouble, h("div", { class: "worklist" }, filters(), list)));
    await show();
  } catch (error) { fill(main, problem(error)); }
}

begin();
