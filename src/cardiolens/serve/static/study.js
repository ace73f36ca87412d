// The study page.
import { get, ofStudy, raw } from "./api.js";
import { Curve } from "./curve.js";
import { fill, h, toast } from "./dom.js";
import { Edit } from "./edit.js";
import { alarms, alike, conditions, doWork, embedThen, facts, figures, historyOf, methods, report } from "./findings.js";
import { Player } from "./player.js";
import { problem, shell } from "./shell.js";

const KEYS = [
  ["Images", [["Space", "play, stop"], ["← →", "frame before, after"], ["↑ ↓ or wheel", "plane of the chosen view"], ["1 2 3 4", "choose a view"], ["F or double-click", "one view alone, all views"],
    ["drag, Shift ← → ↑ ↓", "window: sideways width, up and down level"], ["Shift and drag", "move the image"], ["+ − or Ctrl wheel", "zoom"], ["R", "window as at first; heart or whole field"], ["[ ]", "slower, faster"]]],
  ["Reading", [["C", "contours"], ["A", "attention of the video model"], ["D", "go to end-diastole"], ["S", "go to end-systole"], ["Shift D, Shift S", "set ED, ES to this phase"], ["E", "edit contours"], ["+ −", "while editing: grow, shrink"], ["Z", "take back the last change"], ["?", "this help"], ["Esc", "close, end editing"]]],
];
const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2];

const main = shell(h("main", {}));
const key = location.pathname.split("/").slice(2, 4).map(decodeURIComponent).join("/");
let study, player, curve, edit, reading, tab = "findings";
const top = h("div", {});
const body = h("div", { role: "tabpanel", id: "tab" });
const tools = h("div", { class: "tools", role: "toolbar", "aria-label": "Images" });
const help = h("dialog", { "aria-label": "Keys" }, KEYS.map(([title, rows]) => [h("h2", {}, title), h("div", { class: "keys" }, rows.map(([keys, words]) => h("div", {}, h("span", {}, h("kbd", {}, keys)), h("span", {}, words))))]), h("button", { class: "main", onclick: () => help.close() }, "Close"));

function showTools() {
  const view = player.active;
  const press = (words, on, act, title) => h("button", { "aria-pressed": String(on), onclick: act, title }, words);
  const held = document.activeElement?.dataset?.name;
  fill(tools,
    h("button", { onclick: () => player.step(-1), title: "Frame before (←)", "aria-label": "Frame before" }, "‹"),
    h("button", { class: "main", "data-name": "play", onclick: () => player.toggle(), title: "Space", style: { minWidth: "62px" } }, player.playing ? "Stop" : "Play"),
    h("button", { onclick: () => player.step(1), title: "Frame after (→)", "aria-label": "Frame after" }, "›"),
    h("select", { "aria-label": "Speed", title: "Speed ([ ])", onchange: (e) => player.setSpeed(Number(e.target.value)) }, SPEEDS.map((speed) => h("option", { value: speed, selected: speed === player.speed }, `${speed}×`))),
    h("span", { class: "gap" }),
    press("Contours", player.contours, () => player.setContours(!player.contours), "C"), press("Attention", player.attention, () => player.setAttention(!player.attention), "A: where the video model looked; coarse"),
    press("Edit", !!edit?.on, () => known() && edit.toggle(), "E"),
    h("span", { class: "gap" }),
    press(player.full ? "All views" : "One view", player.full, () => player.toggleFull(), "F"),
    h("button", { onclick: () => { for (const one of player.views) one.reset(); }, title: "R: window as at first; heart or whole field" }, "Reset"),
    h("span", { class: "grow quiet small", style: { textAlign: "right" } }, view ? `${Math.round(60000 / player.cycle)} /min` : ""),
    h("button", { onclick: () => help.showModal(), title: "Keys (?)", "aria-label": "Keys" }, "?"));
  if (held) tools.querySelector(`[data-name="${held}"]`)?.focus();
}

const TABS = [["findings", "Findings"], ["figures", "Figures"], ["report", "Report"], ["alike", "Similar"], ["history", "Changes"]];

function showSide() {
  const bar = h("div", { class: "tabs", role: "tablist" }, TABS.map(([name, words]) => h("button", { role: "tab", "aria-selected": String(tab === name), "aria-controls": "tab", tabindex: tab === name ? 0 : -1,
    onclick: () => { tab = name; showSide(); }, onkeydown: (e) => turn(e) }, name === "history" && reading.live.length ? `${words} (${reading.live.length})` : words)));
  fill(top, h("div", { class: "row" }, h("h1", { class: "grow" }, key)), facts(study), origin(), alarms(reading), methods(reading, work), exports(), bar);
  showTab();
}

function showTab() {
  if (tab === "alike") { if (body.dataset.tab !== "alike") alike(key, body, (node) => embedThen(node, () => alike(key, body, () => {}))); }
  else fill(body, { findings: () => conditions(reading), figures: () => figures(reading), report: () => report(study), history: () => historyOf(reading, () => edit.undo()) }[tab]());
  body.dataset.tab = tab;
}

function turn(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  event.preventDefault();
  event.stopPropagation();
  tab = TABS[(TABS.findIndex(([name]) => name === tab) + step + TABS.length) % TABS.length][0];
  showSide();
  top.querySelector('[aria-selected="true"]').focus();
}

function origin() {
  const words = [study.rendered ? "A simulated heart: nobody was scanned." : "", reading.phantom_trained && !study.rendered ? "The video model has learned from simulated hearts alone." : ""].filter(Boolean).join(" ");
  return words ? h("p", { class: "note info" }, words) : null;
}

function exports() {
  if (!reading.prediction) return null;
  const pdf = h("button", { class: "flat", onclick: async () => {
    pdf.disabled = true;
    try {
      const answer = await raw(ofStudy(key, "/report.pdf"));
      const link = h("a", { href: URL.createObjectURL(await answer.blob()), download: `${key.replace("/", "__")}.pdf` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    } catch (error) { toast(error.message, "error"); }
    pdf.disabled = false;
  } }, "PDF");
  return h("div", { class: "row small" }, h("span", { class: "quiet" }, "Report:"), h("a", { href: ofStudy(key, "/report.html"), target: "_blank", rel: "noopener" }, "open"), h("a", { href: ofStudy(key, "/report.html?save=true"), download: "" }, "HTML"), pdf,
    h("span", { class: "quiet" }, "Numbers:"), h("a", { href: ofStudy(key, "/numbers.csv"), download: "" }, "CSV"));
}

function update(now) {
  if (now) reading = now;
  if (!reading) return;
  player.setReading(reading);
  curve.show(reading);
  const scroll = side.scrollTop;
  showSide();
  side.scrollTop = scroll;
}

async function work(kind, bar) {
  await doWork(key, kind, bar, async () => update(await get(ofStudy(key, "/reading"))));
}

// What is known of the study has come; changes and marks mean nothing before.
function known() {
  if (!reading) toast("What is known of the study is still looked up.");
  return !!reading;
}

function jump(which) {
  const phase = reading.contours?.[which];
  if (phase === null || phase === undefined) { toast(`${which.toUpperCase()} is not known; draw the contours first.`); return; }
  player.stop();
  player.go(phase);
}

function press(event) {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select") || help.open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) {
    if ((event.ctrlKey || event.metaKey) && event.key === "z" && !typing) { event.preventDefault(); if (known()) edit.undo(); }
    return;
  }
  const view = player.active;
  const window = event.shiftKey && { ArrowLeft: [-0.08, 0], ArrowRight: [0.08, 0], ArrowUp: [0, 0.04], ArrowDown: [0, -0.04] }[event.key];
  if (window) {
    event.preventDefault();
    view?.widen(...window);
    return;
  }
  const speed = SPEEDS.indexOf(player.speed);
  const acts = {
    " ": () => player.toggle(), ArrowLeft: () => player.step(-1), ArrowRight: () => player.step(1), ArrowUp: () => view?.setPlane(view.plane - 1), ArrowDown: () => view?.setPlane(view.plane + 1),
    f: () => player.toggleFull(), r: () => view?.reset(), c: () => player.setContours(!player.contours), a: () => player.setAttention(!player.attention), e: () => known() && edit.toggle(),
    d: () => known() && jump("ed"), s: () => known() && jump("es"), D: () => known() && edit.phase("ed", player.phase), S: () => known() && edit.phase("es", player.phase), z: () => known() && edit.undo(),
    "[": () => player.setSpeed(SPEEDS[Math.max(speed - 1, 0)]), "]": () => player.setSpeed(SPEEDS[Math.min(speed + 1, SPEEDS.length - 1)]),
    "+": () => (edit.on ? edit.apply({ how: "move", pixels: 1 }) : view?.zoomBy(1.2)), "-": () => (edit.on ? edit.apply({ how: "move", pixels: -1 }) : view?.zoomBy(1 / 1.2)),
    "?": () => help.showModal(), Escape: () => { if (edit.on) edit.toggle(false); else if (player.full) player.toggleFull(); },
  };
  for (let i = 0; i < player.views.length; i++) acts[String(i + 1)] = () => { player.activate(player.views[i]); player.views[i].canvas.focus({ preventScroll: true }); };
  const act = acts[event.key];
  if (!act || (event.key === " " && event.target.matches("button, a, summary"))) return;
  event.preventDefault();
  act();
}

const side = h("aside", { class: "side", "aria-label": "What is known of the study", tabindex: -1 }, top, body);

async function begin() {
  const asked = get(ofStudy(key, "/reading"));
  asked.catch(() => {}); // told below, where it is waited for
  try {
    study = await get(ofStudy(key));
  } catch (error) { fill(main, problem(error)); return; }
  document.title = `${key} · cardiolens`;
  player = new Player(study);
  curve = new Curve(player, (which, phase) => edit.phase(which, phase));
  edit = new Edit(player, (now) => { update(now); showTools(); });
  player.edit = edit;
  player.onTime = () => curve.time();
  player.onState = showTools;
  fill(main, h("div", { class: "study" }, h("section", { class: "viewer", "aria-label": "Images" }, tools, edit.node, player.node, curve.node), side), help);
  showTools();
  fill(top, h("div", { class: "row" }, h("h1", { class: "grow" }, key)), facts(study));
  fill(body, h("p", { class: "quiet", role: "status" }, "Looking up what is known of it."));
  document.addEventListener("keydown", press);
  window.cardiolens = { player, edit, curve };
  player.begin();
  try { update(await asked); } catch (error) { fill(body, problem(error)); }
}

begin();
