// What every page has: name, ways, jobs under way, and what this is not.
import { get } from "./api.js";
import { fill, h } from "./dom.js";

const WAYS = [["/", "Studies"], ["/search", "Search"], ["/cohort", "Cohort"], ["/upload", "Upload"], ["/docs", "API"]];

export function shell(main) {
  const badge = h("a", { class: "badge", href: "/jobs" }, "No jobs");
  const here = location.pathname;
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#main" }, "Skip to content"),
    h("header", { class: "bar" },
      h("a", { class: "name", href: "/" }, h("img", { src: "/static/icon.svg", alt: "cardiolens" }), h("span", { class: "said" }, "cardiolens")),
      h("nav", { "aria-label": "Pages" }, WAYS.map(([path, words]) =>
        h("a", { href: path, "aria-current": here === path || (path === "/" && here.startsWith("/study/")) ? "page" : null }, words))),
      h("span", { class: "device" }, "Research use only, not a medical device"),
      h("span", { class: "work" }, badge)),
    main);
  main.id = "main";
  look(badge);
  return main;
}

async function look(badge) {
  let wait = 4000;
  if (document.visibilityState === "visible") {
    try {
      const { jobs, open } = await get("/api/jobs?count=20");
      const running = jobs.find((job) => job.state === "running");
      badge.classList.toggle("on", open > 0);
      const share = running?.total ? ` ${Math.round((100 * running.done) / running.total)} %` : "";
      fill(badge, open ? `${open} ${open === 1 ? "job" : "jobs"}${share}` : "Jobs");
      if (open) wait = 1500;
    } catch { fill(badge, "No answer"); }
  }
  setTimeout(() => look(badge), wait);
}

export function problem(error) {
  return h("div", { class: "empty", role: "alert" }, h("h2", {}, "This did not work"), h("p", {}, error.message || String(error)));
}
