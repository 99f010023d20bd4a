// SPDX-License-Identifier: Apache-2.0
// The views of one thing each: tenants, engines, queues, refusals.

// Tenants

class LimitsCell {
  constructor() {
    const list = h("div");
    this.bars = new Pool(list, () => {
      const bar = new LimitBar();
      return { element: bar.element, set: (limit) => bar.set(limit, store.currency) };
    });
    this.more = h("div", {class: "sub"});
    this.element = h("div", {}, list, this.more);
  }

  set({tenant}) {
    const order =
        tenant.limits.slice().sort((a, b) => (limitShare(b) ?? -1) - (limitShare(a) ?? -1));
    this.bars.set(order.slice(0, 3));
    const left = order.length - 3 + (tenant.limits_left_out ?? 0);
    say(this.more, order.length === 0 ? "no limits" : left > 0 ? `and ${count(left)} more` : "");
  }
}

class TenantsView {
  constructor() {
    this.filter = byID("tenant-filter");
    this.order = byID("tenant-order");
    this.table = new PagedTable(byID("tenant-table"), {
      caption: "Tenants with their budgets",
      none: "No tenant is called like that.",
      key: ({tenant}) => tenant.id,
      columns: [
        {
          name: "Tenant",
          class: "id",
          make: linkCell(
              ({tenant}) => tenant.id, ({tenant}) => tenantAddress(tenant.id),
              ({tenant}) => tenant.overridden ? "limits overridden" : ""
          )
        },
        {name: "Budgets", class: "wide", make: () => new LimitsCell()},
        {
          name: "Burn",
          class: "n",
          make: textCell(
              ({pressure}) => isNumber(pressure.burn) ? burnWords(pressure.burn) : nothing, {
                tone: ({pressure}) => burnTone(pressure.burn),
                sub: ({tenant, pressure}) => leftWords(pressure.left) ||
                    `${rate((tenant.pace.rate("tokens", store.now) ?? 0) * 60)} tok/min`
              }
          )
        },
        {
          name: "Requests",
          class: "n",
          make: textCell(({tenant}) => compact(sums(tenant).requests), {
            sub: ({tenant}) => `${compact(tenant.requests.refused)} refused`
          })
        },
        {
          name: "Tokens",
          class: "n",
          make: textCell(({tenant}) => `${compact(tenant.tokens.input)} in`, {
            sub: ({tenant}) => `${compact(tenant.tokens.output)} out`
          })
        },
        {
          name: "Cost",
          class: "n",
          make: textCell(({tenant}) => tenant.cost ? money(tenant.cost, store.currency) : nothing)
        },
      ],
    });
    this.filter.addEventListener("input", () => this.draw(true));
    this.order.addEventListener("change", () => this.draw(true));
  }

  draw(anew = false) {
    const wanted = this.filter.value.toLowerCase();
    const items = [];
    for (const tenant of store.tenants.values()) {
      if (wanted && !tenant.id.toLowerCase().includes(wanted)) continue;
      items.push({tenant, pressure: store.pressure(tenant)});
    }
    const by = {
      share: (entry) => entry.pressure.share ?? -1,
      burn: (entry) => entry.pressure.burn ?? -1,
      refused: (entry) => entry.tenant.requests.refused,
      cost: (entry) => entry.tenant.cost,
    }[this.order.value];
    const name = (a, b) => (a.tenant.id < b.tenant.id ? -1 : 1);
    items.sort(by ? (a, b) => by(b) - by(a) || name(a, b) : name);
    this.table.set(items, {anew});
  }
}

// Engines

class CacheCell {
  constructor() {
    this.text = h("span");
    this.bar = new Bar();
    this.sub = h("div", {class: "sub"});
    this.element = h("div", {}, this.text, this.bar.element, this.sub);
  }

  set(engine) {
    const {capacity_tokens: capacity, scraped_tokens: scraped, projected_share: share} = engine.kv;
    const line = capacity ? scraped / capacity : null;
    say(this.text, isNumber(share) ? percent(share) : "capacity unknown");
    const ticks = store.ticks(engine.pool);
    this.bar.set(
        share, `KV cache of ${engine.endpoint}`, {line, ticks, tone: cacheLevel(share, ticks)}
    );
    say(this.sub,
        `${compact(engine.kv.projected_tokens)} projected, ${compact(scraped)} scraped` +
            `${capacity ? ` of ${compact(capacity)}` : ""}${
                engine.kv.ledger_alert ? "; the two disagree" : ""}`);
  }
}

class DrainCell {
  constructor() {
    this.button = h("button", {type: "button", onclick: () => this.press()});
    this.element = h("div", {}, this.button);
  }

  set(engine) {
    this.engine = engine;
    const words = engine.draining ? "Undrain" : "Drain";
    say(this.button, words);
    mark(this.button, "aria-label", `${words} ${engine.endpoint}`);
  }

  async press() {
    const {endpoint, pool, draining, own_sequences: open} = this.engine;
    const others =
        [...store.endpoints.values()]
            .filter(
                (engine) => engine.pool === pool && engine.available && engine.endpoint !== endpoint
            )
            .length;
    const lines = draining ? [`${endpoint} gets requests of pool ${pool} again.`] : [
      `${endpoint} gets no new requests; ${count(open)} that it has go on to their end.`,
      others ? `${count(others)} other engines of pool ${pool} take requests.` :
               `No other engine of pool ${pool} takes requests: all of them will be refused.`
    ];
    const verb = draining ? "undrain" : "drain";
    if (!await confirmed(
            draining ? "Put it back in rotation?" : "Take it out of rotation?", lines,
            draining ? "Undrain" : "Drain"
        ))
      return;
    await act(`/admin/endpoints/${encodeURIComponent(endpoint)}/${verb}`, {method: "POST"});
  }
}

class EnginesView {
  constructor() {
    this.filter = byID("engine-filter");
    this.order = byID("engine-order");
    this.table = new PagedTable(byID("engine-table"), {
      caption: "Engines with their KV caches",
      none: "No engine is called like that.",
      key: (engine) => `${engine.pool} ${engine.endpoint}`,
      columns: [
        {
          name: "Engine",
          class: "id",
          make: textCell(
              (engine) => engine.endpoint, {class: "id", sub: (engine) => `pool ${engine.pool}`}
          )
        },
        {
          name: "State",
          make: textCell((engine) => engineState(engine)[0], {
            tone: (engine) => `state ${engineState(engine)[1]}`,
            sub: (engine) => engine.last_fault ?? ""
          })
        },
        {name: "KV cache", class: "wide", make: () => new CacheCell()},
        {
          name: "Open from here",
          class: "n",
          make: textCell((engine) => count(engine.own_sequences))
        },
        {
          name: "Running",
          class: "n",
          make: textCell((engine) => isNumber(engine.running) ? count(engine.running) : nothing, {
            sub: (engine) => isNumber(engine.waiting) ? `${count(engine.waiting)} waiting` : ""
          })
        },
        {name: "Rotation", make: () => new DrainCell()},
      ],
    });
    this.filter.addEventListener("input", () => this.draw(true));
    this.order.addEventListener("change", () => this.draw(true));
  }

  find(text) {
    this.filter.value = text;
    this.draw(true);
  }

  draw(anew = false) {
    const wanted = this.filter.value.toLowerCase();
    const items = [...store.endpoints.values()].filter(
        (engine) => !wanted || `${engine.pool} ${engine.endpoint}`.toLowerCase().includes(wanted)
    );
    const bad = {bad: 2, warn: 1, ok: 0};
    const by = {
      kv: (engine) => engine.kv.projected_share ?? -1,
      state: (engine) => bad[engineState(engine)[1]],
    }[this.order.value];
    if (by) items.sort((a, b) => by(b) - by(a));
    this.table.set(items, {anew});
  }
}

// Queues

class QueuePart {
  constructor() {
    this.title = h("h2");
    this.facts = new Facts();
    this.requests = new LimitBar();
    this.tokens = new LimitBar();
    this.who = h("div");
    this.table = new PagedTable(this.who, {
      caption: "Tenants that wait",
      none: "Nobody waits.",
      key: (share) => share.tenant,
      perPage: 10,
      columns: [
        {
          name: "Tenant",
          class: "id",
          make: linkCell((share) => share.tenant, (share) => tenantAddress(share.tenant))
        },
        {name: "Waiting", class: "n", make: textCell((share) => count(share.requests))},
        {name: "Tokens", class: "n", make: textCell((share) => compact(share.tokens))},
        {name: "Share", class: "n", make: textCell((share) => percent(share.share))},
        {name: "Weight", class: "n", make: textCell((share) => String(share.weight))},
      ],
    });
    this.element =
        h("div", {class: "part"}, this.title, this.facts.element,
          h("div", {class: "columns"}, h("div", {}, this.requests.element, this.tokens.element),
            this.who));
  }

  set(queue) {
    say(this.title, `${queue.class}, to pool ${queue.pool}`);
    const phase = (name) => queue.phases?.find((entry) => entry.phase === name)?.requests ?? 0;
    this.facts.set([
      ["For their prompt's turn", count(phase("prefill"))],
      ["For room to answer", count(phase("decode"))],
      ["Oldest waits", isNumber(queue.oldest_s) ? span(queue.oldest_s) : nothing],
      ["The next has its turn in", isNumber(queue.next_wait_s) ? span(queue.next_wait_s) : nothing],
      [
        "Who comes now waits",
        isNumber(queue.predicted_wait_s) ? span(queue.predicted_wait_s) : "unknown"
      ],
    ]);
    this.requests.set({name: "requests", used: queue.requests, limit: queue.max_requests});
    this.tokens.set({name: "tokens", used: queue.tokens, limit: queue.max_tokens});
    this.table.set(queue.tenants ?? []);
  }
}

class QueuesView {
  constructor() {
    this.parts = new Pool(byID("queue-list"), () => new QueuePart());
  }
  draw() {
    this.parts.set([...store.queues.values()]);
  }
}

// Refusals

class RefusalsView {
  constructor() {
    this.tenant = byID("refusal-tenant");
    this.reason = byID("refusal-reason");
    this.hold = byID("refusal-hold");
    this.reasons = new Set();
    this.table = new PagedTable(byID("refusal-table"), {
      caption: "Refusals, newest first",
      none: "Nothing was refused of late.",
      key: (record) => `${record.time_s} ${record.request_id}`,
      columns: [
        {name: "Time", class: "time", make: textCell((record) => clock(record.time_s))},
        {
          name: "Tenant",
          class: "id",
          make: linkCell(
              (record) => record.tenant, (record) => tenantAddress(record.tenant),
              (record) => record.class ?? ""
          )
        },
        {name: "Why", make: textCell((record) => refusalLine(record, store.currency))},
        {
          name: "Request",
          class: "id",
          make: linkCell(
              (record) => record.request_id,
              (record) => requestAddress(record.request_id, record.tenant),
              (record) => `${count(record.estimate.input)} tokens in`
          )
        },
      ],
    });
    for (const input of [this.tenant, this.reason]) {
      input.addEventListener("input", () => this.draw(true));
    }
    this.hold.addEventListener("change", () => this.draw());
  }

  draw(anew = false) {
    if (this.hold.checked && !anew && this.shown) return;
    for (const {reason} of store.refusals) {
      if (this.reasons.has(reason)) continue;
      this.reasons.add(reason);
      this.reason.append(h("option", {value: reason}, limitWords(reason)));
    }
    if (!this.hold.checked || !this.shown) this.shown = store.refusals;
    const wanted = this.tenant.value.toLowerCase();
    const items = this.shown.filter(
        (record) => (!wanted || record.tenant.toLowerCase().includes(wanted)) &&
            (!this.reason.value || record.reason === this.reason.value)
    );
    say(
        byID("refusal-note"),
        store.leftOut ?
            `${
                count(
                    store.leftOut
                )} more came too fast to be told here; the metrics have all of them.` :
            "Each leads to its request: the numbers compared, and when it would have been admitted."
    );
    this.table.set(items, {anew});
  }
}
