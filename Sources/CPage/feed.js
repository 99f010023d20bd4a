// SPDX-License-Identifier: Apache-2.0
// What the gateway tells: questions with the token, and the stream of events with what is kept of
// it. `EventSource` cannot send a token, so the stream is read with `fetch`.

const tokenKey = "penstock.token";

const token = {
  get: () => sessionStorage.getItem(tokenKey),
  set: (value) => sessionStorage.setItem(tokenKey, value),
  forget: () => sessionStorage.removeItem(tokenKey),
};

class NeedsToken extends Error {}

async function ask(path, options = {}) {
  const headers = {...(options.headers ?? {})};
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  const answer = await fetch(path, {cache: "no-store", ...options, headers});
  if (answer.status === 401) throw new NeedsToken();
  return answer;
}

/** The document at a path; an error in the gateway's words where there is none. */
async function read(path, options = {}) {
  const answer = await ask(path, options);
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  const error = new Error(
      [document.error ?? `status ${answer.status}`, ...(document.mistakes ?? [])].join("; ")
  );
  error.status = answer.status;
  throw error;
}

/** How fast counters grow: by samples that are kept for a minute. */
class Pace {
  static names = ["tokens", "input_tokens", "output_tokens", "requests", "cost", "refused"];
  static kept = 60;

  constructor() {
    this.samples = [];
  }

  add(time, values) {
    const last = this.samples.at(-1);
    // Counters that fall are those of a gateway that began anew.
    if (last && Pace.names.some((name) => values[name] < last.values[name])) this.samples = [];
    this.samples.push({time, values});
    const old = time - Pace.kept;
    while (this.samples.length > 2 && this.samples[1].time <= old) this.samples.shift();
  }

  /** By second, over the last so many seconds up to now; null before there are two samples. */
  rate(name, now, over = Pace.kept) {
    const samples = this.samples;
    if (samples.length === 0 || now - samples[0].time < 1) return samples.length ? 0 : null;
    let from = samples[0];
    for (const sample of samples) {
      if (sample.time > now - over) break;
      from = sample;
    }
    const time = Math.max(from.time, now - over);
    return (samples.at(-1).values[name] - from.values[name]) / Math.max(1, now - time);
  }
}

function sums(tenant) {
  const requests = Object.values(tenant.requests ?? {}).reduce((sum, value) => sum + value, 0);
  const {input = 0, output = 0} = tenant.tokens ?? {};
  return {
    tokens: input + output,
    input_tokens: input,
    output_tokens: output,
    requests,
    cost: tenant.cost ?? 0,
    refused: tenant.requests?.refused ?? 0,
  };
}

/** Everything that was told, as it stands. */
class Store {
  static mostRefusals = 500;

  constructor() {
    this.gateway = null;
    this.tenants = new Map();
    this.endpoints = new Map();
    this.queues = new Map();
    this.refusals = [];
    this.leftOut = 0;
    this.all = new Pace();
    this.history = [];
  }

  get now() {
    return this.gateway?.time_s ?? Date.now() / 1000;
  }
  get currency() {
    return this.gateway?.currency ?? null;
  }

  takeState(state) {
    this.gateway = state.gateway;
    if (state.all) this.keepOnly(state);
    const time = this.now;
    for (const row of state.tenants) {
      const known = this.tenants.get(row.id);
      const pace = known?.pace ?? new Pace();
      pace.add(time, sums(row));
      this.tenants.set(row.id, {...row, pace});
    }
    for (const row of state.endpoints) this.endpoints.set(`${row.pool} ${row.endpoint}`, row);
    for (const row of state.queues) this.queues.set(row.class, row);
    this.sum(time);
  }

  /** Of a whole state: what is not in it is gone, and its order holds. */
  keepOnly(state) {
    const paces = this.tenants;
    this.tenants = new Map();
    for (const row of state.tenants) {
      const known = paces.get(row.id);
      if (known) this.tenants.set(row.id, known);
    }
    this.endpoints = new Map();
    this.queues = new Map();
  }

  sum(time) {
    const values = Object.fromEntries(Pace.names.map((name) => [name, 0]));
    for (const tenant of this.tenants.values()) {
      for (const [name, value] of Object.entries(sums(tenant))) values[name] += value;
    }
    this.all.add(time, values);
    let fullest = null;
    for (const endpoint of this.endpoints.values()) {
      const share = endpoint.kv.projected_share;
      if (isNumber(share) && (fullest === null || share > fullest.kv.projected_share))
        fullest = endpoint;
    }
    let waiting = 0;
    for (const queue of this.queues.values()) waiting += queue.requests;
    this.present = {
      requests: this.all.rate("requests", time, 10),
      refused: this.all.rate("refused", time) * 60,
      input: this.all.rate("input_tokens", time, 10),
      output: this.all.rate("output_tokens", time, 10),
      waiting,
      fullest,
      cost: values.cost,
      hourly: this.all.rate("cost", time) * 3600,
    };
    this.history.push({
      requests: this.present.requests ?? 0,
      refused: this.present.refused,
      tokens: (this.present.input ?? 0) + (this.present.output ?? 0),
      waiting,
      kv: fullest?.kv.projected_share ?? 0,
      cost: this.present.hourly,
    });
    if (this.history.length > 120) this.history.shift();
  }

  takeRefusals(message) {
    if (message.all) {
      this.refusals = message.throttles;
      this.leftOut = 0;
    } else {
      this.refusals = [...message.throttles, ...this.refusals];
      this.leftOut += message.left_out;
    }
    this.refusals.length = Math.min(this.refusals.length, Store.mostRefusals);
  }

  /** Of a tenant: its limit that is nearest to be used up, and how fast it burns that. */
  pressure(tenant) {
    let nearest = null;
    let share = null;
    for (const limit of tenant.limits) {
      const part = limitShare(limit);
      if (part !== null && (share === null || part > share)) {
        nearest = limit;
        share = part;
      }
    }
    return {
      limit: nearest,
      share,
      burn: nearest ? this.burn(tenant, nearest) : null,
      left: nearest ? this.left(tenant, nearest) : null,
    };
  }

  /** In how many seconds a budget of a day or more is gone at this pace; null: not so soon. */
  left(tenant, limit) {
    const {quantity, seconds} = limitParts(limit.name);
    if (!(seconds >= 86_400) || limit.scope !== "tenant") return null;
    const pace = tenant.pace.rate(quantity, this.now);
    const left = pace > 0 ? Math.max(0, limit.limit - limit.used) / pace : Infinity;
    return left < seconds ? left : null;
  }

  /** 1 uses a limit up exactly as fast as it comes back; null where nothing says. */
  burn(tenant, limit) {
    const {quantity, seconds} = limitParts(limit.name);
    // What an organisation or a team may use is used by others, too, and a model's by one model.
    if (seconds === null || limit.scope !== "tenant" || !(limit.limit > 0)) return null;
    const pace = tenant.pace.rate(quantity, this.now);
    return pace === null ? null : (pace * seconds) / limit.limit;
  }

  /** Where classes of a pool begin to wait and to be refused. */
  ticks(pool) {
    const found = new Set();
    for (const queue of this.queues.values()) {
      if (queue.pool === pool) found.add(queue.throttle_at).add(queue.reject_at);
    }
    return [...found].filter((share) => share < 1).sort();
  }
}

/** Cuts a stream into events. */
class EventReader {
  constructor(take) {
    this.take = take;
    this.rest = "";
  }

  add(text) {
    const parts = (this.rest + text).split("\n\n");
    this.rest = parts.pop();
    for (const part of parts) {
      let name = "message";
      const data = [];
      for (const line of part.split("\n")) {
        if (line.startsWith("event: "))
          name = line.slice(7);
        else if (line.startsWith("data: "))
          data.push(line.slice(6));
      }
      if (data.length) this.take(name, JSON.parse(data.join("\n")));
    }
  }
}

/** Keeps the stream: asks again after a break, ever less often, and at once when somebody looks. */
class Feed {
  static silence = 8_000;
  static hidden = 60_000;

  constructor({take, tell, needToken}) {
    this.take = take;
    this.tell = tell;
    this.needToken = needToken;
    this.failures = 0;
    this.run = 0;
    document.addEventListener("visibilitychange", () => this.look());
  }

  start() {
    this.stop();
    this.follow(++this.run);
  }

  stop() {
    this.run++;
    clearTimeout(this.pause);
    clearTimeout(this.watch);
    this.aborter?.abort();
  }

  /** Nobody looks for a minute: the gateway need not tell. */
  look() {
    clearTimeout(this.curtain);
    if (!document.hidden) {
      if (this.isResting) this.start();
      this.isResting = false;
      return;
    }
    this.curtain = setTimeout(() => {
      this.isResting = true;
      this.stop();
      this.tell("idle", "resting");
    }, Feed.hidden);
  }

  async follow(run) {
    this.aborter = new AbortController();
    let why = "the gateway ended the stream";
    try {
      const answer = await ask("/admin/events", {signal: this.aborter.signal});
      if (!answer.ok) {
        const document = await answer.json().catch(() => ({}));
        throw new Error(document.error ?? `status ${answer.status}`);
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventReader((name, data) => {
        if (run !== this.run) return;
        this.failures = 0;
        this.tell("live", "live");
        this.take(name, data);
      });
      for (;;) {
        this.wind();
        const {done, value} = await reader.read();
        if (done) break;
        events.add(value);
      }
    } catch (error) {
      if (error instanceof NeedsToken) {
        if (run === this.run) this.needToken();
        return;
      }
      why = error.name === "AbortError" ? "the gateway fell silent" :
          error instanceof TypeError    ? "the gateway cannot be reached" :
                                          error.message;
    }
    if (run === this.run) this.tryAgain(run, why);
  }

  /** A state comes every second: silence is a break. */
  wind() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.aborter.abort(), Feed.silence);
  }

  tryAgain(run, why) {
    clearTimeout(this.watch);
    const wait = Math.min(10, 2 ** this.failures++);
    this.tell("lost", `${why}; again in ${wait} s`);
    this.pause = setTimeout(() => { if (run === this.run) this.start(); }, wait * 1000);
  }
}
