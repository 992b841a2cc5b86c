"""POST /v1/realtime/client_secrets: an ephemeral key, with the session that it opens. A web server asks for one with its own key and
gives it to a browser, which then never sees the other."""

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.access import Access
from serve_app.connection import new_id
from serve_app.http.exchange import caller_of, json_of
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.session_object import Served, SessionObject


class ExpiresAfter(BaseModel):
    model_config = ConfigDict(extra="forbid")
    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(600, ge=10, le=7200)


class ClientSecretRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    expires_after: ExpiresAfter = ExpiresAfter()
    session: SessionUpdateBody = SessionUpdateBody()


async def answer(request: Request, access: Access, served: Served, longest_s: float) -> Response:
    """`longest_s`: of a session. Raises `ApiError`, `ProtocolError`, `SessionTooLong` or Pydantic's ValidationError."""
    asked = await json_of(request, ClientSecretRequest)
    now = int(time.time())
    session = _session(asked.session, served, now + int(longest_s))
    expires_at = now + asked.expires_after.seconds
    key = access.ephemeral(caller_of(request.scope).key, asked.session.model_dump(mode="json", exclude_unset=True), expires_at)
    return JSONResponse({"value": key, "expires_at": expires_at, "session": session}, headers={"cache-control": "no-store"})


def _session(asked: SessionUpdateBody, served: Served, expires_at: int) -> dict[str, Any]:
    """What a session would begin as if it began now, after the same checks as a session.update."""
    session = SessionObject(new_id("sess"), served, expires_at, transcription_only=asked.type == "transcription")
    session.update(asked)
    body = session.wire()
    if body["type"] == "transcription":
        body["object"] = "realtime.transcription_session"
    return body
