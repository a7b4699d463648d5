// The table of items: only the lines that are seen are there, so that ten thousand are as quick as ten.

import { age, badge, h, itemAddress, readable, soon, write } from "./dom.js";

const COLUMNS = [
  ["key", "Key"], ["state", "State"], ["where", "Namespace"], ["what", "What"], ["source", "Source"], ["since", "Since"], ["why", "Why"],
];
const STATES = ["configured", "pending", "retrying", "failed", "running", "awaited"];
const KINDS = ["interface", "route", "arp", "fdb", "microservice"]; // in this order, by the beginnings of keys
const BEYOND = 6; // lines above and below what is seen
const ARRANGE_MS = 200;
const TYPED_MS = 120;

export class TablePage {
  title = "Items";
  #live;
  #lines = []; // the rows that are shown, in their order
  #drawn = []; // the elements, one for each line that is seen
  #chosen = null;
  #sort = { by: "key", falling: false };
  #kinds = [];
  #texts = new WeakMap();
  #typed = 0;

  constructor(live, { query }) {
    this.#live = live;
    this.#build();
    this.#read(query);
    this.arrangeSoon = soon(() => this.#arrange(), ARRANGE_MS);
    this.drawSoon = soon(() => this.#draw(), 0);
    this.onStatus = () => live.refresh();
    this.onRows = () => { this.arrangeSoon(); live.refresh(); };
    live.addEventListener("rows", this.onRows);
    live.addEventListener("status", this.onStatus);
    addEventListener("resize", this.drawSoon);
    this.timer = setInterval(this.drawSoon, 5000); // what was 5 s ago is 10 s ago
  }

  opened() {
    this.#arrange();
    this.#live.refresh();
  }

  close() {
    this.#live.removeEventListener("rows", this.onRows);
    this.#live.removeEventListener("status", this.onStatus);
    removeEventListener("resize", this.drawSoon);
    clearInterval(this.timer);
  }

  moved({ query }) {
    if (new URLSearchParams(this.#filters()).toString() !== query.toString()) {
      this.#read(query);
      this.#arrange();
    }
    return true;
  }

  search() {
    this.input.focus();
    this.input.select();
  }

  #build() {
    const changed = () => this.#filtered();
    this.input = h("input", {
      type: "search", placeholder: "Search in keys, states, namespaces, reasons", "aria-label": "Search", autocomplete: "off", spellcheck: "false",
      on: { input: () => { clearTimeout(this.#typed); this.#typed = setTimeout(changed, TYPED_MS); }, keydown: (event) => this.#leave(event) },
    });
    this.kind = h("select", { "aria-label": "Kind", on: { change: changed } }, h("option", { value: "" }, "every kind"));
    this.state = h(
      "select", { "aria-label": "State", on: { change: changed } },
      h("option", { value: "" }, "every state"), ...STATES.map((state) => h("option", {}, state)),
    );
    this.count = h("output", { class: "count", "aria-live": "polite" });
    this.heads = COLUMNS.map(([name, title]) =>
      h("span", { role: "columnheader", class: name }, h("button", { type: "button", on: { click: () => this.#sortBy(name) } }, title)),
    );
    this.sizer = h("div", { class: "sizer", role: "rowgroup" });
    this.scroller = h(
      "div",
      {
        class: "scroller", role: "grid", tabindex: "0", "aria-label": "Items", "aria-colcount": COLUMNS.length,
        on: { scroll: () => this.drawSoon(), keydown: (event) => this.#walk(event) },
      },
      h("div", { class: "line head", role: "row" }, ...this.heads), this.sizer,
    );
    this.note = h("p", { class: "note", hidden: true });
    this.element = h(
      "section", { class: "table" },
      h("form", { class: "filters", role: "search", on: { submit: (event) => event.preventDefault() } }, this.input, this.kind, this.state, this.count),
      this.note, this.scroller,
    );
  }

  #read(query) {
    this.input.value = query.get("q") ?? "";
    this.state.value = query.get("state") ?? "";
    this.#offer(query.get("kind") ?? "");
  }

  #filters() {
    return Object.fromEntries([["q", this.input.value.trim()], ["kind", this.kind.value], ["state", this.state.value]].filter(([, value]) => value));
  }

  #filtered() {
    const query = new URLSearchParams(this.#filters()).toString();
    history.replaceState(null, "", query ? `#/items?${query}` : "#/items");
    this.scroller.scrollTop = 0;
    this.#arrange();
  }

  /** The kinds that there are, to be chosen from. */
  #offer(chosen = this.kind.value) {
    const kinds = [...new Set([...this.#live.rows.values()].map((row) => row.kind).concat(chosen || []))].sort();
    if (kinds.join() !== this.#kinds.join()) {
      this.#kinds = kinds;
      this.kind.replaceChildren(h("option", { value: "" }, "every kind"), ...kinds.map((kind) => h("option", {}, kind)));
    }
    this.kind.value = chosen;
  }

  #sortBy(name) {
    this.#sort = { by: name, falling: this.#sort.by === name && !this.#sort.falling };
    this.#arrange();
  }

  /** Which rows are shown, and in which order. */
  #arrange() {
    const live = this.#live;
    this.#offer();
    const words = this.input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = this.kind.value;
    const state = this.state.value;
    const lines = [];
    for (const row of live.rows.values()) {
      if ((kind === "" || row.kind === kind) && (state === "" || row.state === state)) {
        const text = this.#text(row);
        if (words.every((word) => text.search.includes(word))) lines.push(row);
      }
    }
    const { by, falling } = this.#sort;
    const sign = falling ? -1 : 1;
    const value = by === "since" ? (row) => -(row.since ?? 0) : by === "key" ? (row) => this.#text(row).order : (row) => this.#cell(row, by);
    lines.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a !== b) return a < b ? -sign : sign;
      return this.#text(one).order < this.#text(other).order ? -1 : 1;
    });
    this.#lines = lines;
    for (const [index, [name]] of COLUMNS.entries()) {
      this.heads[index].setAttribute("aria-sort", name !== by ? "none" : falling ? "descending" : "ascending");
    }
    const all = live.rows.size;
    const shown = lines.length.toLocaleString("en");
    write(this.count, !live.loaded ? "loading" : lines.length === all ? `${shown} items` : `${shown} of ${all.toLocaleString("en")}`);
    this.#narrow(words);
    this.#draw();
  }

  /** Has the server choose where there are more items than a browser is given. */
  #narrow(words) {
    const live = this.#live;
    const { prefix, state } = live.narrowing;
    if (live.more || prefix || state) {
      const isKey = /^(interface|route|arp|fdb|microservice)\//.test(words[0] ?? "");
      live.narrow(isKey ? this.input.value.trim().split(/\s+/)[0] : "", STATES.indexOf(this.state.value) < 4 ? this.state.value : "");
    }
    this.note.hidden = !live.more;
    write(this.note, "There are more items than a browser is given. Choose a state, or begin the search with a key's beginning, such as route/web0/.");
  }

  /** What is searched in a row, and what it is sorted by: numbers in keys by their size. */
  #text(row) {
    let text = this.#texts.get(row);
    if (text === undefined) {
      const search = [row.key, row.state, row.kind, row.source, this.#live.where(row), row.what, row.why].join(" ").toLowerCase();
      const rank = KINDS.indexOf(row.key.slice(0, row.key.indexOf("/")));
      text = { search, order: rank + row.key.replace(/\d+/g, (digits) => digits.padStart(10, "0")) };
      this.#texts.set(row, text);
    }
    return text;
  }

  #cell(row, name) {
    return name === "where" ? this.#live.where(row) : name === "since" ? age(row.since) : (row[name] ?? "");
  }

  #draw() {
    const height = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--line")) || 34;
    const lines = this.#lines;
    this.sizer.style.height = `${lines.length * height}px`;
    this.scroller.setAttribute("aria-rowcount", lines.length + 1);
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / height) - BEYOND);
    const count = Math.min(lines.length - first, Math.ceil(this.scroller.clientHeight / height) + 2 * BEYOND);
    while (this.#drawn.length < count) this.#drawn.push(this.sizer.appendChild(this.#line()));
    for (const line of this.#drawn.splice(Math.max(0, count))) line.remove();
    for (const [index, line] of this.#drawn.entries()) this.#fill(line, lines[first + index], first + index, height);
    const chosen = this.#drawn.find((line) => line.dataset.key === this.#chosen);
    if (chosen) this.scroller.setAttribute("aria-activedescendant", chosen.id);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  #line() {
    const link = h("a", { tabindex: "-1" });
    const state = badge("");
    const cells = COLUMNS.map(([name]) => h("span", { role: "gridcell", class: name }, name === "key" ? link : name === "state" ? state : ""));
    const line = h("div", { class: "line", role: "row", on: { click: (event) => this.#clicked(event, line) } }, ...cells);
    line.parts = Object.fromEntries(COLUMNS.map(([name], index) => [name, name === "key" ? link : name === "state" ? state : cells[index]]));
    return line;
  }

  #fill(line, row, index, height) {
    const { parts } = line;
    line.style.transform = `translateY(${index * height}px)`;
    line.id = `line-${index}`;
    line.dataset.key = row.key;
    line.setAttribute("aria-rowindex", index + 2);
    line.setAttribute("aria-selected", row.key === this.#chosen);
    parts.key.href = itemAddress(row.key);
    parts.state.dataset.state = row.state;
    for (const [name] of COLUMNS) write(parts[name], this.#cell(row, name));
    parts.key.title = readable(row.key);
    parts.why.title = readable(row.why);
    parts.what.title = readable(row.what);
  }

  #clicked(event, line) {
    this.#chosen = line.dataset.key;
    if (!event.target.closest("a") && !getSelection().toString()) location.hash = itemAddress(line.dataset.key);
  }

  #leave(event) {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      clearTimeout(this.#typed);
      this.#filtered();
      this.#choose(0);
      this.scroller.focus();
    }
  }

  #walk(event) {
    const height = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--line")) || 34;
    const many = Math.max(1, Math.floor(this.scroller.clientHeight / height) - 2);
    const steps = {
      ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: many, PageUp: -many, Home: -Infinity, End: Infinity,
    };
    const now = this.#lines.findIndex((row) => row.key === this.#chosen);
    if (event.target !== this.scroller || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in steps) {
      event.preventDefault();
      this.#choose(Math.min(this.#lines.length - 1, Math.max(0, now + steps[event.key])));
    } else if (event.key === "Enter" && now >= 0) {
      location.hash = itemAddress(this.#chosen);
    }
  }

  #choose(index) {
    if (!this.#lines.length) return;
    this.#chosen = this.#lines[index].key;
    const height = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--line")) || 34;
    const room = this.scroller.clientHeight - this.scroller.firstElementChild.offsetHeight;
    const top = index * height;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + height > this.scroller.scrollTop + room) this.scroller.scrollTop = top + height - room;
    this.#draw();
  }
}
