"""Fails when the patch is not needed any more: then delete patches/serve_drain.py and use Serve's own hook."""

import asyncio
import inspect

import pytest
from ray.serve._private import replica
from uvicorn.protocols.websockets import auto
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from patches import serve_drain


def test_a_replica_still_has_no_hook_for_the_beginning_of_its_shutdown() -> None:
    """The user's code is asked for its health, its figures, its configuration and its end, and for nothing else."""
    hooks = {name for name, _ in inspect.getmembers(replica.UserCallableWrapper) if name.startswith("call_")}
    assert hooks == {
        "call_destructor", "call_http_entrypoint", "call_reconfigure", "call_record_autoscaling_stats", "call_user_generator",
        "call_user_health_check", "call_user_method", "call_user_record_replica_metadata", "call_user_record_routing_stats",
    }  # fmt: skip


def test_uvicorn_still_closes_open_websockets_when_it_stops() -> None:
    assert "1012" in inspect.getsource(WebSocketsSansIOProtocol.shutdown)


def test_the_patch_tells_before_serve_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    happened = []

    async def begins(self: object) -> None:
        happened.append("serve")

    monkeypatch.setattr(replica.Replica, "_perform_graceful_shutdown", begins)
    serve_drain.on_shutdown(lambda: happened.append("told"))
    coroutine = replica.Replica._perform_graceful_shutdown(object())
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert happened == ["told", "serve"]


async def test_serve_waits_for_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    happened = []

    async def begins(self: object) -> None:
        happened.append("serve")

    async def ends_its_calls() -> None:
        await asyncio.sleep(0)
        happened.append("calls over")

    monkeypatch.setattr(replica.Replica, "_perform_graceful_shutdown", begins)
    serve_drain.on_shutdown(ends_its_calls)
    await replica.Replica._perform_graceful_shutdown(object())
    assert happened == ["calls over", "serve"]


async def test_serve_ends_the_replica_also_where_telling_it_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    happened = []

    async def begins(self: object) -> None:
        happened.append("serve")

    async def fails() -> None:
        raise OSError("no such gateway")

    monkeypatch.setattr(replica.Replica, "_perform_graceful_shutdown", begins)
    serve_drain.on_shutdown(fails)
    await replica.Replica._perform_graceful_shutdown(object())
    assert happened == ["serve"]
    assert "no such gateway" in caplog.text


def test_servers_started_later_have_patient_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auto, "AutoWebSocketsProtocol", auto.AutoWebSocketsProtocol)
    serve_drain.let_sockets_end()
    assert auto.AutoWebSocketsProtocol is serve_drain.PatientSockets
