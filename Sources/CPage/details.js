// SPDX-License-Identifier: Apache-2.0
// One request with its decision, and one tenant with its limits: asked for when they are opened.

/** Names and values. */
class Facts {
  constructor() {
    this.element = h("dl", {class: "facts"});
    this.pool = new Pool(this.element, () => {
      const name = h("dt");
      const value = h("dd");
      return {
        element: h("div", {}, name, value),
        set([key, text]) {
          say(name, key);
          say(value, text);
        },
      };
    });
  }

  set(pairs) {
    this.pool.set(pairs.filter(([, text]) => text !== null));
  }
}

function part(title, ...children) {
  return h("section", {class: "part"}, h("h2", {}, title), ...children);
}

function table(caption, columns, items) {
  const cell = (column, item) => {
    const value = column.value(item);
    return h("td", { class: column.class, "data-label": column.name }, value);
  };
  return h(
      "table", {}, h("caption", {class: "unseen"}, caption),
      h("thead", {},
        h("tr", {},
          ...columns.map((column) => h("th", {scope: "col", class: column.class}, column.name)))),
      h("tbody", {},
        ...items.map((item) => h("tr", {}, ...columns.map((column) => cell(column, item)))))
  );
}

// A request

class RequestView {
  constructor() {
    this.title = byID("request-title");
    this.body = byID("request-body");
  }

  /** Shows what the address names; asks again while the request is open. */
  async open({id, tenant}) {
    const turn = this.turn = {};
    say(this.title, id);
    this.body.replaceChildren(h("p", {class: "soft"}, "Asking …"));
    let trace;
    try {
      trace = await read(
          `/admin/requests/${encodeURIComponent(id)}` +
          (tenant ? `?tenant=${encodeURIComponent(tenant)}` : "")
      );
    } catch (error) {
      if (this.turn !== turn) return;
      if (error instanceof NeedsToken) return askForToken();
      return this.showAbsence(id, error);
    }
    if (this.turn !== turn) return;
    this.show(trace);
    if (trace.outcome === "open") {
      this.timer = setTimeout(() => { if (this.turn === turn) this.open({ id, tenant }); }, 1000);
    }
  }

  close() {
    this.turn = null;
    clearTimeout(this.timer);
  }

  draw() {
    if (this.trace) this.tellWhen();
  }

  showAbsence(id, error) {
    this.trace = null;
    const because = error.status === 404 ?
        ["This gateway remembers no request of that name. It may be too long ago " +
         "(admin.request_history), it may have come to another gateway, or it was refused " +
         "before its tenant was known: no valid key, or not well-formed HTTP."] :
        [error.message];
    this.body.replaceChildren(
        h("div", {class: "verdict failed"},
          h("h2", {}, error.status === 404 ? "Not remembered" : "No answer"),
          ...because.map((text) => h("p", {}, text)))
    );
  }

  show(trace) {
    this.trace = trace;
    const answer = explain(trace, Date.now() / 1000, store.currency);
    this.when = h("p", {class: "when"});
    const kind = answer.kind === "admitted" ? "" : answer.kind;
    const parts = [
      h("div", {class: `verdict ${kind}`}, h("h2", {}, answer.title),
        ...answer.because.map((text) => h("p", {}, text)), this.when),
      this.facts(trace),
      this.limits(trace),
      this.engines(trace),
      this.times(trace),
      h("details", {}, h("summary", {}, "All that is known of it, as JSON"),
        h("pre", {tabindex: 0}, JSON.stringify(trace, null, 2))),
    ];
    this.body.replaceChildren(...parts.filter(Boolean));
    this.tellWhen();
  }

  tellWhen() {
    say(this.when, explain(this.trace, Date.now() / 1000, store.currency).when);
    this.when.hidden = !this.when.textContent;
  }

  facts(trace) {
    const facts = new Facts();
    const {estimate, settlement, queue} = trace;
    facts.set([
      ["Tenant", trace.tenant],
      ["Class", trace.class ?? "not known yet"],
      ["Model", trace.model ?? "not known yet"],
      ["Came", clock(trace.time_s, 3)],
      ["Status", trace.status ? String(trace.status) : "none yet"],
      ["From", trace.client ?? null],
      ["Prompt, estimated", estimate ? `${count(estimate.input)} tokens` : null],
      [
        "Answer, set aside",
        isNumber(estimate?.output_expected) ? `${count(estimate.output_expected)} tokens` : null
      ],
      ["Waited", queue ? span(queue.waited_s) : null],
      [
        "Used in the end",
        settlement && settlement.source !== "none" ?
            `${count(settlement.input)} in, ${count(settlement.output)} out` :
            null
      ],
      ["Cost", settlement?.cost ? money(settlement.cost, store.currency) : null],
      ["Counted by", {engine: "the engine", counted: "the gateway"}[settlement?.source] ?? null],
    ]);
    return h("div", {class: "part"}, facts.element);
  }

  limits(trace) {
    if (!trace.limits?.length) return null;
    const words = (limit, value) =>
        isNumber(value) ? amount(limit.name, value, store.currency) : nothing;
    const columns = [
      { name: "Limit", value: (limit) => `${limitWords(limit.name)}${ownerWords(limit.scope)}` },
      { name: "Used and asked for", class: "wide", value: (limit) => {
        const bar = new Bar();
        const known = isNumber(limit.used);
        const share = known ? limit.used / (limit.limit || 1) : null;
        bar.set(share, limitWords(limit.name), {
          more: (limit.requested ?? 0) / (limit.limit || 1), fits: limit.fits, tone: "" });
        return bar.element;
      } },
      {name: "Limit", class: "n", value: (limit) => words(limit, limit.limit)},
      {name: "Used", class: "n", value: (limit) => words(limit, limit.used)},
      {name: "Asked for", class: "n", value: (limit) => words(limit, limit.requested)},
      {name: "Fits", value: (limit) => {
        if (typeof limit.fits !== "boolean") return "not compared";
        return h("span", {class: limit.fits ? "" : "bad"}, limit.fits ? "yes" : "no");
      }},
    ];
    return part("Its limits, as they stood", table("Limits", columns, trace.limits));
  }

  engines(trace) {
    if (!trace.endpoints?.length) return null;
    const columns = [
      { name: "Engine", class: "id", value: (offer) => offer.endpoint },
      { name: "KV cache with it", class: "wide", value: (offer) => {
        const bar = new Bar();
        bar.set(offer.projected_kv, `KV cache of ${offer.endpoint} with the request`, {
          ticks: isNumber(trace.throttle_at) ? [trace.throttle_at] : [],
          tone: offer.fits ? "" : "full",
        });
        return bar.element;
      } },
      { name: "Filled", class: "n", value: (offer) => percent(offer.projected_kv) },
      {name: "Verdict", value: offerWords},
      { name: "Cached prompt", class: "n", value: (offer) => count(offer.cached_tokens) },
    ];
    const left = trace.endpoints_left_out;
    return part(
        "The engines, as the decision saw them", table("Engines", columns, trace.endpoints),
        left ? h("p", {class: "soft"}, `${count(left)} more are not listed.`) : null
    );
  }

  times(trace) {
    const names = {
      read_s: "read whole",
      budgeted_s: "budget granted",
      forwarded_s: "given to the engine",
      first_token_s: "first token",
      ended_s: "ended"
    };
    const known = Object.entries(names).filter(([key]) => isNumber(trace.times?.[key]));
    if (!known.some(([key]) => trace.times[key] >= 0.001)) return null;
    const facts = new Facts();
    facts.set(known.map(([key, name]) => [name, `after ${span(trace.times[key])}`]));
    return part("When", facts.element);
  }
}

/** Why an engine was chosen or not. */
function offerWords(offer) {
  if (offer.chosen) return "chosen";
  if (!offer.available) return "takes no requests";
  if (!offer.fits) return "too full";
  if (offer.takes_prompt) return "would do";
  const wait = isNumber(offer.prompt_wait_s) ? `, for ${span(offer.prompt_wait_s)}` : "";
  return `other prompts come first${wait}`;
}

// A tenant

class TenantView {
  constructor() {
    this.title = byID("tenant-title");
    this.body = byID("tenant-body");
  }

  async open({id}) {
    const turn = this.turn = {};
    this.id = id;
    say(this.title, id);
    this.body.replaceChildren(h("p", {class: "soft"}, "Asking …"));
    try {
      const tenant = await read(`/admin/tenants/${encodeURIComponent(id)}`);
      if (this.turn === turn) this.show(tenant);
    } catch (error) {
      if (this.turn !== turn) return;
      if (error instanceof NeedsToken) return askForToken();
      this.body.replaceChildren(h("p", {class: "none"}, error.message));
    }
  }

  close() {
    this.turn = null;
  }

  show(tenant) {
    this.bars = h("div");
    this.limits = new Pool(this.bars, () => {
      const bar = new LimitBar();
      return { element: bar.element, set: (limit) => bar.set(limit, store.currency) };
    });
    this.facts = new Facts();
    this.reasons = h("div");
    const recent = h("ul", {class: "list"});
    this.recent = new Pool(recent, () => new RefusalItem());
    this.body.replaceChildren(
        this.facts.element,
        h("div", {class: "columns"}, part("Budgets", this.bars),
          part("Refused of late", this.reasons, recent)),
        this.override(tenant)
    );
    this.showLive(tenant);
  }

  draw() {
    const row = store.tenants.get(this.id);
    if (row && this.facts) this.showLive(row);
  }

  showLive(row) {
    const live = store.tenants.get(this.id);
    const pressure = live ? store.pressure(live) : null;
    const pace = live?.pace.rate("tokens", store.now);
    this.facts.set([
      ["Requests", count(sums(row).requests)],
      ["Refused", count(row.requests.refused)],
      ["Tokens in", count(row.tokens.input)],
      ["Tokens out", count(row.tokens.output)],
      ["Cost", row.cost ? money(row.cost, store.currency) : null],
      ["Tokens a minute, of late", isNumber(pace) ? rate(pace * 60) : null],
      [
        "Burn of the nearest limit",
        pressure && isNumber(pressure.burn) ? burnWords(pressure.burn) : null
      ],
    ]);
    this.limits.set(row.limits);
    const reasons = Object.entries(row.throttled ?? {}).sort((a, b) => b[1] - a[1]);
    say(this.reasons,
        reasons.length ?
            reasons.map(([reason, times]) => `${limitWords(reason)}: ${count(times)}`).join("; ") :
            "Never throttled.");
    this.recent.set(store.refusals.filter((record) => record.tenant === this.id).slice(0, 5));
  }

  /** Other amounts in the place of its own limits, for a while. */
  override(tenant) {
    const own = tenant.limits.filter((limit) => limit.scope === "tenant");
    const present = tenant.override;
    let note = "The limits are as configured.";
    if (present) {
      const until = present.expires ? `until ${clock(Date.parse(present.expires) / 1000)}` :
                                      "until it is revoked";
      note = `In force: ${overrideWords(present.limits)}, ${until}.`;
    }
    const mistake = h("p", {class: "mistake", role: "alert", hidden: true});
    const inputs = own.map((limit, place) => {
      const id = `amount-${place}`;
      const input = h("input", {type: "number", min: 0, step: "any", id, value: limit.limit});
      const label = h("label", {for: id}, limitWords(limit.name));
      return {name: limit.name, before: limit.limit, input, label};
    });
    const expiry =
        h("select", {id: "expiry"},
          ...[["15m", "15 minutes"],
              ["1h", "an hour"],
              ["8h", "8 hours"],
              ["24h", "a day"],
              ["", "until it is revoked"],
    ].map(([value, text]) => h("option", {value}, text)));
    expiry.value = "1h";
    const form =
        h("form", {},
          h("div", {class: "change"}, ...inputs.flatMap(({label, input}) => [label, input]),
            h("label",
              { for: "expiry"
              },
              "for"),
            expiry),
          mistake,
          h("p", {class: "actions"},
            present ? h("button", {type: "button", onclick: () => this.revoke(mistake)},
                        "Revoke the override") :
                      null,
            h("button", {type: "submit", class: "main"}, "Change")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.change(present?.limits ?? {}, inputs, expiry, mistake);
    });
    const section = part("Change its limits", h("p", {class: "soft"}, note));
    section.append(own.length ? form : h("p", {class: "none"}, "It has no limits of its own."));
    return section;
  }

  async change(present, inputs, expiry, mistake) {
    const changed =
        inputs.filter(({input, before}) => input.value !== "" && Number(input.value) !== before);
    if (!changed.length) return tellMistake(mistake, "No amount is another one than before.");
    const limits = {...present};
    for (const {name, input} of changed) limits[name] = Number(input.value);
    const body = {limits};
    if (expiry.value) body.expires_in = expiry.value;
    const until =
        expiry.value ? `for ${expiry.selectedOptions[0].textContent}` : "until it is revoked";
    const lines = changed.map(
        ({name, before, input}) =>
            `${limitWords(name)}: ${amount(name, before, store.currency)} → ` +
            `${amount(name, Number(input.value), store.currency)}`
    );
    const kept =
        Object.keys(present).filter((name) => !changed.some((entry) => entry.name === name));
    if (kept.length) lines.push(`As overridden before: ${kept.map(limitWords).join(", ")}.`);
    if (!await confirmed(`Change the limits of ${this.id} ${until}?`, lines, "Change")) return;
    await this.send({method: "PATCH", body: JSON.stringify(body)}, mistake);
  }

  async revoke(mistake) {
    const lines = ["Its limits are as configured again. What was used still counts."];
    if (!await confirmed(`Revoke the override of ${this.id}?`, lines, "Revoke")) return;
    await this.send({method: "DELETE"}, mistake);
  }

  async send(options, mistake) {
    try {
      await read(`/admin/tenants/${encodeURIComponent(this.id)}`, options);
      await this.open({id: this.id});
    } catch (error) {
      if (error instanceof NeedsToken) return askForToken();
      tellMistake(mistake, error.message);
    }
  }
}

function overrideWords(limits) {
  return Object.entries(limits)
      .map(([name, value]) => `${limitWords(name)} ${amount(name, value, store.currency)}`)
      .join(", ");
}

function tellMistake(element, text) {
  say(element, text);
  element.hidden = false;
}
