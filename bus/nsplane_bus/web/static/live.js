// What is known of the agent: its items as rows, and what happens, as the server tells it.

const RELOAD_MS = 2000; // a storm has the items loaded anew, and not without a pause

export class GoneError extends Error {}

/** The answer to a question, decoded. GoneError where there is nobody to give one. */
export async function ask(path, parameters = {}) {
  const response = await fetch(`/api/${path}?${new URLSearchParams(parameters)}`);
  if (response.status === 503) throw new GoneError((await response.json()).error);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

/** Events: `status`, `rows` (detail: the keys that changed, or null where all may have), `happened` (detail: events), `lost`. */
export class Live extends EventTarget {
  rows = new Map();
  status = { agent: "unknown", why: "", items: {} };
  more = false; // are there more items than could be loaded?
  narrowing = { prefix: "", state: "" };
  events = []; // the newest last
  loaded = false;
  #loading = false;
  #again = false;
  #lastLoad = -Infinity;
  #timer = null;
  #waiting = [];

  start() {
    const source = new EventSource("/api/stream");
    let isNew = true;
    source.addEventListener("open", () => { isNew = true; });
    source.addEventListener("status", (event) => {
      const before = this.status;
      this.status = JSON.parse(event.data);
      this.#tell("status");
      if (this.status.agent === "here" && (isNew || before.agent !== "here")) this.load();
      isNew = false;
    });
    source.addEventListener("changes", (event) => this.#take(JSON.parse(event.data)));
    source.addEventListener("reload", (event) => {
      this.#tell("lost", JSON.parse(event.data).why);
      this.load();
    });
    source.addEventListener("error", () => {
      this.status = { ...this.status, agent: "unserved", why: "nsplane web does not answer" };
      this.#tell("status");
    });
  }

  /** Loads all rows anew; what is heard meanwhile comes after. */
  load() {
    if (this.#loading) {
      this.#again = true;
    } else if (this.#timer === null) {
      const pause = Math.max(0, this.#lastLoad + RELOAD_MS - performance.now());
      this.#timer = setTimeout(() => { this.#timer = null; this.#load(); }, pause);
    }
  }

  /** Only what is asked for is loaded, where there is too much: keys that begin so, in this state. */
  narrow(prefix, state) {
    if (this.narrowing.prefix === prefix && this.narrowing.state === state) return;
    this.narrowing = { prefix, state };
    this.#lastLoad = -Infinity;
    this.load();
  }

  async #load() {
    this.#loading = true;
    this.#again = false;
    this.#lastLoad = performance.now();
    try {
      const [found, past] = await Promise.all([ask("items", this.narrowing), ask("past")]);
      this.rows = new Map(found.items.map((row) => [row.key, row]));
      this.more = found.more;
      this.events = past.events.reverse();
      this.loaded = true;
      for (const changes of this.#waiting) this.#apply(changes);
      this.#tell("rows", null);
      this.#tell("happened", null);
    } catch (error) {
      if (!(error instanceof GoneError || error instanceof TypeError)) throw error; // a TypeError is fetch's: no connection
      if (this.status.agent === "here") this.#again = true;
    } finally {
      this.#waiting = [];
      this.#loading = false;
      if (this.#again) this.load();
    }
  }

  #take(changes) {
    this.status.picture = changes.picture;
    if (this.#loading) {
      this.#waiting.push(changes);
      return;
    }
    this.#apply(changes);
    this.#tell("rows", [...changes.rows.map((row) => row.key), ...changes.gone]);
    if (changes.events.length) this.#tell("happened", changes.events);
  }

  #apply(changes) {
    for (const row of changes.rows) {
      if (this.rows.has(row.key) || !this.more || this.#isAskedFor(row)) this.rows.set(row.key, row);
    }
    for (const key of changes.gone) this.rows.delete(key);
    this.events.push(...changes.events);
    if (this.events.length > 2000) this.events.splice(0, this.events.length - 1000);
  }

  #isAskedFor(row) {
    const { prefix, state } = this.narrowing;
    return row.key.startsWith(prefix) && (state === "" || row.state === state) && this.rows.size < 20000;
  }

  /** The namespace of a row: of a route or the like that of the interface that it is on. */
  where(row) {
    return row.where ?? this.rows.get(`interface/${row.on}`)?.where ?? "";
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
