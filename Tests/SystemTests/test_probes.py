# SPDX-License-Identifier: Apache-2.0
"""The connection of the probes: kept while its engine keeps it, and never waited for."""


from core_waits import Stopwatch
from gateway_process import settings
from waiting import eventually


def test_probes_share_a_connection_that_is_young_enough(start, engine):
    gateway = start(settings(engine))
    eventually(lambda: engine.probes >= 5, "five probes")
    assert engine.accepted == 1
    assert gateway.endpoint(engine)["healthy"]


def test_no_probes_connection_is_kept_for_longer_than_an_idle_one_may_be(start, engine):
    upstream = {"scrape_interval": "400ms", "idle_timeout": "200ms"}
    gateway = start(settings(engine, upstream=upstream))
    eventually(lambda: engine.probes >= 4, "four probes")
    assert engine.accepted >= 4
    eventually(lambda: not engine.connections, "none is left open until the next")
    assert gateway.endpoint(engine)["probe_failures"] == 0


def test_a_kept_connection_that_ends_under_a_probe_is_replaced_unseen(start, engine):
    async def end_when_used_again(call):
        call.whole(200, b"")
        connection = call.connection
        serve = connection.data_received

        def end_at_the_next_health(data: bytes) -> None:
            if b"GET /health" in data:
                connection.transport.abort()
            else:
                serve(data)

        connection.data_received = end_at_the_next_health

    engine.at_health = end_when_used_again
    gateway = start(settings(engine))
    eventually(lambda: engine.probes >= 5, "five probes")
    assert engine.accepted >= 5
    endpoint = gateway.endpoint(engine)
    assert endpoint["healthy"] and endpoint["probe_failures"] == 0
    assert endpoint["last_fault"] is None


def test_an_engine_that_falls_silent_on_a_kept_connection_is_asked_anew(start, engine):
    async def fall_silent(call):
        await call.gone.wait()

    gateway = start(settings(engine, upstream={"scrape_timeout": "200ms"}))
    gateway.wait_scraped_once(engine)
    engine.at_health = fall_silent
    gateway.wait_healthy(engine, healthy=False)
    engine.at_health = None
    returned = Stopwatch()
    gateway.wait_healthy(engine)
    assert returned.seconds < 2.0
