// SPDX-License-Identifier: Apache-2.0
// What numbers and decisions are called in plain words. Nothing here touches the page.

const whole = new Intl.NumberFormat("en-US", {maximumFractionDigits: 0});
const short = new Intl.NumberFormat("en-US", {notation: "compact", maximumFractionDigits: 1});

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function count(value) {
  return isNumber(value) ? whole.format(value) : "unknown";
}

function compact(value) {
  if (!isNumber(value)) return "–";
  return Math.abs(value) < 10_000 ? whole.format(value) : short.format(value);
}

function rate(value) {
  if (!isNumber(value)) return "–";
  return value !== 0 && value < 10 ? value.toFixed(1) : compact(value);
}

function percent(share) {
  return isNumber(share) ? `${whole.format(share * 100)} %` : "unknown";
}

function money(value, currency) {
  if (!isNumber(value)) return "unknown";
  const digits = value === 0 || Math.abs(value) >= 1 ? 2 : Math.abs(value) >= 0.01 ? 3 : 6;
  return currency ? `${value.toFixed(digits)} ${currency}` : value.toFixed(digits);
}

/** A length of time; null where there is none. */
function span(seconds) {
  if (!isNumber(seconds)) return "unknown";
  if (seconds < 0.0005) return "0 ms";
  if (seconds < 1) return `${whole.format(Math.max(1, seconds * 1000))} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

/** The time of day of a moment in seconds since 1970, with its date where that is not today. */
function clock(moment, digits = 0) {
  if (!isNumber(moment)) return "";
  const date = new Date(moment * 1000);
  const two = (value) => String(value).padStart(2, "0");
  let text = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  if (digits) text += `.${String(date.getMilliseconds()).padStart(3, "0").slice(0, digits)}`;
  if (date.toDateString() === new Date().toDateString()) return text;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${text}`;
}

// Limits

const windows = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  week: 604_800,
  month: 2_592_000
};

/** `tokens_per_minute` → what it counts, and in how many seconds; null seconds: at once. */
function limitParts(name) {
  const [quantity, window] = String(name).split("_per_");
  return {quantity, window: window ?? null, seconds: windows[window] ?? null};
}

function limitWords(name) {
  return String(name).replaceAll("_", " ");
}

function amount(name, value, currency) {
  return limitParts(name).quantity === "cost" ? money(value, currency) : count(value);
}

/** `this minute's tokens`, `today's requests`. */
function budgetWords(name) {
  const {quantity, window} = limitParts(name);
  if (window === null) return limitWords(name);
  const whose = window === "day" ? "today's" : `this ${window}'s`;
  return `${whose} ${limitWords(quantity)}`;
}

function ownerWords(scope) {
  return {
    organisation: " of the organisation",
    team: " of the team",
    model: " of the model",
    key: " of the key"
  }[scope] ??
      "";
}

/** Whose a limit is, for a label; an account is `model/acme/llama`. */
function accountWords(limit) {
  if (!limit.scope || limit.scope === "tenant") return "";
  const name = String(limit.account ?? "").split("/").slice(1).join("/");
  return `${limit.scope}${name ? ` ${name}` : ""}: `;
}

// Refusals

/** The limit that a reason names; null where it is another reason. */
function limitOfReason(reason) {
  const name = /^(.*)_exceeded$/.exec(reason ?? "")?.[1];
  return name && (limitParts(name).seconds !== null || name === "concurrent_requests") ? name :
                                                                                         null;
}

const sentences = {
  kv_cache_pressure: "the engines' memory is full",
  queue_full: "too many requests wait already",
  queue_wait_too_long: "the wait would be too long",
  no_healthy_endpoint: "no engine is there to take it",
  budget_store_unavailable: "the budget store does not answer, so nothing may be admitted",
  ledger_unavailable: "usage cannot be written down at present, so nothing is admitted",
  gateway_overloaded: "the gateway has no room for more requests",
  draining: "the gateway is shutting down",
  upstream_failed: "the engine failed before it answered",
  deadline_exceeded: "no answer came in time",
  context_length_exceeded: "the prompt is too long",
  request_exceeds_limit: "it needs more than can ever be admitted",
  model_not_allowed: "this tenant may not use the model",
  class_not_allowed: "this tenant may not use the class",
  model_not_found: "there is no such model",
  invalid_request: "the request is not valid",
  request_too_large: "the body is too large",
};

const past = {
  kv_cache_pressure: "the engines' memory was full",
  queue_full: "too many requests waited already",
  queue_wait_too_long: "the wait was too long",
  no_healthy_endpoint: "no engine was there to take it",
  budget_store_unavailable: "the budget store did not answer",
  ledger_unavailable: "usage could not be written down",
  gateway_overloaded: "the gateway had no room for more requests",
  draining: "the gateway was shutting down",
  context_length_exceeded: "the prompt was too long",
  request_exceeds_limit: "it needed more than can ever be admitted",
};

function again(milliseconds) {
  return isNumber(milliseconds) ? `; asks again in ${span(milliseconds / 1000)}` : "";
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** One line for one entry of the feed: why, the numbers, and when it may come back. */
function refusalLine(record, currency) {
  return capital(refusalWords(record, currency));
}

function refusalWords(record, currency) {
  const limit = limitOfReason(record.reason);
  const wait = again(record.retry_after_ms);
  if (limit === "concurrent_requests") {
    return `${count(record.used)} of ${count(record.limit)} requests at once are open` +
        `${ownerWords(record.scope)}${wait}`;
  }
  if (limit) {
    return `${budgetWords(limit)}${ownerWords(record.scope)} are used: ` +
        `${amount(limit, record.used, currency)} of ${amount(limit, record.limit, currency)}, ` +
        `${amount(limit, record.requested, currency)} more asked for${wait}`;
  }
  const sentence = sentences[record.reason] ?? limitWords(record.reason ?? "refused");
  if (record.reason === "kv_cache_pressure" && isNumber(record.used)) {
    return `${sentence}: the emptiest cache is at ${percent(record.used)}, ` +
        `class ${record.class} waits from ${percent(record.limit)} on${wait}`;
  }
  return `${sentence}${wait}`;
}

// One request

const choices = {
  least_share: "its KV cache would be the emptiest with the request in it",
  warm_prefix: "the beginning of the prompt is in its cache",
  least_delay: "the prompt is read soonest there",
  prefix_hash: "prompts that begin alike are sent there",
  lower_bound: "there was room with a lower output bound",
};

const waits = {
  prefill: "its prompt's turn",
  decode: "room in a KV cache",
  turn: "others whose turn is earlier",
};

/** How long after its arrival the decision that ended it fell, as a moment. */
function endOf(trace) {
  return trace.time_s + (trace.times?.ended_s ?? 0);
}

/** What became of a request: a headline, its reasons, and when it would have been admitted. */
function explain(trace, now, currency) {
  const told = trace.retry_after_ms;
  const at = isNumber(told) ? endOf(trace) + told / 1000 : null;
  const answer = {kind: "refused", title: "", because: [], when: "", at};
  if (trace.outcome === "refused") {
    explainRefusal(trace, answer, currency);
    answer.when = whenAdmitted(trace, at, now);
  } else {
    explainOther(trace, answer);
  }
  return answer;
}

function whenAdmitted(trace, at, now) {
  if (at !== null) {
    const passed = at <= now ?
        "That moment has passed: sent now, it is admitted unless others have taken the room." :
        `That is in ${span(at - now)}.`;
    return `It would have been admitted ${span(trace.retry_after_ms / 1000)} later, at ` +
        `${clock(at, 1)}. ${passed}`;
  }
  if (trace.status >= 500) return "No moment can be named: it depends on what failed.";
  return "Never as it stands: the request or the configuration has to change.";
}

function explainRefusal(trace, answer, currency) {
  const compared = trace.compared ?? {};
  const limit = limitOfReason(trace.reason);
  const who = trace.tenant;
  if (limit) {
    const isCost = limitParts(limit).quantity === "cost";
    const row = (trace.limits ?? []).find((entry) => entry.name === limit && entry.fits === false);
    const whose = ownerWords(row?.scope);
    const over = compared.used + compared.requested - compared.limit;
    answer.title = limit === "concurrent_requests" ?
        "Refused: too many of its requests were open at once" :
        `Refused: ${budgetWords(limit)}${whose} were used up`;
    answer.because.push(
        `${who} may use ${amount(limit, compared.limit, currency)} ` +
        `${isCost ? limitWords(limit) : limitWords(limit)}${whose}. When this request came, ` +
        `${amount(limit, compared.used, currency)} were used, and it asked for ` +
        `${amount(limit, compared.requested, currency)} more` +
        `${isNumber(over) && over > 0 ? `: ${amount(limit, over, currency)} too many` : ""}.`
    );
    const {input, output_expected: output} = trace.estimate ?? {};
    if (isNumber(input) && isNumber(output) && /tokens/.test(limit)) {
      answer.because.push(`Its prompt is about ${count(input)} tokens, and ${
          count(output)} were set aside for the answer.`);
    }
    return;
  }
  const sentence = past[trace.reason] ?? sentences[trace.reason] ?? limitWords(trace.reason ?? "");
  answer.title = `Refused: ${sentence}`;
  explainRoom(trace, compared, answer);
}

function explainRoom(trace, compared, answer) {
  const endpoints = trace.endpoints ?? [];
  const open = endpoints.filter((entry) => entry.available && isNumber(entry.projected_kv));
  const best = open.sort((a, b) => a.projected_kv - b.projected_kv)[0];
  const queue = trace.queue;
  switch (trace.reason) {
    case "kv_cache_pressure":
      answer.because.push(
          `Requests of class ${trace.class} are let in while a KV cache stays under ` +
          `${percent(trace.throttle_at)}. The emptiest was at ${percent(compared.used)} already` +
          `${
              best ? `; with this request ${best.endpoint} would have been at ${
                         percent(best.projected_kv)}` :
                     ""}.`
      );
      break;
    case "queue_full":
      answer.because.push(
          `The queue of class ${trace.class} is full: ${count(compared.used)} of ` +
          `${count(compared.limit)} wait.`
      );
      break;
    case "queue_wait_too_long":
      answer.because.push(
          `Requests of class ${trace.class} wait ${span(queue?.max_wait_s)} at most; it waited ` +
          `${span(queue?.waited_s)}, and there was to be room in ${span(compared.requested)}.`
      );
      break;
    case "context_length_exceeded":
    case "request_exceeds_limit":
      answer.because.push(`It needs about ${count(compared.requested)} tokens, and ${
          count(compared.limit)} is the most.`);
      break;
    case "no_healthy_endpoint":
      answer.because.push(
          "Every engine of its pool is out of rotation: see Engines for the faults."
      );
      break;
    default:
      break;
  }
  if (!queue?.waits_for) return;
  const ahead = queue.waiters_ahead ? ` behind ${count(queue.waiters_ahead)} others` : "";
  const what = waits[queue.waits_for] ?? queue.waits_for;
  if (queue.waited) {
    answer.because.push(`It waited ${span(queue.waited_s)} for ${what}${ahead}.`);
  } else if (isNumber(queue.predicted_wait_s)) {
    answer.because.push(
        `It would have had to wait ${span(queue.predicted_wait_s)} for ${what}${ahead}; ` +
        `class ${trace.class} waits ${span(queue.max_wait_s)} at most.`
    );
  }
}

function explainOther(trace, answer) {
  const chosen = (trace.endpoints ?? []).find((entry) => entry.chosen);
  const titles = {
    completed: "Admitted, and answered",
    open: {
      queued: "Waiting for its turn",
      forwarded: "Admitted, being answered",
      budgeting: "Its budget is being asked for"
    }[trace.stage] ??
        "Just arrived",
    client_left: "Ended by its client before the answer was complete",
    engine_failed: "Admitted, but the engine failed",
    timed_out: "No answer in time",
  };
  answer.kind = trace.outcome === "completed" || trace.outcome === "open" ? "admitted" : "failed";
  answer.title = titles[trace.outcome] ?? limitWords(trace.outcome ?? "");
  if (chosen) {
    answer.because.push(
        `It went to ${chosen.endpoint}: ${choices[trace.chosen_by] ?? "it was the best choice"}.`
    );
  }
  if (trace.queue?.waited)
    answer.because.push(`It waited ${span(trace.queue.waited_s)} before that.`);
  if (trace.decision === "clamped") {
    answer.because.push(`Its output was bounded to ${count(trace.estimate?.output_bound)} tokens.`);
  }
  if (trace.decision === "deferred") {
    answer.because.push(
        `It asked for class ${trace.class_asked} and was served in class ${trace.class}.`
    );
  }
  if (trace.reason)
    answer.because.push(`The client was told: ${sentences[trace.reason] ?? trace.reason}.`);
}

// Engines and queues

/** A word, and how bad it is: `ok`, `warn`, `bad`. */
function engineState(engine) {
  if (engine.draining) return ["drained", "warn"];
  if (!engine.healthy) return ["down", "bad"];
  if (engine.sleeping) return ["asleep", "warn"];
  if (!engine.available) return ["unavailable", "warn"];
  if (isNumber(engine.scrape_late_s)) return ["metrics late", "warn"];
  if (engine.ramp < 1) return [`new, ${percent(engine.ramp)}`, "warn"];
  return ["in rotation", "ok"];
}

/** How full a cache is, by what its pool's classes wait for and are refused at. */
function cacheLevel(share, ticks) {
  if (!isNumber(share) || ticks.length === 0) return level(share);
  return share >= ticks.at(-1) ? "full" : share >= ticks[0] ? "high" : "";
}

function level(share) {
  return !isNumber(share) ? "" : share >= 0.95 ? "full" : share >= 0.75 ? "high" : "";
}
