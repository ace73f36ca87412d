// Search by words: ranked studies with their loops playing, and how the whole store scores for a phrase.
import { get, pageOf, send } from "./api.js";
import { histogram } from "./charts.js";
import { fill, h, number } from "./dom.js";
import { embedThen, lvefOf } from "./findings.js";
import { loop } from "./loops.js";
import { problem, shell } from "./shell.js";

const main = shell(h("main", {}));
const state = new URLSearchParams(location.search);
const found = h("section", { "aria-live": "polite", "aria-label": "Found" });
const ask = h("input", { type: "search", "aria-label": "A finding in words", placeholder: "dilated left ventricle with severely reduced function", value: state.get("q") || "", maxlength: 400 });
const against = h("input", { "aria-label": "What speaks against it", placeholder: "against: normal cardiac MRI", maxlength: 400, class: "grow" });
let known = [];

async function look() {
  const q = ask.value.trim();
  history.replaceState(null, "", q ? `?q=${encodeURIComponent(q)}` : location.pathname);
  if (!q) { fill(found); return; }
  fill(found, h("p", { class: "quiet" }, "Looking"));
  try {
    const { hits, searched } = await get(`/api/search?q=${encodeURIComponent(q)}&top=18`);
    fill(found, h("p", { class: "quiet small" }, `The nearest ${hits.length} of ${searched} studies. A score is a cosine similarity: it ranks within this search and is no probability.`),
      h("div", { class: "hits" }, hits.map(hit)));
  } catch (error) { fill(found, problem(error)); }
}

function hit(one) {
  const { result, label_lvef: label } = one.study;
  const read = result.lvef !== undefined && result.lvef !== null;
  const told = [`score ${one.score.toFixed(3)}`, lvefOf(one.study), read && label !== null ? `label ${number(label)} %` : null].filter(Boolean);
  return h("article", { class: "card hit" }, h("div", { class: "title" }, `${one.rank}. `, h("a", { href: pageOf(one.key) }, one.key)),
    h("div", { class: "clips" }, one.clips.slice(0, 2).map((clip) => loop(one.key, clip.view, clip.plane, 160, `${clip.view}, plane ${clip.plane + 1}`))),
    h("div", { class: "small quiet" }, told.map((part, i) => [i ? " · " : "", part])), h("div", { class: "small" }, one.clips.slice(0, 2).map((clip) => `${clip.view} plane ${clip.plane + 1}`).join(", ")),
    one.study.conditions.length ? h("div", { class: "small quiet" }, one.study.conditions.join(", ")) : null);
}

async function score() {
  const phrase = ask.value.trim();
  if (!phrase) { ask.focus(); return; }
  fill(found, h("p", { class: "quiet" }, "Scoring every study"));
  try {
    const { scores, histogram: counts, against: negative } = await send("/api/zeroshot", { phrase, against: against.value.trim() });
    fill(found, h("p", { class: "quiet small" }, `How much more the cines resemble “${phrase}” than “${negative.join(" ")}”. Above 0 speaks for it; no probability, and not calibrated.`),
      histogram(counts, { label: "score", height: 130 }),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Rank"), h("th", {}, "Study"), h("th", { class: "num" }, "Score"))),
        h("tbody", {}, scores.slice(0, 100).map((one, i) => h("tr", {}, h("td", {}, i + 1), h("td", {}, h("a", { href: pageOf(one.key) }, one.key)), h("td", { class: "num" }, one.score.toFixed(4))))))),
      scores.length > 100 ? h("p", { class: "quiet small" }, `and ${scores.length - 100} more`) : null);
  } catch (error) { fill(found, problem(error)); }
}

async function begin() {
  try {
    const [about, { phrases }] = await Promise.all([get("/api/about"), get("/api/phrases")]);
    known = phrases;
    const { index } = about;
    const bar = h("div", {});
    const make = (words) => h("button", { class: "main", onclick: (e) => { e.target.disabled = true; embedThen(bar, () => location.reload()); } }, words);
    const list = h("datalist", { id: "phrases" }, known.map((text) => h("option", { value: text })));
    ask.setAttribute("list", "phrases");
    fill(main, h("div", { class: "page" }, h("div", { class: "head" }, h("h1", {}, "Search the store in words")),
      !index.text ? h("p", { class: "note warning" }, `${index.no_text}. Start the server with a model from cardiolens pretrain.`) : null,
      !index.there ? h("div", { class: "card" }, h("p", {}, "The studies must be embedded once before they can be searched."), make("Embed the store"), bar)
        : [index.missing ? h("div", { class: "row small quiet" }, `${index.missing} studies are not embedded yet.`, make("Bring up to date"), bar) : null,
          h("form", { class: "ask", role: "search", onsubmit: (e) => { e.preventDefault(); look(); } }, ask, list, h("button", { class: "main" }, "Search")),
          h("details", {}, h("summary", { class: "quiet small" }, "Score every study for this phrase instead"), h("div", { class: "row", style: { margin: "8px 0" } }, against, h("button", { onclick: score }, "Score all"))),
          !ask.value ? h("div", { class: "row" }, h("span", { class: "quiet small" }, "For example:"), known.slice(0, 40).filter((_, i) => i % 6 === 0).map((text) => h("button", { class: "flat small", onclick: () => { ask.value = text; look(); } }, text))) : null], found));
    if (index.there && index.text) { ask.focus(); if (ask.value) look(); }
  } catch (error) { fill(main, problem(error)); }
}

begin();
