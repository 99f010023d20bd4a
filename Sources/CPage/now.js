// SPDX-License-Identifier: Apache-2.0
// What is told live, and the view of all of it at a glance. A view is made when it is first shown,
// and drawn while it is.

const store = new Store();
const nothing = "–";

function burnWords(burn) {
  if (!isNumber(burn)) return "";
  return burn < 0.005 ? "0×" : `${burn < 10 ? burn.toFixed(2) : count(burn)}×`;
}

/** `gone in 9 min`, for a budget of a day or more. */
function leftWords(left) {
  return isNumber(left) ? `gone in ${span(left)}` : "";
}

function burnTone(burn) {
  return !isNumber(burn) || burn < 1 ? "burn" : "burn level-high";
}

// Now

class Figure {
  constructor(name) {
    this.value = h("div", {class: "value"});
    this.note = h("div", {class: "note"});
    this.spark = new Spark();
    this.element =
        h("div", {}, h("dt", {}, name), h("dd", {}, this.value, this.note, this.spark.element));
  }

  set(value, note, history) {
    say(this.value, value);
    say(this.note, note);
    this.spark.set(history);
  }
}

class NearestItem {
  constructor() {
    this.name = h("a", {class: "id"});
    this.burn = h("span");
    this.limit = new LimitBar();
    this.element = h("li", {}, h("div", {class: "row"}, this.name, this.burn), this.limit.element);
  }

  set({tenant, pressure}) {
    say(this.name, tenant.id);
    mark(this.name, "href", tenantAddress(tenant.id));
    say(this.burn,
        isNumber(pressure.burn) ?
            [`burn ${burnWords(pressure.burn)}`, leftWords(pressure.left)].filter(Boolean).join(
                ", "
            ) :
            "");
    dress(this.burn, burnTone(pressure.burn));
    this.limit.set(pressure.limit, store.currency);
  }
}

class RefusalItem {
  constructor() {
    this.time = h("span", {class: "time"});
    this.tenant = h("a", {class: "id"});
    this.why = h("a", {class: "why"});
    this.element = h("li", {}, h("div", {class: "row"}, this.tenant, this.time), this.why);
  }

  set(record) {
    say(this.time, clock(record.time_s));
    say(this.tenant, record.tenant);
    mark(this.tenant, "href", tenantAddress(record.tenant));
    say(this.why, refusalLine(record, store.currency));
    mark(this.why, "href", requestAddress(record.request_id, record.tenant));
    mark(
        this.why, "aria-label",
        `${refusalLine(record, store.currency)}. Explain ${record.request_id}`
    );
  }
}

class MapCell {
  constructor() {
    this.fill = h("span");
    this.element = h("a", {}, this.fill);
  }

  set(engine) {
    const share = engine.kv.projected_share;
    const [state, tone] = engineState(engine);
    const label = `${engine.endpoint}: ${state}, KV ${percent(share)}`;
    const off = tone === "bad" ? "off" :
        engine.available       ? cacheLevel(share, store.ticks(engine.pool)) :
                                 "rest";
    dress(this.element, off);
    mark(this.element, "href", `#/engines?find=${encodeURIComponent(engine.endpoint)}`);
    mark(this.element, "title", label);
    mark(this.element, "aria-label", label);
    this.fill.style.height =
        off === "off" || !isNumber(share) ? "0" : `${Math.min(100, share * 100)}%`;
  }
}

class PoolMap {
  static mostCells = 400;

  constructor() {
    this.name = h("span");
    this.note = h("span");
    this.map = h("div", {class: "map"});
    this.cells = new Pool(this.map, () => new MapCell());
    this.element = h("div", {class: "pool"}, h("p", {}, this.name, this.note), this.map);
  }

  set({pool, engines}) {
    const shown = engines.slice(0, PoolMap.mostCells);
    const up = engines.filter((engine) => engine.available).length;
    const open = engines.reduce((sum, engine) => sum + (engine.own_sequences ?? 0), 0);
    const left = engines.length - shown.length;
    say(this.name, pool);
    say(this.note,
        `${count(up)} of ${count(engines.length)} take requests, ${count(open)} open` +
            `${left ? `, ${count(left)} not drawn` : ""}`);
    dress(this.map, shown.length <= 12 ? "map few" : "map");
    this.cells.set(shown);
  }
}

class NowView {
  constructor() {
    const names =
        ["Requests / s", "Refused / min", "Tokens / s", "Waiting", "Fullest KV cache", "Cost / h"];
    this.figures = names.map((name) => new Figure(name));
    byID("figures").append(...this.figures.map((figure) => figure.element));
    this.nearest = new HeldList(
        byID("nearest"), () => new NearestItem(), "No tenant has a limit that anything was used of."
    );
    this.latest =
        new HeldList(byID("latest"), () => new RefusalItem(), "Nothing was refused of late.");
    this.map = new Pool(byID("map"), () => new PoolMap());
    this.lines = new PagedTable(byID("lines"), {
      caption: "Queues",
      none: "There are no classes.",
      key: (queue) => queue.class,
      columns: [
        {
          name: "Class",
          make: textCell(
              (queue) => queue.class,
              {
                sub: (queue) => `pool ${queue.pool}`
              }
          )
        },
        {name: "Waiting", class: "n", make: textCell((queue) => count(queue.requests))},
        {name: "Tokens", class: "n", make: textCell((queue) => compact(queue.tokens))},
        {
          name: "Oldest",
          class: "n",
          make: textCell((queue) => isNumber(queue.oldest_s) ? span(queue.oldest_s) : nothing)
        },
        {name: "For", make: textCell((queue) => waits[queue.waits_for] ?? nothing)},
      ],
    });
  }

  draw() {
    const now = store.present;
    if (!now) return;
    const history = (name) => store.history.map((entry) => entry[name]);
    const [requests, refused, tokens, waiting, kv, cost] = this.figures;
    requests.set(rate(now.requests), "of any outcome", history("requests"));
    refused.set(rate(now.refused), "in the last minute", history("refused"));
    tokens.set(
        rate((now.input ?? 0) + (now.output ?? 0)),
        `${rate(now.input)} in, ${rate(now.output)} out`, history("tokens")
    );
    waiting.set(count(now.waiting), "in all queues", history("waiting"));
    kv.set(
        now.fullest ? percent(now.fullest.kv.projected_share) : nothing,
        now.fullest ? now.fullest.endpoint : "no engine says", history("kv")
    );
    cost.element.hidden = !store.currency && !now.cost;
    cost.set(
        money(now.hourly, store.currency), `${money(now.cost, store.currency)} so far`,
        history("cost")
    );
    const pressures = [...store.tenants.values()]
                          .map((tenant) => ({tenant, pressure: store.pressure(tenant)}))
                          .filter((entry) => entry.pressure.share > 0)
                          .sort((a, b) => b.pressure.share - a.pressure.share);
    this.nearest.set(pressures.slice(0, 7));
    this.latest.set(store.refusals.slice(0, 7));
    this.map.set(byPool([...store.endpoints.values()]));
    this.lines.set([...store.queues.values()]);
  }
}

/** A short list that holds still while somebody points at it. */
class HeldList {
  constructor(parent, make, none) {
    this.list = h("ul", {class: "list"});
    this.none = h("p", {class: "none"}, none);
    this.items = new Pool(this.list, make);
    parent.append(this.list, this.none);
  }

  set(items) {
    const isHeld = this.list.matches(":hover") || this.list.contains(document.activeElement);
    if (isHeld && items.length) return;
    this.list.hidden = items.length === 0;
    this.none.hidden = items.length > 0;
    this.items.set(items);
  }
}

function byPool(engines) {
  const pools = new Map();
  for (const engine of engines) {
    if (!pools.has(engine.pool)) pools.set(engine.pool, []);
    pools.get(engine.pool).push(engine);
  }
  return [...pools].map(([pool, found]) => ({pool, engines: found}));
}
