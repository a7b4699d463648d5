// Elements, and what is shown in them. Names come from peers and may hold anything: they become text and never markup.

/** An element: attributes by their names, `on` listeners by their events; children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined && child !== "") element.append(child instanceof Node ? child : readable(child));
  }
  return element;
}

/** The text with what is seen by nobody, or turns the direction, as escapes. */
export function readable(text) {
  return String(text).replace(/[\p{C}\u2028\u2029]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** Sets an element's text where it is another one. */
export function write(element, text) {
  const shown = readable(text ?? "");
  if (element.textContent !== shown) element.textContent = shown;
}

export function badge(state) {
  return h("span", { class: "badge", "data-state": state }, state);
}

/** A link to the page of an item or microservice. */
export function itemLink(key, attributes = {}) {
  return h("a", { href: itemAddress(key), ...attributes }, key);
}

export function itemAddress(key) {
  return `#/item/${encodeURIComponent(key)}`;
}

/** Seconds since the epoch, as a time ago. */
export function age(since) {
  if (since === null || since === undefined) return "";
  const seconds = Math.max(0, Date.now() / 1000 - since);
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.round(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

export function clock(seconds) {
  const time = new Date(seconds * 1000);
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

export function stamp(seconds) {
  const time = new Date(seconds * 1000);
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock(seconds).slice(0, 8)}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}

/** A function that has `work` done soon, once for all calls until then, and not more often than each `milliseconds`. */
export function soon(work, milliseconds) {
  let last = -Infinity;
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    const pause = Math.max(0, last + milliseconds - performance.now());
    setTimeout(() => requestAnimationFrame(async () => {
      waits = false;
      last = performance.now();
      await work();
    }), pause);
  };
}
