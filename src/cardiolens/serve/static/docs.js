// The API as its own description tells it.
import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { problem, shell } from "./shell.js";

const main = shell(h("main", {}));

const coded = (text) => text.split("`").map((part, i) => (i % 2 ? h("code", {}, part) : part));

function kind(schema, all) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map((one) => kind(one, all)).join(" | ");
  if (schema.type === "array") return `[${kind(schema.items, all)}]`;
  return schema.format ? `${schema.type} (${schema.format})` : schema.type || "any";
}

function rows(list) {
  return list.length ? h("table", { class: "figures" }, h("tbody", {}, list.map(([name, where, type, words, needed]) => h("tr", {}, h("th", { scope: "row" }, h("code", {}, name), needed ? " *" : ""), h("td", { class: "quiet" }, where), h("td", {}, h("code", {}, type)), h("td", { class: "quiet" }, words || ""))))) : null;
}

function call(path, verb, one, all) {
  const parameters = (one.parameters || []).map((p) => [p.name, p.in, kind(p.schema, all), p.description, p.required]);
  const content = one.requestBody?.content || {};
  const body = Object.entries(content).flatMap(([type, { schema }]) => {
    const found = schema?.$ref ? all[schema.$ref.split("/").pop()] : null;
    return found ? Object.entries(found.properties || {}).map(([name, p]) => [name, "body", kind(p, all), p.description, (found.required || []).includes(name)]) : [["(body)", type, kind(schema, all), "", true]];
  });
  const gives = Object.keys(one.responses?.["200"]?.content || one.responses?.["202"]?.content || {}).filter((type) => type !== "text/plain").join(", ");
  return h("details", { class: "call" }, h("summary", {}, h("span", { class: "verb" }, verb.toUpperCase()), h("span", { class: "path" }, path), h("span", { class: "quiet" }, coded(`  ${(one.description || one.summary || "").split("\n")[0]}`))),
    one.description?.includes("\n") ? h("p", { class: "quiet" }, coded(one.description.split("\n").slice(1).join(" "))) : null, rows([...parameters, ...body]), h("p", { class: "small quiet" }, `gives ${gives || "application/json"}`));
}

async function begin() {
  try {
    const found = await get("/api/openapi.json");
    const groups = {};
    for (const [path, verbs] of Object.entries(found.paths)) for (const [verb, one] of Object.entries(verbs)) (groups[(one.tags || ["other"])[0]] ??= []).push(call(path, verb, one, found.components?.schemas || {}));
    fill(main, h("div", { class: "page" }, h("div", { class: "head" }, h("h1", {}, `API of cardiolens ${found.info.version}`), h("a", { href: "/api/openapi.json" }, "OpenAPI")),
      found.info.description.split("\n\n").map((text) => h("p", { class: "quiet" }, coded(text))),
      h("p", { class: "quiet" }, "With a token: ", h("code", {}, "curl -H 'Authorization: Bearer TOKEN' http://HOST:PORT/api/studies")),
      Object.entries(groups).map(([name, calls]) => h("section", { class: "card", style: { marginBottom: "14px" } }, h("h2", {}, name), calls))));
  } catch (error) { fill(main, problem(error)); }
}

begin();
