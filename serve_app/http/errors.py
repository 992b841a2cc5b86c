"""What goes wrong, in the shape of OpenAI's errors (platform.openai.com/docs/guides/error-codes)."""

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from serve_app.access import SessionTooLong, WrongKey
from serve_app.admission import Refused
from serve_app.errors import EngineBusy, EngineFailed, EngineGone, PromptRefused, PromptTooLong, SparkvoxError, UnknownVoice
from serve_app.limits import LimitReached
from serve_app.realtime.errors import ProtocolError, from_validation

_HEADERS = {
    401: {"www-authenticate": 'Bearer realm="sparkvox"'},
    426: {"upgrade": "websocket", "connection": "upgrade"},
    429: {"retry-after": "1"},
    503: {"retry-after": "1"},
}

log = logging.getLogger(__name__)


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """What `ApiError.body` is."""

    error: ErrorDetail


class ApiError(SparkvoxError):
    """Becomes the answer: an HTTP status with one error object."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(status, message, code, param)
        self.status, self.message, self.code, self.param = status, message, code, param

    def __str__(self) -> str:
        return self.message

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": _type(self.status), "param": self.param, "code": self.code}}


def invalid(error: ValidationError) -> ApiError:
    """The first thing that Pydantic found wrong."""
    found = from_validation(error, None)
    return ApiError(400, found.message, found.code, found.param)


def api_error(error: Exception) -> ApiError:
    """What the client is told; of what is not ours it learns nothing but that it happened."""
    match error:
        case ApiError():
            return error
        case ValidationError():
            return invalid(error)
        case ProtocolError():
            return ApiError(400, error.message, error.code, error.param)
        case WrongKey():
            return ApiError(401, str(error), "invalid_api_key")
        case SessionTooLong():
            return ApiError(400, str(error), "invalid_value", "session")
        case Refused() | LimitReached():
            return ApiError(429, str(error), "rate_limit_exceeded")
        case EngineBusy() | EngineGone():
            return ApiError(503, str(error), "engine_unavailable")
        case PromptTooLong():
            return ApiError(400, str(error), "context_length_exceeded", "messages")
        case PromptRefused():
            return ApiError(400, str(error), "unsupported_value")
        case UnknownVoice():
            return ApiError(400, str(error), "invalid_value", "voice")
        case EngineFailed():
            return ApiError(500, str(error), "engine_failed")
        case HTTPException():
            return ApiError(error.status_code, error.detail)
    log.error("a request failed", exc_info=error)
    return ApiError(500, "The server met an error of its own.", "internal_error")


def response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(error.body, error.status, headers or _HEADERS.get(error.status))


def _type(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
