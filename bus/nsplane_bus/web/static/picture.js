// The picture: drawn by the server, coloured here, and drawn anew when links change. Items in it lead to their pages.

import { badge, h, itemAddress, readable, soon, write } from "./dom.js";
import { ask, GoneError } from "./live.js";

const DRAW_MS = 150;
const ZOOM = { "+": 1.25, "=": 1.25, "-": 0.8 };
const STATES = ["configured", "pending", "failed"];

export class PicturePage {
  title = "Picture";
  #live;
  #version = null;
  #tag = null;
  #zoom = null; // null: as large as there is room for, and large enough to be read; 0: all of it
  #size = { width: 1, height: 1 };
  #places = "";
  #closed = false;

  constructor(live, { query }) {
    this.#live = live;
    this.place = h("select", { "aria-label": "Namespace", on: { change: () => this.#choose(this.place.value) } }, h("option", { value: "" }, "every namespace"));
    this.wanted = query.get("namespace") ?? "";
    const zoom = (key, text, label) => h("button", { type: "button", "aria-label": label, title: `${label} (${key})`, on: { click: () => this.#scale(key) } }, text);
    this.note = h("p", { class: "empty", hidden: true });
    this.tiles = h("ul", { class: "tiles", hidden: true });
    this.canvas = h("div", { class: "canvas", tabindex: "0", role: "group", "aria-label": "Picture of what is wanted and there" });
    this.element = h(
      "section", { class: "drawing" },
      h(
        "form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
        this.place,
        h("span", { class: "zoom" }, zoom("-", "−", "Smaller"), zoom("0", "Fit", "All of it"), zoom("+", "+", "Larger")),
        h("ul", { class: "legend", "aria-label": "Colours" }, ...STATES.map((state) => h("li", {}, badge(state)))),
      ),
      this.note, this.tiles, this.canvas,
    );
    this.drawSoon = soon(() => this.#draw(), DRAW_MS);
    this.fitSoon = soon(() => this.#fit(), 0);
    this.onStatus = () => live.status.picture !== this.#version && this.drawSoon();
    live.addEventListener("status", this.onStatus);
    live.addEventListener("rows", this.onStatus);
    addEventListener("resize", this.fitSoon);
    this.drawSoon();
  }

  close() {
    this.#closed = true;
    this.#live.removeEventListener("status", this.onStatus);
    this.#live.removeEventListener("rows", this.onStatus);
    removeEventListener("resize", this.fitSoon);
  }

  moved({ query }) {
    this.wanted = query.get("namespace") ?? "";
    this.#tag = null;
    this.drawSoon();
    return true;
  }

  key(event) {
    if (!(event.key in ZOOM) && event.key !== "0") return false;
    this.#scale(event.key);
    return true;
  }

  #choose(name) {
    location.hash = name ? `#/picture?${new URLSearchParams({ namespace: name })}` : "#/picture";
  }

  async #draw() {
    if (this.#closed || this.#live.status.agent !== "here") return;
    const version = this.#live.status.picture;
    const wanted = this.wanted;
    try {
      const drawn = await ask("picture", { namespace: wanted, have: this.#tag ?? "none" });
      if (this.#closed || wanted !== this.wanted) return;
      this.#version = drawn.version;
      this.#offer(drawn.places);
      if (drawn.svg !== null) this.#place(drawn.svg);
      this.#tag = drawn.tag;
      this.#say(drawn);
      if (this.#live.status.picture !== version) this.drawSoon();
    } catch (error) {
      if (!(error instanceof GoneError || error instanceof TypeError)) throw error;
    }
  }

  #offer(places) {
    if (this.wanted && !places.some((place) => place.id === this.wanted)) places.push({ id: this.wanted, title: this.wanted, states: {} });
    const names = JSON.stringify(places.map((place) => [place.id, place.title]));
    if (names !== this.#places) {
      this.#places = names;
      this.place.replaceChildren(
        h("option", { value: "" }, "every namespace"), ...places.map((place) => h("option", { value: place.id }, place.title)),
      );
    }
    this.place.value = this.wanted;
  }

  #say({ count, places, tag, why }) {
    this.canvas.hidden = !tag || !count;
    this.note.hidden = !this.canvas.hidden;
    this.tiles.hidden = Boolean(tag);
    write(this.note, tag ? "No interface is wanted here." : why);
    if (!tag) this.tiles.replaceChildren(...places.slice(0, 500).map((place) => this.#tile(place)));
  }

  #tile(place) {
    const states = Object.entries(place.states).map(([state, count]) => h("span", { class: "badge", "data-state": state }, `${count} ${state}`));
    const address = `#/picture?${new URLSearchParams({ namespace: place.id })}`;
    return h("li", {}, h("a", { href: address }, h("strong", {}, place.title), ...states));
  }

  /** Puts the picture in place of the one before, with the focus where it was. */
  #place(text) {
    const focused = this.canvas.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const before = new Map([...this.canvas.querySelectorAll("[data-key]")].map((node) => [node.dataset.key, node.getAttribute("class")]));
    const svg = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
    const box = svg.viewBox.baseVal;
    this.#size = box && box.width ? { width: box.width, height: box.height } : { width: svg.width.baseVal.value, height: svg.height.baseVal.value };
    svg.setAttribute("role", "group");
    svg.removeAttribute("aria-label");
    for (const node of svg.querySelectorAll("[data-key]")) {
      this.#lead(node);
      if (before.size && before.get(node.dataset.key) !== node.getAttribute("class")) node.classList.add("changed");
    }
    this.canvas.replaceChildren(svg);
    this.#fit();
    if (focused) this.#node(focused)?.focus({ preventScroll: true });
  }

  #lead(node) {
    const { key } = node.dataset;
    const open = () => { location.hash = itemAddress(key); };
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "link");
    node.setAttribute("aria-label", readable(`${key} ${this.#live.rows.get(key)?.state ?? ""}`));
    node.addEventListener("click", open);
    node.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  }

  #node(key) {
    return this.canvas.querySelector(`[data-key="${CSS.escape(key)}"]`);
  }

  #scale(key) {
    this.#zoom = key === "0" ? 0 : Math.min(4, Math.max(0.1, this.#factor() * ZOOM[key]));
    this.#fit();
  }

  #factor() {
    if (this.#zoom) return this.#zoom;
    const [wide, tall] = [this.canvas.clientWidth - 24, this.canvas.clientHeight - 24];
    const all = Math.min(1.4, wide / this.#size.width, tall / this.#size.height);
    return this.#zoom === 0 ? all : Math.max(0.6, all);
  }

  #fit() {
    const svg = this.canvas.firstElementChild;
    if (!svg) return;
    const zoom = this.#factor();
    svg.setAttribute("width", this.#size.width * zoom);
    svg.setAttribute("height", this.#size.height * zoom);
  }
}
