// What happened: events as they are heard, and requests of the history, the newest first.

import { badge, clock, h, itemLink, soon, stamp } from "./dom.js";
import { ask, GoneError } from "./live.js";

const LINES = 200;
const DRAW_MS = 250;
const REQUESTS_MS = 1000;
const BARS = 60;
const BAR_SECONDS = 10;

export class TimelinePage {
  title = "Timeline";
  #live;
  #requests = [];
  #revision = null;
  #paused = false;
  #numbers = new WeakMap();
  #lines = new Map();

  constructor(live) {
    this.#live = live;
    const check = (name, text) => h("label", {}, h("input", { type: "checkbox", checked: true, name, on: { change: () => this.#draw() } }), text);
    this.pause = h("button", { type: "button", "aria-pressed": "false", on: { click: () => this.#toggle() } }, "Pause");
    this.filters = h(
      "form", { class: "filters" },
      check("item", "states"), check("drift", "drift"), check("other", "namespaces and microservices"), check("request", "requests"), this.pause,
    );
    this.bars = h("div", { class: "bars", role: "img", "aria-label": "How much happened in the last ten minutes" });
    this.list = h("ol", { class: "happenings" });
    this.empty = h("p", { class: "empty" }, "Nothing has happened since nsplane web began to listen.");
    this.element = h("section", { class: "timeline" }, this.filters, this.bars, this.empty, this.list);
    this.drawSoon = soon(() => this.#paused || this.#draw(), DRAW_MS);
    this.askSoon = soon(() => this.#ask(), REQUESTS_MS);
    this.onStatus = () => live.status.revision !== this.#revision && this.askSoon();
    live.addEventListener("happened", this.drawSoon);
    live.addEventListener("status", this.onStatus);
    this.timer = setInterval(this.drawSoon, BAR_SECONDS * 500);
    this.onStatus();
  }

  opened() {
    this.#draw();
  }

  close() {
    this.#live.removeEventListener("happened", this.drawSoon);
    this.#live.removeEventListener("status", this.onStatus);
    clearInterval(this.timer);
  }

  moved() {
    return true;
  }

  key(event) {
    if (event.key !== "p") return false;
    this.#toggle();
    return true;
  }

  #toggle() {
    this.#paused = !this.#paused;
    this.pause.setAttribute("aria-pressed", this.#paused);
    this.pause.textContent = this.#paused ? "Go on" : "Pause";
    this.drawSoon();
  }

  async #ask() {
    if (this.#live.status.agent !== "here") return;
    this.#revision = this.#live.status.revision;
    try {
      this.#requests = await ask("requests");
      this.drawSoon();
    } catch (error) {
      if (!(error instanceof GoneError || error instanceof TypeError)) throw error;
    }
  }

  #draw() {
    const wanted = new FormData(this.filters);
    const events = this.#live.events.filter((event) => wanted.has(event.sort in { item: 0, drift: 0 } ? event.sort : "other")).slice(-LINES).reverse();
    const requests = wanted.has("request") ? this.#requests : [];
    const happened = [...events.map((event) => [event.time, event]), ...requests.map((request) => [request.time, request])];
    happened.sort((one, other) => other[0] - one[0]);
    const lines = new Map();
    for (const [, one] of happened.slice(0, LINES)) {
      const id = one.revisions ? `request ${one.revisions} ${one.why}` : one;
      lines.set(id, this.#lines.get(id) ?? (one.revisions ? requestLine(one) : eventLine(one)));
    }
    this.#lines = lines;
    replace(this.list, [...lines.values()]);
    this.empty.hidden = lines.size > 0;
    this.#drawBars();
  }

  #drawBars() {
    const end = Math.ceil(Date.now() / 1000 / BAR_SECONDS);
    const bars = Array.from({ length: BARS }, () => ({ good: 0, bad: 0 }));
    for (const event of this.#live.events) {
      const bar = bars[BARS - 1 - (end - 1 - Math.floor(event.time / BAR_SECONDS))];
      if (bar) bar[event.state === "failed" || event.state === "retrying" || event.sort === "drift" ? "bad" : "good"] += 1;
    }
    const most = Math.max(1, ...bars.map((bar) => bar.good + bar.bad));
    if (!this.bars.children.length) this.bars.append(...bars.map(() => h("span", {}, h("i", { class: "bad" }), h("i", { class: "good" }))));
    for (const [index, bar] of bars.entries()) {
      const element = this.bars.children[index];
      for (const part of element.children) part.style.height = `${(bar[part.className] / most) * 100}%`;
      element.title = `${bar.good + bar.bad} events at ${stamp((end - BARS + index) * BAR_SECONDS)}`;
    }
  }
}

function eventLine(event) {
  return h(
    "li", { "data-sort": event.sort },
    h("time", { title: stamp(event.time) }, clock(event.time)),
    h("span", { class: "change" }, event.before && event.before !== "none" ? h("small", {}, `${event.before} → `) : "", badge(event.state)),
    h("span", { class: "key" }, event.sort === "drift" ? h("small", {}, "drift ") : "", itemLink(event.key)),
    h("span", { class: "why" }, event.why),
  );
}

export function requestLine(request) {
  return h(
    "li", { "data-sort": "request" },
    h("time", { title: stamp(request.time) }, clock(request.time)),
    h("span", { class: "change" }, h("span", { class: "badge", "data-state": request.failed ? "failed" : "request" }, request.op)),
    h("span", { class: "key" }, `revision ${request.revisions}`, h("small", {}, ` by ${request.source}${request.took ? `, ${request.took}` : ""}`)),
    h("span", { class: "why" }, request.why),
  );
}

/** Has the list these elements; those that are there already stay where they are, with the focus that they may have. */
function replace(list, elements) {
  let place = list.firstChild;
  for (const element of elements) {
    if (element === place) place = place.nextSibling;
    else list.insertBefore(element, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}
