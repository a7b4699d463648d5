// The page of one item: how it is and why, as it is wanted, and what became of it.

import { age, badge, clock, h, itemLink, readable, soon, stamp } from "./dom.js";
import { ask, GoneError } from "./live.js";
import { requestLine } from "./timeline.js";

const ASK_MS = 300;
const AGAIN_MS = 10_000;
const LONGEST = 14_000; // of a key in an address, which the server takes: no key that there can be is so long

export class ItemPage {
  #live;
  #key;
  #about = new Set();

  constructor(live, { argument }) {
    this.#live = live;
    this.#key = argument;
    this.title = readable(argument);
    this.body = h("div", { class: "cards" }, h("p", { class: "empty" }, "loading"));
    this.state = h("span", {});
    this.element = h("section", { class: "item" }, h("h1", {}, h("span", { class: "name" }, argument), this.state), this.body);
    this.askSoon = soon(() => this.#ask(), ASK_MS);
    this.onRows = ({ detail }) => (detail === null || detail.some((key) => this.#about.has(key))) && this.askSoon();
    this.onHappened = ({ detail }) => detail?.some((event) => event.key === this.#key) && this.askSoon();
    live.addEventListener("rows", this.onRows);
    live.addEventListener("happened", this.onHappened);
    this.timer = setInterval(this.askSoon, AGAIN_MS); // it says for how long it has been so
    this.askSoon();
  }

  close() {
    clearInterval(this.timer);
    this.#live.removeEventListener("rows", this.onRows);
    this.#live.removeEventListener("happened", this.onHappened);
    this.#key = null;
  }

  async #ask() {
    const key = this.#key;
    if (key === null || this.#live.status.agent === "gone") return;
    if (encodeURIComponent(key).length > LONGEST) {
      this.body.replaceChildren(h("p", { class: "empty" }, "No item's key is so long."));
      return;
    }
    try {
      const found = await ask("item", { key });
      if (this.#key !== null) this.#show(found);
    } catch (error) {
      if (!(error instanceof GoneError || error instanceof TypeError)) throw error;
      if (this.#key !== null && !this.#about.size) this.body.replaceChildren(h("p", { class: "empty" }, error instanceof GoneError ? error.message : "nsplane web does not answer"));
    }
  }

  #show({ entry, chain, past, requests, since }) {
    this.#about = new Set([this.#key, ...chain.map((link) => link.key)]);
    this.state.replaceChildren(badge(entry ? entry.state : "not there"));
    const drift = past.filter((event) => event.sort === "drift");
    const states = past.filter((event) => event.sort !== "drift");
    const heard = ` since ${stamp(since)}`;
    const cards = [
      card("Why", entry ? chainList(chain, this.#key) : h("p", {}, "Nobody wants an item of this key.")),
      entry && card("As it is wanted", fields(entry.item ?? entry, entry)),
      card("Drift", drift.length ? happenings(drift) : h("p", { class: "empty" }, `Nobody else has changed it${heard}.`)),
      card("History", states.length ? happenings(states) : h("p", { class: "empty" }, `Its state has not changed${heard}.`)),
      requests.length ? card(`Requests of source ${entry.source}`, h("ol", { class: "happenings" }, ...requests.map(requestLine))) : null,
    ];
    this.body.replaceChildren(...cards.filter(Boolean));
  }
}

function card(title, ...content) {
  return h("section", { class: "card" }, h("h2", {}, title), ...content);
}

/** What is waited for, each with a link to its page in place of its key. */
function chainList(chain, own) {
  return h("ul", { class: "chain" }, ...chain.map(({ depth, key, state, text }) => {
    const line = h("li", { "data-state": state }, ...(key && key !== own && text.startsWith(key) ? [itemLink(key), text.slice(key.length)] : [text]));
    line.style.marginInlineStart = `${Math.min(depth, 6) * 1.2}rem`;
    return line;
  }));
}

function fields(item, entry) {
  const list = h("dl", { class: "fields" });
  const add = (name, value) => list.append(h("dt", {}, name), h("dd", {}, ...value));
  for (const [name, value] of Object.entries(item)) add(name, shown(name, value));
  if (entry.item) add("source", [entry.source]);
  if (entry.since) add("since", [`${stamp(entry.since)} (${age(entry.since)})`]);
  return list;
}

const NAMES = new Set(["peer", "parent", "master", "interface"]);

/** A field's value; what names another interface leads to it. */
function shown(name, value) {
  if (NAMES.has(name) && typeof value === "string") return [h("a", { href: `#/item/${encodeURIComponent(`interface/${value}`)}` }, value)];
  if (Array.isArray(value)) return value.map((one) => h("code", {}, typeof one === "string" ? one : JSON.stringify(one)));
  if (value !== null && typeof value === "object") return [h("code", {}, JSON.stringify(value).replaceAll('"', "").replaceAll(":", ": ").replaceAll(",", ", "))];
  return [h("code", {}, String(value))];
}

function happenings(events) {
  return h("ol", { class: "happenings" }, ...events.slice(0, 100).map((event) => h(
    "li", {},
    h("time", { title: stamp(event.time) }, clock(event.time)),
    h("span", { class: "change" }, event.before && event.before !== "none" ? h("small", {}, `${event.before} → `) : "", badge(event.state)),
    h("span", { class: "why" }, event.why),
  )));
}
