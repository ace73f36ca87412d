// Upload of a study: a zip of DICOM, sent as it is; the server looks through it before it reads anything.
import { get, pageOf, watch } from "./api.js";
import { fill, h, whole } from "./dom.js";
import { problem, shell } from "./shell.js";

const main = shell(h("main", {}));
const told = h("div", { "aria-live": "polite", style: { marginTop: "16px" } });

function sent(file) {
  return new Promise((done, failed) => {
    const ask = new XMLHttpRequest();
    ask.open("POST", "/api/uploads");
    ask.setRequestHeader("Content-Type", "application/zip");
    ask.upload.addEventListener("progress", (e) => fill(told, h("p", {}, `Sending ${file.name}`), h("progress", { max: e.total || file.size, value: e.loaded }), h("button", { class: "flat", onclick: () => ask.abort() }, "Stop")));
    ask.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(ask.responseText); } catch { /* no words came */ }
      if (ask.status < 300) done(answer); else failed(new Error(answer.error || `The server answers ${ask.status}.`));
    });
    ask.addEventListener("error", () => failed(new Error("The server broke off: the file may be larger than it takes, or it was stopped. Nothing was stored.")));
    ask.addEventListener("abort", () => failed(new Error("Stopped; nothing was stored.")));
    ask.send(file);
  });
}

async function take(files, limit) {
  const [file] = files;
  if (!file) return;
  if (files.length > 1 || !/\.zip$/i.test(file.name)) { fill(told, h("p", { class: "note error", role: "alert" }, "Pack the DICOM files of the study into one zip archive, and upload that.")); return; }
  if (file.size > limit) { fill(told, h("p", { class: "note error", role: "alert" }, `The archive has ${whole(file.size)}; this server takes ${whole(limit)}.`)); return; }
  try {
    const job = await sent(file);
    const ended = await watch(job.id, (now) => fill(told, h("p", {}, now.message), h("progress", now.total ? { max: now.total, value: now.done } : {})));
    if (ended.state !== "done") throw new Error(ended.message);
    fill(told, h("p", { class: "note info" }, ended.message), h("ul", {}, ended.result.keys.map((key) => h("li", {}, h("a", { href: pageOf(key) }, key))),
      ended.result.studies > ended.result.keys.length ? h("li", {}, `and ${ended.result.studies - ended.result.keys.length} more: `, h("a", { href: "/" }, "the work-list")) : null));
  } catch (error) { fill(told, h("p", { class: "note error", role: "alert" }, error.message)); }
}

async function begin() {
  try {
    const about = await get("/api/about");
    if (!about.uploads) { fill(main, h("div", { class: "empty" }, h("h2", {}, "This server takes no uploads"), h("p", {}, "It was started with --no-upload."))); return; }
    const input = h("input", { type: "file", accept: ".zip,application/zip", id: "file", onchange: (e) => take(e.target.files, about.upload_bytes) });
    const drop = h("div", { class: "drop" }, h("h2", {}, "Drop a zip of DICOM files here"), h("p", { class: "quiet" }, `One examination or several; up to ${whole(about.upload_bytes)}.`), input, h("button", { class: "main", onclick: () => input.click() }, "Choose a file"));
    for (const [name, on] of [["dragover", true], ["dragleave", false], ["drop", false]]) drop.addEventListener(name, (e) => { e.preventDefault(); drop.classList.toggle("over", on); });
    drop.addEventListener("drop", (e) => take(e.dataTransfer.files, about.upload_bytes));
    fill(main, h("div", { class: "page" }, h("div", { class: "narrow" }, h("div", { class: "head" }, h("h1", {}, "Upload a study")), drop, told,
      h("p", { class: "quiet small", style: { marginTop: "18px" } }, "Names, numbers and dates are replaced by pseudonyms before anything is stored, and the archive is deleted afterwards. Text burned into images is not removed. The study is then read by the models in the background."))));
  } catch (error) { fill(main, problem(error)); }
}

begin();
