# SPDX-License-Identifier: Apache-2.0
"""What the gateway shows of an engine is what the engine says."""

import threading
import time
from collections.abc import Iterator

import pytest
from conftest import need, running
from engines import Cache, Engine, LlamaCpp
from prometheus_client.parser import text_string_to_metric_families
from rig import CHAT, Front, Stream, chat, exactly, settings
from waiting import eventually

# The gateway shows whole tokens.
ROUNDING = 1e-4


@pytest.fixture
def streams(gateway, engine) -> Iterator[list[Stream]]:
    """Three streams that run while the test does."""
    open_streams = [Stream(gateway, engine, CHAT, chat(**exactly(1200))) for _ in range(3)]
    readers = []
    for stream in open_streams:
        assert stream.start().status == 200
        readers.append(threading.Thread(target=stream.read))
        readers[-1].start()
    yield open_streams
    for reader in readers:
        reader.join(120)
        assert not reader.is_alive()


def shown(gateway: Front, engine: Engine) -> Cache:
    """The engine's KV cache as the gateway learns it by a probe that begins from now on."""
    readings: list[float] = []

    def read_twice() -> dict | None:
        endpoint = gateway.endpoint(engine)
        read_at = time.monotonic() - endpoint["scrape_age_s"]
        if not readings or read_at > readings[-1] + 0.05:
            readings.append(read_at)
        # The first may be old, the second may have begun before.
        return endpoint if len(readings) > 2 else None

    kv = eventually(read_twice, "two probes", within=30)["kv"]
    return Cache(kv["scraped_tokens"] / kv["capacity_tokens"], kv["capacity_tokens"])


def series(gateway: Front, engine: Engine) -> dict[str, float]:
    """The engine's canonical metrics on the gateway's page."""
    page = gateway.admin("/metrics").body.decode()
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.labels.get("endpoint") == engine.authority
    }


def test_an_idle_engine_has_all_its_capacity_free(gateway, engine):
    assert engine.cache() == Cache(0.0, engine.capacity)
    assert shown(gateway, engine) == engine.cache()


def test_the_scraped_use_grows_with_the_streams_between_the_engines_own(
    gateway, engine, streams
):
    found = []
    for _ in range(3):
        earlier = engine.cache()
        found.append(shown(gateway, engine))
        later = engine.cache()
        assert earlier.share - ROUNDING <= found[-1].share <= later.share + ROUNDING
        assert found[-1].capacity == earlier.capacity == engine.capacity
    endpoint = gateway.endpoint(engine)
    assert endpoint["own_sequences"] == endpoint["running"] == 3, "the streams ended too soon"
    assert 0 < found[0].share < found[-1].share


def test_the_gateways_page_has_the_engines_own_numbers(gateway, engine):
    assert gateway.ask(engine, CHAT, chat(**exactly(100))).status == 200
    own = engine.count()

    def same() -> bool:
        page = series(gateway, engine)
        assert (page["tokens_in_total"], page["tokens_out_total"]) == (own.input, own.output)
        assert page["kv_cache_tokens_used"] == 0
        assert page["kv_cache_tokens_capacity"] == engine.capacity
        assert page["active_sequences"] == page["prefill_queue_len"] == 0
        assert page["penstock_endpoint_up"] == 1
        return True

    eventually(same, "the page shows what the engine says")


def test_a_cache_that_all_slots_share_is_as_large_as_the_pool_says(start):
    """Each slot claims all of it, and nothing that llama-server tells says that they share it."""
    need("llamacpp")
    server = LlamaCpp("unified", length=2048, more=("--kv-unified",))
    with running(server):
        assert server.cache().capacity == server.SLOTS * server.capacity
        configuration = settings(server)
        configuration["pools"][0]["capacity"] = {"kv_tokens": server.capacity}
        gateway = start(configuration)
        gateway.wait_scraped_once(server)
        assert shown(gateway, server) == Cache(0.0, server.capacity)
        stream = Stream(gateway, server, CHAT, chat(**exactly(1500)))
        assert stream.start().status == 200
        stream.read(300)
        used = shown(gateway, server)
        assert 300 / server.capacity < used.share < 1600 / server.capacity
        stream.read()


def test_a_server_without_metrics_is_read_by_its_slots(start):
    """llama-server shows its metrics only when told to, its slots unless told not to."""
    need("llamacpp")
    server = LlamaCpp("slots", length=2048, has_metrics=False)
    with running(server):
        gateway = start(settings(server))
        gateway.wait_scraped_once(server)
        assert shown(gateway, server) == Cache(0.0, server.capacity)
        stream = Stream(gateway, server, CHAT, chat(**exactly(1500)))
        assert stream.start().status == 200
        stream.read(300)
        earlier, found, later = server.cache(), shown(gateway, server), server.cache()
        assert 0 < earlier.share <= found.share + ROUNDING
        assert found.share <= later.share + ROUNDING
        assert found.capacity == server.capacity
        endpoint = gateway.endpoint(server)
        assert endpoint["healthy"] and "metrics" in endpoint["last_fault"]
        stream.read()
