"""A multipart form with one file, within bounds on its size."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serve_app.http.errors import ApiError
from serve_app.http.exchange import bounded

ENVELOPE_BYTES = 64 * 1024
"""Of a multipart body beside the file."""
MAX_FIELDS = 64


@asynccontextmanager
async def form_of(request: Request, max_file_bytes: int) -> AsyncIterator[FormData]:
    """The multipart form; its files are gone after the block. Raises `ApiError` 413, 415 or 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(415, f"The body must be multipart/form-data, not {kind or 'of no type'}.", "unsupported_media_type")
    body = bounded(request, max_file_bytes + ENVELOPE_BYTES)
    try:
        form = await MultiPartParser(request.headers, body, max_files=1, max_fields=MAX_FIELDS).parse()
    except MultiPartException as error:
        raise ApiError(400, f"The form cannot be read: {error.message}", "invalid_form") from error
    try:
        yield form
    finally:
        await form.close()

