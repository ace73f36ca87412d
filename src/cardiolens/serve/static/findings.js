// The side of the study page: LVEF of each method, conditions, attention, figures, report, what people changed.
import { drop, get, ofStudy, pageOf, send, watch } from "./api.js";
import { fill, h, number, percent, s, toast, words } from "./dom.js";
import { loop } from "./loops.js";

export function lvefOf(row) {
  // LVEF of a study in a list: struck through where it is not to be relied on; "" where there is none.
  const { result, label_lvef: label } = row;
  if (result.lvef === undefined || result.lvef === null) return label === null ? "" : `LVEF ${number(label)} % (label)`;
  return result.out_of_domain ? h("span", { class: "bad", title: "Unlike what the model has learned from: do not rely on it" }, h("s", {}, `LVEF ${number(result.lvef)} %`), " out of domain") : `LVEF ${number(result.lvef)} % (video)`;
}

export function facts(study) {
  const parts = [study.site, { F: "female", M: "male" }[study.sex], study.age === null ? null : `${study.age >= 90 ? "90 or over" : study.age} years`,
    study.cines.map((cine) => (cine.shape[0] > 1 ? `${cine.view} (${cine.shape[0]})` : cine.view)).join(", ")];
  return h("p", { class: "facts" }, parts.filter(Boolean).join(" · "));
}

function gauge(found, other) {
  // LVEF from 0 to 100 with its interval; the other method as a tick.
  const x = (value) => 2 + 2.16 * Math.min(Math.max(value, 0), 100);
  return s("svg", { class: "gauge", viewBox: "0 0 220 22", role: "img", "aria-label": "LVEF on a scale of 0 to 100 %" },
    s("rect", { x: 2, y: 8, width: 216, height: 6, rx: 3, fill: "#26323d" }), [40.5, 49.5].map((edge) => s("line", { x1: x(edge), x2: x(edge), y1: 5, y2: 17, stroke: "#5c6c7a" })),
    found.low !== null && found.low !== undefined ? s("rect", { x: x(found.low), y: 8, width: Math.max(x(found.high) - x(found.low), 1), height: 6, rx: 3, fill: "#62b6e6", opacity: 0.55 }) : null,
    other !== null && other !== undefined ? s("rect", { x: x(other) - 1, y: 3, width: 2, height: 16, fill: "#e3aa4b" }) : null,
    found.value !== null && found.value !== undefined ? s("circle", { cx: x(found.value), cy: 11, r: 5, fill: "#e3eaf0" }) : null);
}

export function alarms(reading) {
  const out = [];
  const found = reading.prediction;
  if (found?.out_of_domain) {
    out.push(h("div", { class: "alarm", role: "alert" }, h("strong", {}, "Unlike what the model has learned from: do not rely on its figures"), h("details", {}, h("summary", {}, "Why"), h("ul", {}, found.reasons.map((text) => h("li", {}, text))))));
  }
  if (reading.contours?.worst === "error") {
    const flags = reading.contours.flags.filter((flag) => flag.severity === "error");
    out.push(h("div", { class: "alarm", role: "alert" }, h("strong", {}, "Do not use the figures of the contours"), flags.map((flag) => h("div", {}, flag.words))));
  }
  return out;
}

export function methods(reading, work) {
  const { prediction: model, contours } = reading;
  const void1 = model?.out_of_domain ? " void" : "";
  const void2 = contours?.worst === "error" ? " void" : "";
  const figure = (name) => contours?.groups.flatMap((group) => group.rows).find((row) => row.name === name)?.value;
  return [
    h("div", { class: "methods" },
      h("section", { class: "card", "aria-label": "LVEF, video model" }, h("h2", {}, "LVEF, video model"), model ? [
        model.lvef_pct === null ? h("p", { class: "quiet" }, "This model tells no LVEF.") : [
          h("div", { class: `big${void1}` }, number(model.lvef_pct), h("small", {}, " %")), gauge({ value: model.lvef_pct, low: model.low, high: model.high }, contours?.lvef_pct),
          h("div", { class: "small quiet" }, model.low === null ? "no interval" : `${number(model.low)} to ${number(model.high)} %, ${percent(model.coverage)} interval`),
          model.out_of_domain ? null : h("div", { class: "small" }, model.band)]] : waiting("predict", "Read", reading.no_prediction, work)),
      h("section", { class: "card", "aria-label": "LVEF, contours" }, h("h2", {}, "LVEF, contours"), contours ? [
        contours.lvef_pct === null ? h("p", { class: "quiet" }, contours.refused.lvef_pct || "Not measured.") : [
          h("div", { class: `big${void2}` }, number(contours.lvef_pct), h("small", {}, " %")), gauge({ value: contours.lvef_pct }, model?.lvef_pct),
          h("div", { class: "small quiet" }, [figure("lv_edv_ml") && `EDV ${figure("lv_edv_ml")}`, figure("lv_esv_ml") && `ESV ${figure("lv_esv_ml")}`].filter(Boolean).join(", ")),
          contours.worst === "warning" ? h("div", { class: "small warn" }, "look first: flags under Figures") : null,
          h("div", { class: "small", title: contours.known_error.join(" ") }, contours.changed.length ? h("span", { class: "warn" }, "corrected by a person") : contours.known_error.length ? h("abbr", { class: "quiet" }, "no interval; error in tests: see Figures") : h("span", { class: "quiet" }, "no interval"))]] : waiting("segment", "Draw", reading.no_contours, reading.can_draw ? work : null))),
    reading.agreement ? h("p", { class: `note ${reading.agreement.includes("outside") ? "warning" : "info"}` }, `Contours: ${reading.agreement}.`) : null,
  ];
}

function waiting(kind, words, why, work) {
  const bar = h("div", {});
  const button = work ? h("button", { class: "main", onclick: () => { button.disabled = true; work(kind, bar); } }, words) : null;
  return h("div", {}, h("p", { class: "quiet small" }, why), button, bar);
}

export async function doWork(key, kind, bar, done) {
  try {
    const job = await send("/api/jobs", { kind, keys: [key] });
    const ended = await watch(job.id, (now) => fill(bar, h("p", { class: "small quiet" }, now.message), h("progress", now.total ? { max: now.total, value: now.done } : {}),
      h("button", { class: "flat small", onclick: () => drop(`/api/jobs/${now.id}`).catch(() => {}) }, "Stop")));
    if (ended.state === "done") done();
    else fill(bar, h("p", { class: "bad small" }, ended.message));
  } catch (error) { fill(bar, h("p", { class: "bad small" }, error.message)); }
}

export function conditions(reading) {
  const found = reading.prediction;
  if (!found) return h("p", { class: "quiet" }, "Conditions and attention stand here once the study is read.");
  const order = [...found.conditions].sort((a, b) => (b.flagged === true) - (a.flagged === true) || (b.probability ?? -1) - (a.probability ?? -1) || b.score - a.score);
  const flagged = order.filter((one) => one.flagged);
  const rest = order.filter((one) => !one.flagged);
  const unsure = found.out_of_domain ? h("p", { class: "note error" }, "Out of domain: these probabilities do not hold here.") : null;
  return [
    unsure,
    h("h2", {}, found.conditions.length ? (flagged.length ? `Flagged (${flagged.length})` : "No condition is flagged") : "This model tells no conditions"),
    flagged.map(finding),
    rest.length ? h("details", {}, h("summary", { class: "quiet small" }, `${rest.length} below their operating point or not calibrated`), rest.map(finding)) : null,
    h("h2", { style: { marginTop: "16px" } }, "Where the model looked"),
    h("p", { class: "quiet small" }, { lvef: "Share of the LVEF head's attention by view; ", mean: "Mean share over the conditions; " }[found.attention_of] || "Share of attention by view; ", "× tells how much more or less than an even spread over the planes."),
    found.attention.map((row) => h("div", { class: "finding" }, h("span", {}, row.view, h("span", { class: "quiet small" }, ` ${row.clips} ${row.clips === 1 ? "plane" : "planes"}`)),
      h("span", { class: "meter blue" }, bar(row.share)), h("span", { class: "num small" }, percent(row.share), h("br"), h("span", { class: "quiet" }, `${row.relative.toFixed(2)}×`)))),
    found.notes.map((text) => h("p", { class: "quiet small", style: { marginTop: "8px" } }, text)),
  ];
}

function bar(share, mark = null) {
  return [h("i", { style: { width: `${(100 * Math.min(share, 1)).toFixed(1)}%` } }), mark === null ? null : h("u", { style: { left: `${(100 * mark).toFixed(1)}%` } })];
}

function finding(one) {
  const { basis } = one;
  const told = basis ? `flagged from ${percent(one.threshold_probability, one.threshold_probability < 0.1 ? 1 : 0)}; there sensitivity ${percent(basis.sensitivity)}, specificity ${percent(basis.specificity)} (${basis.n} studies, ${basis.positive} with it)` : "not calibrated; the score is no probability";
  return h("div", { class: `finding ${one.flagged && one.name !== "normal" ? "flagged" : ""}` }, h("span", { class: "label" }, one.words),
    h("span", { class: "meter", role: "img", "aria-label": told }, bar(one.probability ?? 0, basis ? one.threshold_probability : null)),
    h("span", { class: "num" }, one.probability === null ? h("span", { class: "faint small" }, "–") : percent(one.probability)), h("span", { class: "basis quiet small" }, told));
}

export function figures(reading) {
  const found = reading.contours;
  if (!found) return h("p", { class: "quiet" }, "Volumes, mass and long-axis function stand here once the contours are drawn.");
  const order = ["error", "warning", "info"];
  return [
    [...found.flags].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity)).map((flag) => h("p", { class: `note ${flag.severity}` }, flag.words)),
    found.groups.filter((group) => group.rows.length).map((group) => [h("h3", {}, group.title), h("table", { class: "figures" }, h("tbody", {}, group.rows.map((row) =>
      h("tr", {}, h("th", { scope: "row" }, row.label), h("td", { class: "num" }, row.before && row.before !== row.value ? [h("span", { class: "was" }, row.before), " "] : null, row.value || "–")))))]),
    h("h3", {}, "Limits"), found.known_error.map((text) => h("p", { class: "quiet small" }, text)),
    Object.entries(found.skipped).map(([view, why]) => h("p", { class: "quiet small" }, `${view} is not drawn: ${why}`)),
    found.notes.map((text) => h("p", { class: "quiet small" }, text)),
    h("p", { class: "quiet small" }, `Drawn by ${found.model}. Papillary muscle counts as cavity.`),
  ];
}

export function report(study) {
  const labels = Object.entries(study.labels).filter(([, value]) => value !== 0 && value !== "");
  return [
    study.report === null ? h("p", { class: "quiet" }, "The store holds no report of this study.") : h("p", { class: "report" }, study.report),
    labels.length ? h("details", {}, h("summary", { class: "quiet small" }, `${labels.length} labels`), h("table", { class: "figures" }, h("tbody", {}, labels.map(([name, value]) =>
      h("tr", {}, h("th", { scope: "row" }, words(name)), h("td", { class: "num" }, typeof value === "number" ? Number(value.toFixed(2)) : value)))))) : null,
    study.notes.length || study.refused.length || study.cines.some((cine) => cine.notes.length) ? h("details", {}, h("summary", { class: "quiet small" }, "What the reader of the images noted"),
      study.cines.flatMap((cine) => cine.notes.map((text) => h("p", { class: "small quiet" }, `${cine.view}: ${text}`))), study.notes.map((text) => h("p", { class: "small quiet" }, text)),
      study.refused.map((one) => h("p", { class: "small quiet" }, `not used: ${one.series}: ${one.reason}`))) : null,
  ];
}

export async function alike(key, node, make) {
  fill(node, h("p", { class: "quiet" }, "Looking"));
  try {
    const { hits } = await get(ofStudy(key, "/similar?top=6"));
    fill(node, h("p", { class: "quiet small" }, "Studies of other patients whose cines are nearest; the score ranks and is no probability."), h("div", { class: "alike" }, hits.map((hit) => h("a", { href: pageOf(hit.key), class: "card" },
      loop(hit.key, hit.clips[0].view, hit.clips[0].plane, 128), h("div", { class: "small" }, `${hit.score.toFixed(3)} · `, lvefOf(hit.study) || "not read"),
      h("div", { class: "small quiet" }, hit.study.conditions.slice(0, 3).join(", "))))));
  } catch (error) {
    fill(node, h("p", { class: "quiet" }, error.message), h("button", { onclick: () => make(node) }, "Embed the store"));
  }
}

export function historyOf(reading, undo) {
  if (!reading.changes.length) return h("p", { class: "quiet" }, "Nobody has changed anything. Move ED or ES in the strip below the images, or edit a contour (E).");
  const live = new Set(reading.live);
  return [h("p", {}, h("button", { onclick: undo, disabled: !live.size }, "Take back the last change")),
    h("ul", { class: "history" }, [...reading.changes].reverse().map((one) => h("li", { class: one.what !== "undo" && !live.has(one.id) ? "gone" : "" }, `${one.id}. ${one.words}`,
      h("div", { class: "small quiet" }, `${new Date(one.time).toLocaleString()}${one.reader ? ` · ${one.reader}` : ""}`))))];
}

export async function embedThen(node, again) {
  try {
    const job = await send("/api/jobs", { kind: "embed" });
    const ended = await watch(job.id, (now) => fill(node, h("p", { class: "small quiet" }, `${now.message} ${now.total ? `${now.done} of ${now.total}` : ""}`), h("progress", now.total ? { max: now.total, value: now.done } : {})));
    if (ended.state === "done") again();
    else fill(node, h("p", { class: "bad" }, ended.message));
  } catch (error) { toast(error.message, "error"); }
}
