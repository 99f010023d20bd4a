# SPDX-License-Identifier: Apache-2.0
"""What Grafana's dashboards show; deploy/generate.py writes their JSON.

A row is a list of panels; a panel is its kind, title, unit, and queries with their legends. Queries
ask for recorded series where prometheus/recording.yaml has them.
"""

import json

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
# What a query is narrowed to by the choices above a dashboard, in this order.
CHOICES = {
    "namespace": "penstock_connections",
    "pool": "penstock_endpoint_up",
    "class": "penstock_queue_requests",
    "tenant": "penstock_requests_total",
    "model": "penstock_tokens_total",
}


def lines(title: str, unit: str, *queries: tuple[str, str]) -> dict:
    return panel("timeseries", title, unit, queries)


def number(title: str, unit: str, *queries: tuple[str, str]) -> dict:
    return panel("stat", title, unit, queries)


def table(title: str, unit: str, *queries: tuple[str, str]) -> dict:
    return panel("table", title, unit, queries, instant=True)


def heat(title: str, unit: str, query: str) -> dict:
    made = panel("heatmap", title, unit, [(query, "{{le}}")])
    made["targets"][0]["format"] = "heatmap"
    made["options"] = {"calculate": False, "yAxis": {"unit": unit}}
    return made


def words(title: str, text: str) -> dict:
    return {
        "type": "text", "title": title, "options": {"mode": "markdown", "content": text},
    }


def panel(kind: str, title: str, unit: str, queries: list, instant: bool = False) -> dict:
    targets = [
        {
            "refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query,
            "legendFormat": legend, "instant": instant, "range": not instant,
            "format": "table" if instant else "time_series",
        }
        for place, (query, legend) in enumerate(queries)
    ]
    return {
        "type": kind, "title": title, "datasource": SOURCE, "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
    }


def variables(names: list[str]) -> list[dict]:
    chosen = [{
        "name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus",
    }]
    for name in names:
        query = f"label_values({CHOICES[name]}, {name})"
        chosen.append({
            "name": name, "label": name.capitalize(), "type": "query", "datasource": SOURCE,
            "query": {"query": query, "refId": "choices"}, "definition": query, "refresh": 2,
            # All of them is whatever there is, none included: a label may be missing.
            "includeAll": True, "allValue": ".*", "multi": True, "sort": 1,
            "current": {"text": "All", "value": "$__all"},
        })
    return chosen


def dashboard(uid: str, title: str, names: list[str], rows: list[list[dict]]) -> str:
    """The JSON of a dashboard: the panels of a row share its width."""
    panels = []
    for height, row in enumerate(rows):
        width = WIDTH // len(row)
        for place, made in enumerate(row):
            grid = {"x": place * width, "y": height * 8, "w": width, "h": 8}
            panels.append({"id": len(panels) + 1, "gridPos": grid, **made})
    whole = {
        "uid": uid, "title": title, "tags": ["penstock"], "schemaVersion": 39, "version": 1,
        "editable": True, "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser", "templating": {"list": variables(names)}, "panels": panels,
    }
    return json.dumps(whole, indent=1) + "\n"


SPACE = 'namespace=~"$namespace"'
POOL = f'{SPACE},pool=~"$pool"'
CLASS = f'{SPACE},class=~"$class"'
TENANT = f'{SPACE},tenant=~"$tenant"'
TENANT_MODEL = f'{TENANT},model=~"$model"'


def by_class(name: str) -> str:
    return f"{name}{{{CLASS}}}"


def mean(name: str, labels: str, group: str) -> str:
    """The mean of a histogram over five minutes."""
    return (
        f"sum by ({group}) (rate({name}_sum{{{labels}}}[5m]))"
        f" / (sum by ({group}) (rate({name}_count{{{labels}}}[5m])) > 0)"
    )


def buckets(name: str, labels: str) -> str:
    return f"sum by (le) (increase({name}_bucket{{{labels}}}[$__rate_interval]))"


FIRST = "penstock_time_to_first_token_seconds"
STEP = "penstock_time_per_output_token_seconds"
WAIT = "penstock_queue_wait_seconds"
OVERHEAD = "penstock_gateway_overhead_seconds"
ENDPOINT = "{{pool}} {{endpoint}}"

OPERATIONS = [
    [
        number("Endpoints in rotation", "none",
               (f"sum(max by (namespace, pool, endpoint) (penstock_endpoint_up{{{POOL}}}))",
                "up")),
        number("Budget store", "none", (f"min(penstock_budget_store_up{{{SPACE}}})", "up")),
        number("Client connections", "none", (f"sum(penstock_connections{{{SPACE}}})", "open")),
        number("Refused reloads, 1 h", "none",
               (f'sum(increase(penstock_config_reloads_total{{{SPACE},outcome="failed"}}[1h]))',
                "refused")),
    ],
    [
        lines("Requests by outcome", "reqps",
              (f"sum by (class, outcome) (class_outcome:penstock_requests:rate1m{{{CLASS}}})",
               "{{class}} {{outcome}}")),
        lines("Refusals with 429 or 503, by reason", "reqps",
              (f"sum by (class, reason) (class_reason:penstock_throttled:rate1m{{{CLASS}}})",
               "{{class}} {{reason}}")),
    ],
    [
        lines("First token, 95th percentile", "s",
              (by_class(f"class:{FIRST}:p95_5m"), "{{class}}")),
        lines("Time per output token, 95th percentile", "s",
              (by_class(f"class:{STEP}:p95_5m"), "{{class}}")),
        lines("Wait in the queue", "s",
              (by_class(f"class:{WAIT}:p50_5m"), "{{class}} median"),
              (by_class(f"class:{WAIT}:p95_5m"), "{{class}} 95th percentile")),
    ],
    [
        lines("KV cache, scraped", "percentunit",
              (f"pool_endpoint:kv_cache_utilization:ratio{{{POOL}}}", ENDPOINT)),
        lines("KV cache, projected", "percentunit",
              (f"pool_endpoint:penstock_kv_projected:ratio{{{POOL}}}", ENDPOINT)),
        lines("Account and engine apart by", "percentunit",
              (f"pool_endpoint:penstock_kv_ledger_error:ratio{{{POOL}}}", ENDPOINT)),
        lines("Evictions", "ops", (f"pool:kv_cache_evictions:rate5m{{{POOL}}}", "{{pool}}")),
    ],
    [
        *(
            lines(f"{kind} tokens of engines", "short",
                  (f"pool:tokens_{way}:rate1m{{{POOL}}}", "{{pool}} a second"))
            for kind, way in (("Prompt", "in"), ("Generated", "out"))
        ),
        lines("Running sequences", "none",
              (f"pool:active_sequences:sum{{{POOL}}}", "{{pool}}")),
        lines("Waiting requests by pool", "none",
              (f"pool:prefill_queue_len:sum{{{POOL}}}", "{{pool}} for prefill"),
              (f"pool:decode_queue_len:sum{{{POOL}}}", "{{pool}} for decode")),
    ],
    [
        lines("Streams whose first token came within 2 s", "reqps",
              (by_class("class:penstock_streams_in_time:rate5m"), "{{class}}")),
        lines("Later than that, by window", "percentunit",
              (by_class("class:penstock_first_token_late:ratio_rate5m"), "{{class}} 5 min"),
              (by_class("class:penstock_first_token_late:ratio_rate1h"), "{{class}} 1 h"),
              (by_class("class:penstock_first_token_late:ratio_rate6h"), "{{class}} 6 h")),
        lines("Waiting tokens by class", "short",
              (f"sum by (class) (penstock_queue_tokens{{{CLASS}}})", "{{class}}")),
    ],
    [
        lines("Settlements that wait for the store", "none",
              (f"sum(penstock_budget_settlements_waiting{{{SPACE}}})", "waiting")),
        lines("Ledger: entries that wait", "none",
              (f"sum by (sink) (penstock_ledger_waiting{{{SPACE}}})", "{{sink}}")),
        lines("Certificates: time left", "s",
              (f"min by (listener, certificate) (penstock_tls_certificate_seconds_left{{{SPACE}}})",
               "{{listener}} {{certificate}}")),
        lines("Prompts counted exactly", "reqps",
              (f"sum by (way) (rate(penstock_prompts_counted_total{{{SPACE}}}[5m]))", "{{way}}")),
    ],
]

TOKENS = "tenant_model_kind:penstock_tokens:rate1m"
COST = f"tenant_model_currency:penstock_cost:rate5m{{{TENANT_MODEL}}}"
ANY_TOKENS = f'penstock_tokens_total{{{TENANT_MODEL},kind=~"input|output"}}'
ALL_COST = f"sum by (tenant, currency) (increase(penstock_cost_total{{{TENANT_MODEL}}}[$__range]))"
TENANTS = [
    [
        lines(f"{title} by tenant", "short",
              (f'sum by (tenant) ({TOKENS}{{{TENANT_MODEL},kind="{kind}"}})',
               "{{tenant}} a second"))
        for title, kind in (("Input tokens", "input"), ("Cached input tokens", "cached_input"),
                            ("Output tokens", "output"))
    ],
    [
        lines("Cost an hour", "short",
              (f"3600 * sum by (tenant, currency) ({COST})", "{{tenant}} {{currency}}")),
        lines("Cost of a million tokens, input and output together", "short",
              ("1e6 * sum by (tenant, model, currency) "
               f"(rate(penstock_cost_total{{{TENANT_MODEL}}}[5m])) "
               "/ on (tenant, model) group_left () "
               f"(sum by (tenant, model) (rate({ANY_TOKENS}[5m])) > 0)",
               "{{tenant}} {{model}} {{currency}}")),
        lines("Share of input that was cached", "percentunit",
              (f'sum by (tenant) ({TOKENS}{{{TENANT_MODEL},kind="cached_input"}}) '
               f'/ (sum by (tenant) ({TOKENS}{{{TENANT_MODEL},kind="input"}}) > 0)',
               "{{tenant}}")),
    ],
    [
        lines("Requests by tenant and outcome", "reqps",
              (f"sum by (tenant, outcome) (rate(penstock_requests_total{{{TENANT}}}[1m]))",
               "{{tenant}} {{outcome}}")),
        lines("Throttled by tenant and reason", "reqps",
              (f"sum by (tenant, reason) (rate(penstock_throttled_total{{{TENANT}}}[1m]))",
               "{{tenant}} {{reason}}")),
    ],
    [
        table("Cost in the time shown", "short", (ALL_COST, "")),
        table("Tokens in the time shown", "short",
              ("sum by (tenant, model, kind) "
               f"(increase(penstock_tokens_total{{{TENANT_MODEL}}}[$__range]))", "")),
    ],
]

EXPLAINED = (
    "Where the time of a class's requests goes, from a complete request to its last token. One "
    "request of late, with every number of its decision: `GET /admin/requests/{X-Request-Id}`, "
    "at the admin listener; refusals: `GET /admin/throttles`."
)
ANATOMY = [
    [words("One request", EXPLAINED)],
    [
        lines("Mean time to the first token, and what of it is the queue", "s",
              (mean(FIRST, CLASS, "class"), "{{class}} to the first token"),
              (mean(WAIT, CLASS, "class"), "{{class}} in the queue")),
        lines("Mean time per output token", "s", (mean(STEP, CLASS, "class"), "{{class}}")),
        lines("The gateway's own time", "s",
              (mean(OVERHEAD, SPACE, "namespace"), "mean"),
              (f"namespace:{OVERHEAD}:p99_5m{{{SPACE}}}", "99th percentile")),
    ],
    [
        heat("1. In the queue", "s", buckets(WAIT, CLASS)),
        heat("2. To the first token, the queue included", "s", buckets(FIRST, CLASS)),
        heat("3. Per output token after it", "s", buckets(STEP, CLASS)),
    ],
    [
        heat("Estimated over reported prompt tokens", "none",
             buckets("penstock_estimate_error_ratio", CLASS)),
        lines("How they ended", "reqps",
              (f"sum by (outcome) (class_outcome:penstock_requests:rate1m{{{CLASS}}})",
               "{{outcome}}")),
    ],
]


def dashboards() -> dict[str, str]:
    """The text of every dashboard, by the name of its file."""
    return {
        "operations.json": dashboard(
            "penstock-operations", "Penstock: operations", ["namespace", "pool", "class"],
            OPERATIONS),
        "tenants.json": dashboard(
            "penstock-tenants", "Penstock: tenants and cost", ["namespace", "tenant", "model"],
            TENANTS),
        "anatomy.json": dashboard(
            "penstock-anatomy", "Penstock: anatomy of a request", ["namespace", "class"], ANATOMY),
    }
