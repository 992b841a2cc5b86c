"""Fails when the patch is not needed any more: then delete patches/uvicorn_limits.py and set the option instead."""

import uvicorn
from ray.serve.config import HTTPOptions

from patches import uvicorn_limits
from serve_app.settings import MAX_APPEND_BYTES


async def _nothing(scope: object, receive: object, send: object) -> None: ...


def test_serve_still_has_no_option_for_the_size_of_messages() -> None:
    assert not [name for name in HTTPOptions.model_fields if "ws_" in name or "message" in name]


def test_uvicorns_own_limit_is_still_too_small_for_an_append() -> None:
    assert uvicorn.config.Config(_nothing).ws_max_size < MAX_APPEND_BYTES


def test_the_patch_raises_it_for_servers_started_later(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(uvicorn, "Config", uvicorn.Config)
    uvicorn_limits.raise_limits(MAX_APPEND_BYTES)
    raised = uvicorn.Config(_nothing)
    assert raised.ws_max_size > MAX_APPEND_BYTES and not raised.ws_per_message_deflate
    assert uvicorn.Config(_nothing, ws_max_size=7).ws_max_size == 7, "who asks for another one gets it"
