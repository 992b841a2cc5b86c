"""What the engines behind an OpenAI-compatible endpoint share: the way there, how long it may take, what its failures mean.

The `openai` package (Apache-2.0) makes the requests, reads server-sent events and closes the connection when it is told to. Its own
retries are off: they end once an answer has begun, and a time-out for each read cannot tell a model that thinks from a line that is cut.
Its environment is not used (OPENAI_API_KEY and its like): a key goes only to the endpoint for which it was named.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from serve_app.errors import EngineFailed, EngineGone, PromptTooLong, SettingsError, SparkvoxError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    from openai import APIStatusError, AsyncOpenAI

log = logging.getLogger(__name__)

Piece = TypeVar("Piece")

FIRST_WAIT_S = 0.25
"""Before the second try; doubled for each further one."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NO_KEY = "none"
"""What is sent where no key is named: the package insists on one."""
TEMPORARY = {408, 409, 425, 429, 500, 502, 503, 504}
"""Status codes after which the same request may succeed."""
LONGEST_SAID = 300
"""Characters of what an endpoint said that go into our error."""
TOO_LONG = re.compile(r"context.{0,20}(length|window|size)|maximum model length|prompt is too long|exceeds? the (available )?context", re.I)
"""OpenAI and vLLM: "maximum context length", "maximum model length"; llama.cpp: "exceeds the available context size"."""
WHAT_TO_DO = {
    404: "see that the model is served there and that base_url ends where /chat/completions and /audio begin (mostly in /v1)",
    429: "it takes no more requests for now, or the quota is spent",
}


@dataclass(frozen=True, slots=True)
class Timeouts:
    connect_s: float = 5.0
    first_s: float = 20.0
    """Until the first piece of an answer, all tries together."""
    between_s: float = 10.0
    """Between two pieces."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Timeouts:
        """Raises `SettingsError` for a name that does not exist or a value that is no number of seconds."""
        known = [one.name for one in fields(cls)]
        if unknown := [name for name in given if name not in known]:
            raise SettingsError(f"timeouts has no {', '.join(unknown)}; it has {', '.join(known)}")
        try:
            return cls(**{name: float(value) for name, value in given.items()})
        except (TypeError, ValueError):
            raise SettingsError(f"timeouts are seconds, not {dict(given)!r}") from None


@dataclass(eq=False)
class Endpoint:
    base_url: str
    """Up to /v1. An endpoint that was not given is refused when it is used: constructing an engine must not fail for it."""
    api_key_env: str = ""
    """The name of the environment variable that holds the key. Empty: none is sent."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: int = 2
    """Further tries, before the first piece of an answer only: what was said cannot be taken back."""
    refusal: type[EngineFailed] = EngineFailed
    """What a request that the endpoint does not accept as it is (400, 422) is told as."""
    _client: AsyncOpenAI | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.api_key_env and not VARIABLE.fullmatch(self.api_key_env):
            # Not shown: it may be the key itself.
            raise SettingsError("api_key_env is no name of an environment variable; name the one that holds the key")

    @property
    def key(self) -> str:
        """Empty where none is wanted. Raises `EngineFailed` where the variable is not set."""
        if not self.api_key_env:
            return ""
        key = os.environ.get(self.api_key_env, "")
        if not key:
            raise EngineFailed(f"the environment variable {self.api_key_env} is not set; it must hold the key for {self.base_url}")
        return key

    def require_address(self) -> None:
        """Raises `EngineFailed`."""
        if not self.base_url.startswith(("http://", "https://")):
            raise EngineFailed(f"options.base_url must be the endpoint's address, like http://127.0.0.1:8000/v1, not {self.base_url!r}")

    @property
    def client(self) -> AsyncOpenAI:
        """Raises `EngineFailed` when it cannot be made of what was set."""
        if self._client is None:
            import httpx2
            from openai import AsyncOpenAI, Omit

            self.require_address()
            key = self.key or NO_KEY
            headers: Any = {"Authorization": f"Bearer {key}", "OpenAI-Organization": Omit(), "OpenAI-Project": Omit()}
            self._client = AsyncOpenAI(
                base_url=self.base_url,
                api_key=key,
                max_retries=0,
                timeout=httpx2.Timeout(None, connect=self.timeouts.connect_s),
                default_headers=headers,
            )
        return self._client

    async def close(self) -> None:
        """May be called twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def model(self, wanted: str) -> str:
        """`wanted`, or the only one that the endpoint serves. Raises `EngineFailed` where there are several, or what `pieces` does."""
        if wanted:
            return wanted
        listed = await self.answer(self._models)
        if len(listed) == 1:
            return listed[0]
        raise EngineFailed(f"say which model {self.base_url} shall use; it lists {', '.join(listed) or 'none'}")

    async def _models(self, client: AsyncOpenAI) -> AsyncGenerator[list[str], None]:
        yield [model.id for model in (await client.models.list()).data]

    async def answer(self, ask: Callable[[AsyncOpenAI], AsyncGenerator[Piece, None]]) -> Piece:
        """The only piece of an answer that comes whole."""
        async with aclosing(self.pieces(ask)) as pieces:
            async for piece in pieces:
                return piece
        raise EngineFailed(f"{self.base_url} gave no answer")

    async def pieces(self, ask: Callable[[AsyncOpenAI], AsyncGenerator[Piece, None]]) -> AsyncGenerator[Piece, None]:
        """What a request gives. `ask` makes it when its first piece is wanted, and closes it when it is closed itself.

        Raises `EngineFailed`, `EngineGone` or `PromptTooLong`, with a sentence that says what to do.
        """
        stream, piece = await self._begun(ask)
        async with aclosing(stream):
            while piece is not None:
                yield piece
                with self.translated(f"sent nothing for {self.timeouts.between_s:g} s in the middle of an answer"):
                    async with asyncio.timeout(self.timeouts.between_s):
                        piece = await anext(stream, None)

    async def _begun(self, ask: Callable[[AsyncOpenAI], AsyncGenerator[Piece, None]]) -> tuple[AsyncGenerator[Piece, None], Piece | None]:
        with self.translated(f"gave no answer within {self.timeouts.first_s:g} s"):
            client = self.client
            async with asyncio.timeout(self.timeouts.first_s):
                for number in range(self.retries):
                    stream = ask(client)
                    try:
                        return stream, await anext(stream, None)
                    except Exception as error:
                        wait_s = _wait_s(error, number)
                        if wait_s is None or wait_s > self.timeouts.first_s:
                            raise
                        log.info("%s: %s; trying again", self.base_url, error)
                    await asyncio.sleep(wait_s)
                stream = ask(client)
                return stream, await anext(stream, None)

    @contextmanager
    def translated(self, late: str) -> Iterator[None]:
        """`late`: what the endpoint did when time ran out."""
        import httpx2
        import openai

        try:
            yield
        except SparkvoxError:
            raise
        except (TimeoutError, openai.APITimeoutError) as error:
            raise EngineGone(f"{self.base_url} {late}") from error
        except openai.APIStatusError as error:
            raise self._refused(error) from error
        except (openai.APIConnectionError, httpx2.TransportError) as error:  # the latter where bytes are streamed
            raise EngineGone(f"the connection to {self.base_url} failed ({_cause(error)}): see that a server answers there") from error
        except openai.APIError as error:
            kind = PromptTooLong if _too_long(error) else EngineFailed
            raise kind(f"{self.base_url} broke its answer off: {_short(error.message)}") from error
        except Exception as error:
            said = f"{type(error).__name__}: {_short(str(error))}"
            raise EngineFailed(f"{self.base_url} sent what cannot be read ({said}): is it OpenAI-compatible?") from error

    def _refused(self, error: APIStatusError) -> EngineFailed:
        status = error.status_code
        advice = self._about_the_key() if status in (401, 403) else WHAT_TO_DO.get(status)
        kind = PromptTooLong if _too_long(error) else self.refusal if status in (400, 422) else EngineFailed
        return kind(f"{error.request.url} answered {status}: {_said(error)}" + (f" ({advice})" if advice else ""))

    def _about_the_key(self) -> str:
        if self.api_key_env:
            return f"the key in the environment variable {self.api_key_env} is not taken"
        return "name the environment variable that holds a key with options.api_key_env"


def _wait_s(error: Exception, number: int) -> float | None:
    """How long to wait before try `number` + 2; None when a second try would be as vain."""
    from httpx2 import TransportError
    from openai import APIConnectionError, APIStatusError

    backoff_s = FIRST_WAIT_S * 2.0**number
    if isinstance(error, APIStatusError):
        if error.status_code not in TEMPORARY or error.code == "insufficient_quota":
            return None
        try:
            return float(error.response.headers.get("retry-after", backoff_s))
        except ValueError:  # a date
            return backoff_s
    return backoff_s if isinstance(error, APIConnectionError | TransportError) else None


def _too_long(error: Any) -> bool:
    return error.code == "context_length_exceeded" or TOO_LONG.search(error.message) is not None


def _said(error: APIStatusError) -> str:
    """What the endpoint says went wrong: `message` of OpenAI, `detail` of FastAPI, else the beginning of the body."""
    body: Any = error.body
    for name in ("message", "detail", "error"):
        if isinstance(body, dict) and body.get(name):
            return _short(str(body[name]))
    return _short(error.response.text) or "nothing more"


def _short(said: str) -> str:
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_SAID else said[:LONGEST_SAID] + "…"


def _cause(error: BaseException) -> str:
    """The innermost reason: the outer ones say no more than that a connection failed."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return _short(str(error)) or type(error).__name__
