// Which page is shown, what stands above all of them, and the keys that work everywhere.

import { h, readable, write } from "./dom.js";
import { ItemPage } from "./item.js";
import { Live } from "./live.js";
import { PicturePage } from "./picture.js";
import { TablePage } from "./table.js";
import { TimelinePage } from "./timeline.js";

const PAGES = { picture: PicturePage, items: TablePage, timeline: TimelinePage, item: ItemPage };
const KEYS = { 1: "#/picture", 2: "#/items", 3: "#/timeline", "/": "#/items" };
const STATES = ["configured", "pending", "retrying", "failed"];
const AGENT = { here: "agent here", gone: "agent gone", unserved: "no connection", unknown: "connecting" };

const view = document.getElementById("view");
const dialog = document.getElementById("keys");
const live = new Live();
let page = null;
let shown = "";

function show() {
  if (!location.hash.startsWith("#/")) {
    if (page === null) location.replace("#/picture");
    return;
  }
  const [path, query = ""] = location.hash.slice(2).split("?");
  const [name, ...rest] = path.split("/");
  const Page = PAGES[name] ?? PicturePage;
  const about = { argument: decodeURIComponent(rest.join("/")), query: new URLSearchParams(query) };
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (page instanceof Page && page.moved?.(about)) return;
  page?.close();
  page = new Page(live, about);
  view.className = name;
  view.replaceChildren(page.element);
  page.opened?.();
  document.title = `${page.title} - nsplane`;
  if (shown) view.focus({ preventScroll: true });
  shown = name;
}

function showStatus() {
  const { status } = live;
  const agent = document.getElementById("agent");
  agent.dataset.agent = status.agent;
  agent.title = readable(status.why ?? `nsplane ${status.version}, Linux ${status.kernel}`);
  agent.replaceChildren(
    h("span", { class: "dot" }), AGENT[status.agent], status.agent === "here" ? h("span", { class: "id" }, status.id) : "",
  );
  const why = document.getElementById("why");
  why.hidden = status.agent === "here" || !status.why;
  write(why, status.why);
  document.body.classList.toggle("gone", status.agent !== "here");
  const counts = {};
  for (const states of Object.values(status.items ?? {})) {
    for (const [state, count] of Object.entries(states)) counts[state] = (counts[state] ?? 0) + count;
  }
  document.getElementById("counts").replaceChildren(
    ...STATES.filter((state) => counts[state]).map((state) =>
      h("li", {}, h("a", { class: "badge", "data-state": state, href: `#/items?state=${state}` }, `${counts[state].toLocaleString("en")} ${state}`)),
    ),
  );
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || dialog.open) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape" && typing) {
    event.target.blur();
    view.focus();
  } else if (event.key === "Escape" && page instanceof ItemPage) {
    history.length > 1 ? history.back() : (location.hash = "#/items");
  } else if (typing || page.key?.(event)) {
    return;
  } else if (event.key === "?") {
    dialog.showModal();
  } else if (KEYS[event.key]) {
    event.preventDefault();
    const searches = event.key === "/";
    if (!(searches && page instanceof TablePage)) {
      location.hash = KEYS[event.key];
      show();
    }
    if (searches) page.search();
  }
}

addEventListener("hashchange", show);
addEventListener("keydown", onKey);
document.getElementById("help").addEventListener("click", () => dialog.showModal());
live.addEventListener("status", showStatus);
showStatus();
show();
live.start();
