// Long work: what waits, runs and has ended.
import { drop, get, pageOf } from "./api.js";
import { fill, h, toast } from "./dom.js";
import { problem, shell } from "./shell.js";

const WORDS = { predict: "Read", segment: "Draw contours", embed: "Embed", map: "Lay out the map", upload: "Upload" };
const STATES = { queued: "waiting", running: "running", done: "done", failed: "failed", stopped: "stopped" };
const main = shell(h("main", {}));

function line(job) {
  const open = job.state === "queued" || job.state === "running";
  const keys = job.result.keys || job.asked.keys || [];
  return h("div", { class: "job" }, h("div", {}, WORDS[job.kind], job.asked.studies ? h("div", { class: "quiet small" }, `${job.asked.studies} ${job.asked.studies === 1 ? "study" : "studies"}`) : null),
    h("div", {}, h("span", { class: { failed: "bad", done: "good" }[job.state] || "quiet" }, STATES[job.state]), h("span", {}, ` · ${job.message}`), job.state === "running" ? h("progress", job.total ? { max: job.total, value: job.done } : {}) : null,
      keys.length === 1 ? h("div", { class: "small" }, h("a", { href: pageOf(keys[0]) }, keys[0])) : null, h("div", { class: "faint small" }, new Date(job.created).toLocaleString())),
    open ? h("button", { onclick: () => drop(`/api/jobs/${job.id}`).then(show).catch((error) => toast(error.message, "error")) }, "Stop") : h("span", {}));
}

async function show() {
  try {
    const { jobs } = await get("/api/jobs?count=100");
    fill(main, h("div", { class: "page" }, h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Jobs"), h("span", { class: "quiet" }, "One at a time, single studies first; a server that is stopped goes on at the next start.")),
      jobs.length ? jobs.map(line) : h("div", { class: "empty" }, "Nothing was asked for yet."))));
  } catch (error) { fill(main, problem(error)); }
}

show();
setInterval(() => { if (document.visibilityState === "visible" && !document.activeElement?.matches(".job button")) show(); }, 2000);
