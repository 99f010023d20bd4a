// SPDX-License-Identifier: Apache-2.0
// Which view is shown, the dialogs, the keys, and when it is drawn.

const views = {
  now: NowView,
  tenants: TenantsView,
  engines: EnginesView,
  queues: QueuesView,
  refusals: RefusalsView,
  request: RequestView,
  tenant: TenantView,
};
const made = {};
let shown = null;

// Dialogs

/** Whether somebody said yes. */
function confirmed(title, lines, verb) {
  const dialog = byID("confirm");
  say(byID("confirm-title"), title);
  say(byID("confirm-yes"), verb);
  byID("confirm-text").replaceChildren(...lines.map((line) => h("p", {}, line)));
  dialog.returnValue = "";
  dialog.showModal();
  byID("confirm-no").focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

byID("confirm-yes").addEventListener("click", () => byID("confirm").close("yes"));
byID("confirm-no").addEventListener("click", () => byID("confirm").close("no"));

/** Sends a change, and says why where it did not happen. */
async function act(path, options) {
  try {
    await read(path, options);
  } catch (error) {
    if (error instanceof NeedsToken) return askForToken();
    notice(`Nothing was changed: ${error.message}`);
  }
}

function askForToken() {
  const dialog = byID("ask-token");
  tellLink("lost", "the admin token is needed");
  if (dialog.open) return;
  if (token.get()) {
    say(byID("token-note"), "The gateway does not take the token that was given.");
    token.forget();
  }
  byID("token").value = "";
  dialog.showModal();
}

byID("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(byID("token").value);
  byID("ask-token").close();
  feed.start();
  reopen();
});

// Without it there is nothing behind the question.
byID("ask-token").addEventListener("cancel", (event) => event.preventDefault());

byID("forget").addEventListener("click", () => {
  token.forget();
  feed.stop();
  location.reload();
});

// What is told beside the views

let passing = "";

function notice(text) {
  passing = text;
  drawNotices();
}

function drawNotices() {
  const gateway = store.gateway;
  const texts = [
    passing,
    gateway?.draining ? "The gateway is shutting down." : "",
    gateway && !gateway.store_up ? "The budget store does not answer." : "",
    gateway?.ledger_behind ? "The ledger is behind: new requests are refused." : "",
    gateway?.reload_rejected ?
        "The last reload was refused: the configuration in force is the one before." :
        "",
  ].filter(Boolean);
  const box = byID("notices");
  if (box.textContent !== texts.join("")) {
    box.replaceChildren(...texts.map((text) => h("p", {}, text)));
  }
}

function tellLink(state, text) {
  const link = byID("link");
  dress(link, `link ${state}`);
  say(byID("link-text"), text);
}

// Views

function place() {
  const [path, query] = location.hash.slice(1).split("?");
  const parts = path.split("/").slice(1).map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  return {parts, query: new URLSearchParams(query ?? "")};
}

function open({byUser}) {
  const {parts: [first, id], query} = place();
  const name = first === "requests" && id ? "request" :
      first === "tenants" && id           ? "tenant" :
      views[first]                        ? first :
                                            "now";
  made[shown]?.close?.();
  shown = name;
  for (const section of document.querySelectorAll("main > section")) {
    section.hidden = section.dataset.view !== name;
  }
  const tab = {request: "refusals", tenant: "tenants"}[name] ?? name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === tab)
      link.setAttribute("aria-current", "page");
    else
      link.removeAttribute("aria-current");
  }
  made[name] ??= new views[name]();
  byID("search-id").value = name === "request" ? id : "";
  made[name].open?.({id, tenant: query.get("tenant")});
  if (name === "engines" && query.has("find"))
    made[name].find(query.get("find"));
  else
    made[name].draw();
  const title = document.querySelector(`main > section[data-view="${name}"] h1`);
  document.title = `${title.textContent || "Now"} · Penstock`;
  if (byUser) {
    title.focus({preventScroll: true});
    scrollTo(0, 0);
  }
}

function reopen() {
  open({byUser: false});
}

let isDue = false;

/** Once a frame at most, and only what is seen. */
function drawSoon() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const start = performance.now();
    drawNotices();
    made[shown]?.draw();
    say(byID("foot"), store.gateway
      ? `configuration ${count(store.gateway.generation)}, ${count(store.tenants.size)} tenants, `
        + `${count(store.endpoints.size)} engines`
      : "");
    byID("forget").hidden = !token.get();
    performance.measure("penstock-draw", { start, end: performance.now() });
    while (performance.getEntriesByName("penstock-draw").length > 600) {
      performance.clearMeasures("penstock-draw");
    }
  });
}

// Keys

byID("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = byID("search-id").value.trim();
  if (!id) return;
  const address = requestAddress(id);
  if (location.hash === address) reopen();
  else location.hash = address;
});

document.addEventListener("keydown", (event) => {
  const isWriting = event.target.closest?.("input, select, textarea, dialog");
  if (isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
  const tabs = ["#/", "#/tenants", "#/engines", "#/queues", "#/refusals"];
  if (event.key === "/") {
    event.preventDefault();
    byID("search-id").select();
    byID("search-id").focus();
  } else if (tabs[Number(event.key) - 1]) {
    location.hash = tabs[Number(event.key) - 1];
  }
});

addEventListener("hashchange", () => open({byUser: true}));

const feed = new Feed({
  take(name, data) {
    if (name === "state")
      store.takeState(data);
    else if (name === "throttles")
      store.takeRefusals(data);
    drawSoon();
  },
  tell: tellLink,
  needToken: askForToken,
});

reopen();
feed.start();
