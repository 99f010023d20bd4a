// SPDX-License-Identifier: Apache-2.0
// Elements, made and changed by their properties alone: text is text whatever stands in it, and
// nothing here turns a string into markup. The page's policy forbids that as well.

/** An element; `properties`: `class`, `on…` listeners, other names as attributes. */
function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on"))
      element.addEventListener(name.slice(2), value);
    else
      element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

const byID = (id) => document.getElementById(id);

/** Changes a text only where it differs: an unchanged one costs no layout. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function dress(element, name) {
  if (element.className !== name) element.className = name;
}

/** `#/requests/…`: whatever an id holds is one part of the address. */
function requestAddress(id, tenant) {
  const query = tenant ? `?tenant=${encodeURIComponent(tenant)}` : "";
  return `#/requests/${encodeURIComponent(id)}${query}`;
}

function tenantAddress(id) {
  return `#/tenants/${encodeURIComponent(id)}`;
}

/** A bar from nothing to full, with what else is asked for, a line, and ticks. */
class Bar {
  constructor() {
    this.fill = h("span", {class: "fill"});
    this.more = h("span", {class: "more"});
    this.line = h("span", {class: "mark", hidden: true});
    this.element =
        h("div", {class: "bar", role: "meter", "aria-valuemin": 0, "aria-valuemax": 100}, this.fill,
          this.more, this.line);
    this.ticks = [];
  }

  set(share, label, {more = 0, fits = null, line = null, ticks = [], tone = level(share)} = {}) {
    const known = isNumber(share);
    const part = (value) => `${Math.min(100, Math.max(0, value * 100)).toFixed(1)}%`;
    dress(this.element, `bar ${known ? tone : "unknown"}${fits === true ? " fits" : ""}`);
    mark(
        this.element, "aria-valuenow", known ? String(Math.min(100, Math.round(share * 100))) : "0"
    );
    mark(this.element, "aria-label", label);
    mark(this.element, "aria-valuetext", known ? percent(share) : "unknown");
    this.fill.style.width = known ? part(share) : "0";
    this.more.style.left = known ? part(share) : "0";
    this.more.style.width = known && more > 0 ? part(Math.min(more, 1 - Math.min(1, share))) : "0";
    this.line.hidden = !isNumber(line);
    if (isNumber(line)) this.line.style.left = `min(${part(line)}, calc(100% - 2px))`;
    while (this.ticks.length < ticks.length) {
      const tick = h("span", {class: "tick"});
      this.ticks.push(tick);
      this.element.append(tick);
    }
    this.ticks.forEach((tick, place) => {
      tick.hidden = place >= ticks.length;
      if (place < ticks.length) tick.style.left = part(ticks[place]);
    });
  }
}

/** A limit with its bar: `tokens per minute   87 of 150`. */
class LimitBar {
  constructor() {
    this.what = h("span", {class: "what"});
    this.numbers = h("span");
    this.bar = new Bar();
    this.element = h("div", {class: "limit"}, this.what, this.numbers, this.bar.element);
  }

  set(limit, currency, name = "") {
    const share = limitShare(limit);
    const label = `${name}${accountWords(limit)}${limitWords(limit.name)}`;
    say(this.what, label);
    say(this.numbers,
        `${isNumber(limit.used) ? amount(limit.name, limit.used, currency) : "?"} of ` +
            amount(limit.name, limit.limit, currency));
    dress(this.numbers, level(share) ? `level-${level(share)}` : "");
    this.bar.set(share, label);
  }
}

function limitShare(limit) {
  if (!isNumber(limit.used)) return null;
  return limit.limit > 0 ? limit.used / limit.limit : 1;
}

/** As many children of one kind as there are items: kept, changed, and hidden where too many. */
class Pool {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.parts = [];
  }

  set(items) {
    while (this.parts.length < items.length) {
      const part = this.make();
      this.parts.push(part);
      this.parent.append(part.element);
    }
    this.parts.forEach((part, place) => {
      part.element.hidden = place >= items.length;
      if (place < items.length) part.set(items[place], place);
    });
  }
}

/**
 * A table in pages. However many items there are, the document holds one page of rows. The order
 * holds still while somebody points at it or has the focus in it.
 */
class PagedTable {
  constructor(parent, {caption, columns, key, perPage = 25, none}) {
    this.key = key;
    this.perPage = perPage;
    this.page = 0;
    this.items = [];
    this.body = h("tbody");
    this.table = h(
        "table", {}, h("caption", {class: "unseen"}, caption),
        h("thead", {},
          h("tr", {},
            ...columns.map((column) => h("th", {scope: "col", class: column.class}, column.name)))),
        this.body
    );
    this.rows = new Pool(this.body, () => {
      const cells = columns.map((column) => column.make());
      const element = h("tr", {}, ...cells.map((cell, place) => h(
        "td", { class: columns[place].class, "data-label": columns[place].name }, cell.element)));
      return { element, set: (item) => cells.forEach((cell) => cell.set(item)) };
    });
    this.none = h("p", {class: "none"}, none);
    this.note = h("span", {role: "status"});
    this.back = h("button", {type: "button", onclick: () => this.turn(-1)}, "Previous");
    this.forth = h("button", {type: "button", onclick: () => this.turn(1)}, "Next");
    this.pager = h("div", {class: "pager"}, this.back, this.note, this.forth);
    parent.append(this.table, this.none, this.pager);
  }

  get isHeld() {
    return this.body.matches(":hover") || this.body.contains(document.activeElement);
  }

  set(items, {anew = false} = {}) {
    if (anew)
      this.page = 0;
    else if (this.isHeld)
      items = this.inOldOrder(items);
    this.items = items;
    this.draw();
  }

  inOldOrder(items) {
    const places = new Map(this.items.map((item, place) => [this.key(item), place]));
    const place = (item) => places.get(this.key(item)) ?? Infinity;
    return items.slice().sort((a, b) => {
      const [left, right] = [place(a), place(b)];
      return left === right ? 0 : left - right;
    });
  }

  turn(by) {
    this.page += by;
    this.draw();
    // A button that is not there any more must not take the focus with it.
    (by > 0 && this.forth.disabled    ? this.back :
         by < 0 && this.back.disabled ? this.forth :
                                        null)
        ?.focus();
  }

  draw() {
    const pages = Math.max(1, Math.ceil(this.items.length / this.perPage));
    this.page = Math.min(Math.max(0, this.page), pages - 1);
    const first = this.page * this.perPage;
    this.rows.set(this.items.slice(first, first + this.perPage));
    this.table.hidden = this.items.length === 0;
    this.none.hidden = this.items.length > 0;
    this.pager.hidden = pages < 2;
    this.back.disabled = this.page === 0;
    this.forth.disabled = this.page === pages - 1;
    say(this.note,
        `${count(first + 1)}–${count(Math.min(first + this.perPage, this.items.length))} ` +
            `of ${count(this.items.length)}`);
  }
}

/** A cell that is one text, with a second line in grey where there is one. */
function textCell(text, options = {}) {
  return () => {
    const main = h("span", { class: options.class });
    const sub = options.sub ? h("div", { class: "sub" }) : null;
    return {
      element: h("div", {}, main, sub),
      set(item) {
        say(main, text(item));
        if (sub) say(sub, options.sub(item));
        if (options.tone) dress(main, options.tone(item));
      },
    };
  };
}

function linkCell(text, address, sub = null) {
  return () => {
    const link = h("a", { class: "id" });
    const below = sub ? h("div", { class: "sub" }) : null;
    return {
      element: h("div", {}, link, below),
      set(item) {
        say(link, text(item));
        mark(link, "href", address(item));
        if (below) say(below, sub(item));
      },
    };
  };
}

/** A line of the last minutes. */
class Spark {
  constructor() {
    const space = "http://www.w3.org/2000/svg";
    this.element = document.createElementNS(space, "svg");
    this.element.setAttribute("viewBox", "0 0 120 22");
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.line = document.createElementNS(space, "polyline");
    this.element.append(this.line);
  }

  set(values) {
    const most = Math.max(...values, 1e-9);
    const from = 120 - values.length;
    this.line.setAttribute(
        "points",
        values.map(
                  (value, place) => `${from + place + 1},${(21 - (value / most) * 19).toFixed(1)}`
        ).join(" ")
    );
  }
}
