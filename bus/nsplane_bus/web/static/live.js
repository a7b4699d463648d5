// What is known of the agent: its items as rows, and what happens, as the server tells it.

const RELOAD_MS = 2000; // a storm has the items loaded anew, and not without a pause
const REFRESH_MS = 10_000;
const MOST = 20_000; // as many as the server gives

export class GoneError extends Error {}

/** The answer to a question, decoded. GoneError where there is nobody to give one. */
export async function ask(path, parameters = {}) {
  const response = await fetch(`/api/${path}?${new URLSearchParams(parameters)}`);
  if (response.status === 503) throw new GoneError((await response.json()).error);
  if (!response.ok) throw new GoneError(`nsplane web answers ${response.status} ${response.statusText}`);
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
  #refreshTimer = null;
  #revision = null; // that the rows are of, at least
  #source = null;
  #waiting = [];

  start() {
    document.addEventListener("visibilitychange", () => this.#attend());
    this.#attend();
  }

  /** Listens while somebody looks: a browser has six connections to a server, for all of its tabs together. */
  #attend() {
    if (document.hidden) {
      this.#source?.close();
      this.#source = null;
    } else if (this.#source === null) {
      this.#source = this.#listen();
    }
  }

  #listen() {
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
    return source;
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

  /** Loads anew, after a while, where requests may have changed what no event tells: items in the same state as before. */
  refresh() {
    if (!this.loaded || this.status.revision === this.#revision || this.#refreshTimer !== null) return;
    const pause = Math.max(0, this.#lastLoad + REFRESH_MS - performance.now());
    this.#refreshTimer = setTimeout(() => {
      this.#refreshTimer = null;
      const isUnderWay = this.#loading || this.#timer !== null;
      if (this.#source && !isUnderWay && this.status.agent === "here" && this.status.revision !== this.#revision) this.load();
    }, pause);
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
    const { revision } = this.status;
    try {
      const [found, past] = await Promise.all([ask("items", this.narrowing), ask("past")]);
      this.rows = new Map(found.items.map((row) => [row.key, row]));
      this.more = found.more;
      this.#revision = revision;
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
      if (!this.rows.has(row.key) && this.rows.size >= MOST) this.more = true;
      else if (this.rows.has(row.key) || !this.more || this.#isAskedFor(row)) this.rows.set(row.key, row);
    }
    for (const key of changes.gone) this.rows.delete(key);
    const last = this.events.at(-1)?.number ?? 0;
    this.events.push(...changes.events.filter((event) => event.number > last)); // others were loaded
    if (this.events.length > 2000) this.events.splice(0, this.events.length - 1000);
  }

  #isAskedFor(row) {
    const { prefix, state } = this.narrowing;
    return row.key.startsWith(prefix) && (state === "" || row.state === state);
  }

  /** The namespace of a row: of a route or the like that of the interface that it is on. */
  where(row) {
    return row.where ?? this.rows.get(`interface/${row.on}`)?.where ?? "";
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
