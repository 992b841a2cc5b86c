"""Who may come in, transcription sessions, and how a server ends a conversation."""

from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from tests.conformance.asking import TEXT, ask, completed_or_cut
from tests.conformance.checks_turns import BUFFER, ITEM, QUESTION, TRANSCRIBED, TRANSCRIPTION, transcript
from tests.conformance.line import Line, expect, in_order
from tests.conformance.speech import say, sentence
from tests.conformance.suite import Need, Skipped, Suite, check

INTENT = {"intent": "transcription"}
EXPIRED, OVERLOADED, DRAINING = 1001, 1013, 1012


# --- transcription sessions -------------------------------------------------------------------------------------------------------------


async def transcribing(suite: Suite) -> Line:
    """?intent=transcription: a sentence, then a response that must not be had."""
    async with suite.line(INTENT) as line:
        await line.update(audio={"input": {"transcription": TRANSCRIBED, "turn_detection": {"type": "server_vad"}}})
        await say(line, sentence(QUESTION))
        await transcript(line)
        await line.refused("response.create")
        await line.fence()
    return line


@check(Need.SPEECH)
async def intent_transcription(suite: Suite) -> None:
    """?intent=transcription: the session is of type transcription; speech is committed and transcribed."""
    line = await suite.scene(transcribing)
    told = line.of("session.created")[0]["session"]
    expect(told["type"] == "transcription", f"the type is {told['type']!r}")
    names = [f"{BUFFER}.speech_started", f"{BUFFER}.speech_stopped", f"{BUFFER}.committed", f"{ITEM}.added", f"{ITEM}.done"]
    in_order(line.events, *names, f"{TRANSCRIPTION}.completed")


@check(Need.SPEECH)
async def transcription_sessions_never_respond(suite: Suite) -> None:
    """A transcription session never sends response.*, and refuses response.create."""
    line = await suite.scene(transcribing)
    expect(not line.of("response.*") and not line.of("rate_limits.updated"), "there is a response")


@check()
async def a_session_keeps_its_type(suite: Suite) -> None:
    """A realtime session cannot be turned into a transcription session, nor the other way round."""
    for query, other in ((None, "transcription"), (INTENT, "realtime")):
        async with suite.line(query) as line:
            error = await line.refused("session.update", session={"type": other})
            expect(error.get("message"), f"the error is {error}")


# --- keys -------------------------------------------------------------------------------------------------------------------------------


async def _greeting(suite: Suite, **asked: Any) -> str:
    """session.created, or why not: the HTTP status of the refusal with its body, or the code of the error event."""
    try:
        async with suite.connected(**asked) as line:
            event = await line.gets("session.created", "error")
            return event["type"] if event["type"] == "session.created" else str(event["error"].get("code"))
    except InvalidStatus as refused:
        return f"{refused.response.status_code} {bytes(refused.response.body or b'').decode(errors='replace')}"


@check(Need.KEY)
async def a_key_lets_in(suite: Suite) -> None:
    """Authorization: Bearer KEY lets in."""
    said = await _greeting(suite)
    expect(said == "session.created", f"the answer is {said}")


@check(Need.KEY)
async def no_key_lets_nobody_in(suite: Suite) -> None:
    """Without a key: HTTP 401, or an error event."""
    said = await _greeting(suite, key="")
    expect(said.startswith("401") or said == "invalid_api_key", f"the answer is {said}")


@check(Need.KEY)
async def a_wrong_key_lets_nobody_in(suite: Suite) -> None:
    """With a wrong key: invalid_api_key."""
    said = await _greeting(suite, key="sk-wrong")
    expect("invalid_api_key" in said, f"the answer is {said}")


@check()
async def browsers_bring_their_key_as_a_subprotocol(suite: Suite) -> None:
    """Of the subprotocols realtime and openai-insecure-api-key.KEY the server selects realtime."""
    offered = [Subprotocol("realtime"), Subprotocol(f"openai-insecure-api-key.{suite.options.key or 'none'}")]
    async with suite.connected(subprotocols=offered) as line:
        await line.gets("session.created")
        expect(line.subprotocol == "realtime", f"the subprotocol is {line.subprotocol!r}")


async def _secret(suite: Suite, session: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(suite.options.url)
    scheme = {"ws": "http", "wss": "https"}[parts.scheme]
    address = urlunsplit((scheme, parts.netloc, f"{parts.path}/client_secrets", "", ""))
    headers = {"Authorization": f"Bearer {suite.options.key}"} if suite.options.key else {}
    body = {"expires_after": {"anchor": "created_at", "seconds": 600}, "session": session}
    async with httpx.AsyncClient(timeout=suite.options.patience_s) as client:
        answer = await client.post(address, json=body, headers=headers)
    if answer.status_code in (404, 405):
        raise Skipped(f"POST {parts.path}/client_secrets is answered with {answer.status_code}")
    expect(answer.status_code == 200, f"it is answered with {answer.status_code} {answer.text[:300]}")
    return answer.json()


@check()
async def ephemeral_keys_carry_their_session(suite: Suite) -> None:
    """POST client_secrets gives {value: ek_..., expires_at, session}; whoever connects with it has that session."""
    secret = await _secret(suite, {"type": "realtime", "instructions": "Speak of the sea."})
    expect(str(secret["value"]).startswith("ek_") and secret["expires_at"] > 0, f"it is {list(secret)}")
    expect(secret["session"]["instructions"] == "Speak of the sea.", f"its session is {secret['session']}")
    async with suite.connected(key=secret["value"]) as line:
        created = (await line.gets("session.created"))["session"]
        expect(created["instructions"] == "Speak of the sea.", f"the instructions are {created['instructions']!r}")


@check(Need.SPEECH)
async def ephemeral_keys_of_transcription_sessions(suite: Suite) -> None:
    """A client secret for a session of type transcription opens one."""
    secret = await _secret(suite, {"type": "transcription", "audio": {"input": {"transcription": TRANSCRIBED}}})
    async with suite.connected(key=secret["value"]) as line:
        created = (await line.gets("session.created"))["session"]
        expect(created["type"] == "transcription", f"the type is {created['type']!r}")


# --- how it ends ------------------------------------------------------------------------------------------------------------------------


@check(Need.SHORT_SESSION)
async def a_session_expires(suite: Suite) -> None:
    """At its longest a session ends with the error session_expired and close code 1001."""
    async with suite.line() as line:
        error = (await line.gets("error"))["error"]
        expect(error["code"] == "session_expired", f"the code is {error['code']!r}")
        code, reason = await line.until_closed()
        expect(code == EXPIRED, f"the connection ended with {code} {reason!r}")


@check(Need.PLACES)
async def overload_is_told_so_that_clients_retry(suite: Suite) -> None:
    """One session too many: accepted, an error, then close code 1013 (1012 when draining), never 1008 or 4xxx; the others go on."""
    places = suite.options.places or 0
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(suite.line()) for _ in range(places)]
        async with suite.connected() as extra:
            error = (await extra.gets("error"))["error"]
            expect(error.get("message"), f"the error is {error}")
            code, reason = await extra.until_closed()
            expect(code in (OVERLOADED, DRAINING), f"the connection ended with {code} {reason!r}")
        for line in lines:
            await line.fence()


@check()
async def a_client_that_vanishes_harms_nobody(suite: Suite) -> None:
    """When a client is gone in the middle of an answer, others are answered."""
    async with suite.line(**TEXT) as line:
        async with suite.line(**TEXT) as gone:
            await gone.send("response.create", response={"instructions": "Tell a long story."})
            await gone.gets("response.created")
            await gone.vanish()
        completed_or_cut(await ask(line, "Say hello."))
