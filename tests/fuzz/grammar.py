"""What a client of the Realtime protocol might send: valid messages with real ids, nearly valid ones (a valid one with one thing changed in
it) and broken ones. All of it follows from the dice and from what the server has said."""

import base64
import json
from collections import Counter, deque
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

Event = dict[str, Any]
REMEMBERED = 40
"""Ids of a kind that a client knows; the newest."""
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}


@dataclass(frozen=True, slots=True)
class Sent:
    raw: str | bytes
    kind: str
    """valid, nearly, broken or audio."""
    type: str
    event_id: str | None = None


@dataclass(slots=True)
class Known:
    """What the client has learned from the server."""

    items: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """Items of the assistant, of which the newest may be spoken now."""
    responses: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    saying: list[str] = field(default_factory=list)
    """Ids of utterances that have begun, whether they ended or not."""
    voices: tuple[str, ...] = ("af_heart", "af_bella")
    input_format: str = "audio/pcm"
    heard: deque[str] = field(default_factory=lambda: deque(maxlen=8))
    """Audio of answers as it came, which a microphone may hear."""

    def see(self, event: Event) -> None:
        match event["type"]:
            case "conversation.item.added":
                item = event["item"]
                self._remember(self.items, item["id"])
                if item.get("role") == "assistant":
                    self._remember(self.answers, item["id"])
                if item["type"] == "function_call":
                    self._remember(self.calls, item["call_id"])
            case "conversation.item.deleted":
                if event["item_id"] in self.items:
                    self.items.remove(event["item_id"])
                self._remember(self.gone, event["item_id"])
            case "input_audio_buffer.speech_started":
                self._remember(self.saying, event["item_id"])
            case "response.created":
                self._remember(self.responses, event["response"]["id"])
                self._remember(self.live, event["response"]["id"])
            case "response.done":
                if event["response"]["id"] in self.live:
                    self.live.remove(event["response"]["id"])
            case "response.output_audio.delta":
                self.heard.append(event["delta"])
            case "session.created" | "session.updated":
                audio = event["session"].get("audio", {})
                self.input_format = audio.get("input", {}).get("format", {}).get("type", "audio/pcm")

    @staticmethod
    def _remember(ids: list[str], one: str) -> None:
        ids.append(one)
        del ids[:-REMEMBERED]


WORDS = (
    "Hello.", "Yes.", "no stop that please", "What is the capital of France?", "🙂", "```py\nprint(1)\n```", " ", "",
    "e\u0301 \u202e", "a\0b", "x" * 400,
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 1e308, 2**31, 2**53 + 1, 2**63 - 1, "", "0.5", "auto", "null", "x" * 3000, "\ud7ff",
    [], {}, [[]], [None], {"type": None}, {"type": "x"}, {"a": {"b": {"c": [1, 2, {"d": None}]}}},
)  # fmt: skip
NO_EVENTS = ("", "null", "1e999", "NaN", '"session.update"', "[" * 3000, '{"type":' * 500, '{"type": "\\ud800"}')
VALUES_LONG = 4
"""Of a thousand changed messages so many hold a text that is longer than most clients take."""


class Grammar:
    def __init__(self, dice: Random, known: Known) -> None:
        self._dice = dice
        self._known = known
        self._numbers = 0
        self._planned: deque[tuple[str, Event]] = deque()
        self.counts: Counter[str] = Counter()

    def next(self) -> Sent:
        if self._planned:
            kind, event = self._planned.popleft()
        else:
            kind, event = self._begin()
        if kind == "broken":
            self.counts["broken"] += 1
            return Sent(self._broken(event), "broken", "?")
        event_id = None
        if self._dice.random() < 0.5:
            event_id = event["event_id"] = f"mine_{self._number()}"
        if kind == "nearly":
            self._change(event)
            event_id = event.get("event_id") if isinstance(event.get("event_id"), str) else None
        self.counts[f"{kind} {event.get('type')}" if kind == "valid" else kind] += 1
        return Sent(json.dumps(event), kind, str(event.get("type")), event_id)

    def _begin(self) -> tuple[str, Event]:
        chance = self._dice.random()
        if chance < 0.04:
            self._plan_of_items()
        elif chance < 0.06:
            self._plan_of_calls()
        elif chance < 0.075:
            self._plan_of_speech()
        if self._planned:
            return self._planned.popleft()
        makes, weights = zip(*self._moves(), strict=True)
        event = self._dice.choices(makes, weights)[0]()
        chance = self._dice.random()
        return ("broken" if chance < 0.04 else "nearly" if chance < 0.22 else "valid"), event

    def _moves(self) -> list[tuple[Any, int]]:
        return [
            (self._append, 26),
            (lambda: {"type": "input_audio_buffer.commit"}, 5),
            (lambda: {"type": "input_audio_buffer.clear"}, 4),
            (self._create, 14),
            (self._delete, 8),
            (lambda: {"type": "conversation.item.retrieve", "item_id": self._item_id()}, 4),
            (self._truncate, 7),
            (self._respond, 10),
            (self._cancel, 4),
            (self._update, 8),
            (lambda: {"type": "output_audio_buffer.clear"}, 1),
        ]

    # --- sequences that are seldom met by chance ----------------------------------------------------------------------------------------

    def _plan_of_items(self) -> None:
        """An item of an answer is deleted or made again while it is spoken, and then something happens to it."""
        answers = self._known.answers or self._known.saying or self._known.items
        if not answers:
            return
        item_id = answers[-1]
        steps: list[Event] = [{"type": "conversation.item.delete", "item_id": item_id}]
        if self._dice.random() < 0.7:
            steps.append(self._create(item_id))
        steps += [self._of(self._truncate, item_id), {"type": f"input_audio_buffer.{self._dice.choice(('commit', 'clear'))}"}]
        self._planned += [("valid", one) for one in steps]

    def _plan_of_calls(self) -> None:
        tools = [{"type": "function", "name": "look_up", "description": "Looks it up", "parameters": {"type": "object"}}]
        self._planned.append(("valid", {"type": "session.update", "session": {"tools": tools, "tool_choice": "auto"}}))
        if self._known.calls:
            output = {"type": "function_call_output", "call_id": self._known.calls[-1], "output": '{"found": 1}'}
            self._planned.append(("valid", {"type": "conversation.item.create", "item": output}))
            self._planned.append(("valid", {"type": "response.create"}))

    def _plan_of_speech(self) -> None:
        """A whole turn, with a pause in it sometimes; long enough for voice activity detection."""
        form = self._known.input_format
        for loud, pieces in ((True, self._dice.randint(2, 6)), (False, 2), (True, self._dice.randint(0, 3)), (False, 5)):
            for _ in range(pieces):
                self._planned.append(("audio", _append(_sound(self._dice, form, 0.2, loud))))

    # --- messages -----------------------------------------------------------------------------------------------------------------------

    def _append(self) -> Event:
        form, seconds = self._known.input_format, self._dice.choice((0.0, 0.01, 0.02, 0.04, 0.04, 0.1, 0.1, 0.2, 0.2, 0.7))
        if self._dice.random() < 0.1 and self._known.heard and form == "audio/pcm":
            return _append(base64.b64decode(self._known.heard[0])[: int(seconds * RATES[form]) * 2])
        audio = _sound(self._dice, form, seconds, self._dice.random() < 0.6)
        if self._dice.random() < 0.02:
            audio += b"\x07"
        return _append(audio)

    def _create(self, item_id: str | None = None) -> Event:
        item = self._item()
        if item_id or self._dice.random() < 0.4:
            item["id"] = item_id or self._item_id(new=True)
        event: Event = {"type": "conversation.item.create", "item": item}
        if self._dice.random() < 0.4:
            event["previous_item_id"] = self._dice.choice((None, "root", self._item_id()))
        return event

    def _item(self) -> Event:
        words = self._dice.choice(WORDS)
        match self._dice.randrange(9):
            case 0 | 1:
                return _message("user", {"type": "input_text", "text": words})
            case 2:
                return _message("system", {"type": "input_text", "text": words})
            case 3:
                return _message("assistant", {"type": "output_text", "text": words})
            case 4:
                return _message("assistant", {"type": "output_audio", "transcript": words})
            case 5:
                audio = base64.b64encode(_sound(self._dice, self._known.input_format, self._dice.choice((0.0, 0.1, 0.5)), True)).decode()
                parts = [{"type": "input_audio", "audio": audio, **({"transcript": words} if self._dice.random() < 0.4 else {})}]
                return _message("user", *([{"type": "input_text", "text": words}] if self._dice.random() < 0.3 else []), *parts)
            case 6:
                call_id = {"call_id": self._call_id()} if self._dice.random() < 0.7 else {}
                arguments = self._dice.choice(("{}", "", "{", '{"a": [1]}'))
                return {"type": "function_call", "name": "look_up", "arguments": arguments, **call_id}
            case 7:
                return {"type": "function_call_output", "call_id": self._call_id(), "output": words}
            case _:
                return _message(self._dice.choice(("user", "system", "assistant")))

    def _delete(self) -> Event:
        return {"type": "conversation.item.delete", "item_id": self._item_id()}

    def _truncate(self) -> Event:
        played_ms = self._dice.choice((0, 1, 200, 500, 1000, 5000, 100_000))
        index = 0 if self._dice.random() < 0.9 else self._dice.choice((1, -1, 2**31))
        return {"type": "conversation.item.truncate", "item_id": self._item_id(), "content_index": index, "audio_end_ms": played_ms}

    def _of(self, make: Any, item_id: str) -> Event:
        return {**make(), "item_id": item_id}

    def _respond(self) -> Event:
        if self._dice.random() < 0.35:
            return {"type": "response.create"}
        body: Event = {}
        for name, values in (
            ("conversation", ("none", "none", "auto", "conv_unknown")),
            ("output_modalities", (["text"], ["audio"])),
            ("instructions", ("", "Be brief.", None)),
            ("max_output_tokens", ("inf", 1, 3, 4096)),
            ("metadata", ({"a": "b"}, {}, None, {"message": "type"})),
            ("tool_choice", ("none", "auto", "required", {"type": "function", "name": "look_up"})),
            ("tools", ([], [{"type": "function", "name": "look_up"}])),
            ("audio", tuple({"output": one} for one in ({"voice": "af_bella"}, {"speed": 1.5}, {"format": {"type": "audio/pcmu"}}))),
            ("reasoning", ({"effort": "low"}, {})),
            ("prompt", ({"id": "p", "variables": {"a": "b"}},)),
        ):  # fmt: skip
            if self._dice.random() < 0.25:
                body[name] = deepcopy(self._dice.choice(values))
        if self._dice.random() < 0.25:
            references = [{"type": "item_reference", "id": self._item_id()}] if self._dice.random() < 0.5 else []
            body["input"] = [*references, *(self._item() for _ in range(self._dice.randrange(3)))]
        return {"type": "response.create", "response": body}

    def _cancel(self) -> Event:
        known = [*self._known.live, *self._known.responses[-2:], "resp_nobody"]
        return {"type": "response.cancel", **({"response_id": self._dice.choice(known)} if self._dice.random() < 0.6 else {})}

    def _update(self) -> Event:
        session: Event = {}
        for name, values in (
            ("type", ("realtime", "transcription")),
            ("model", ("gpt-realtime", "")),
            ("instructions", ("", "Be brief.", None, "x" * 200)),
            ("output_modalities", (["audio"], ["audio"], ["text"], ["audio", "text"], None)),
            ("tools", ([], None, [{"type": "function", "name": "look_up", "parameters": {"type": "object", "properties": {}}}])),
            ("tool_choice", ("auto", "none", "required", None, {"type": "function", "name": "look_up"})),
            ("max_output_tokens", ("inf", 5, 4096, None)),
            ("truncation", ("auto", "disabled", {"type": "retention_ratio", "retention_ratio": 0.5}, None)),
            ("tracing", ("auto", None, {"workflow_name": "w", "metadata": {"a": 1}})),
            ("prompt", ({"id": "p", "version": "1"}, None)),
            ("reasoning", ({"effort": "high"}, None)),
            ("include", (["item.input_audio_transcription.logprobs"], ["sparkvox.timings"], [], None)),
        ):
            if self._dice.random() < 0.15:
                session[name] = deepcopy(self._dice.choice(values))
        if self._dice.random() < 0.6:
            session["audio"] = self._audio()
        return {"type": "session.update", "session": session}

    def _audio(self) -> Event:
        heard: Event = {}
        if self._dice.random() < 0.7:
            heard["turn_detection"] = self._detection()
        if self._dice.random() < 0.3:
            heard["transcription"] = self._dice.choice(
                (None, {"model": "whisper-1"}, {"language": "en", "keywords": ["France"]}, {"languages": ["de", "en"], "prompt": "names"})
            )
        if self._dice.random() < 0.2:
            heard["noise_reduction"] = self._dice.choice((None, {"type": "near_field"}))
        if self._dice.random() < 0.15:
            heard["format"] = {"type": self._dice.choice(list(RATES))}
        said: Event = {}
        if self._dice.random() < 0.2:
            said["voice"] = self._dice.choice(("af_heart", "marin", "", {"id": "ash"}))
        if self._dice.random() < 0.2:
            said["speed"] = self._dice.choice((0.25, 1.0, 1.5))
        if self._dice.random() < 0.1:
            said["format"] = self._dice.choice(({"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}, {"type": "audio/pcma"}))
        return {**({"input": heard} if heard else {}), **({"output": said} if said else {})}

    def _detection(self) -> Event | None:
        kind = self._dice.choice((None, "server_vad", "server_vad", "semantic_vad"))
        if kind is None:
            return None
        detection: Event = {"type": kind}
        for name in ("create_response", "interrupt_response"):
            if self._dice.random() < 0.3:
                detection[name] = self._dice.choice((True, False, None))
        if kind == "semantic_vad":
            return detection | ({"eagerness": self._dice.choice(("low", "high", "auto"))} if self._dice.random() < 0.5 else {})
        for name, values in (
            ("threshold", (0, 0.5, 1)), ("prefix_padding_ms", (0, 300, 2000)), ("silence_duration_ms", (0, 200, 500, 3000)),
            ("idle_timeout_ms", (None, 1, 500, 6000)),
        ):  # fmt: skip
            if self._dice.random() < 0.3:
                detection[name] = self._dice.choice(values)
        return detection

    # --- names --------------------------------------------------------------------------------------------------------------------------

    def _item_id(self, new: bool = False) -> str:
        known = self._known
        pools = [known.items, known.items, known.answers[-2:], known.saying[-2:], known.gone, ["item_nobody", "root", "x" * 64, "🙂" * 16]]
        if new:
            pools += [[f"made_{self._number()}"]] * 3
        pool = self._dice.choice([pool for pool in pools if pool])
        return self._dice.choice(pool[-12:])

    def _call_id(self) -> str:
        return self._dice.choice([*self._known.calls[-4:], "call_1", "call_nobody"])

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    # --- what is wrong with them --------------------------------------------------------------------------------------------------------

    def _change(self, event: Event) -> None:
        """One thing in it is another, too many or missing."""
        inside = [event, *_containers(event)]
        where = self._dice.choice(inside)
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        odd = self._odd()
        match self._dice.randrange(4):
            case 0 if keys:
                del where[self._dice.choice(keys)]
            case 1 if isinstance(where, dict):
                where[self._dice.choice(("meta", "id", "type", "status", "message", "extra" * 50))] = odd
            case 1:
                where.append(odd)
            case _ if keys:
                where[self._dice.choice(keys)] = odd

    def _odd(self) -> Any:
        chance = self._dice.randrange(1000)
        if chance < VALUES_LONG:
            return "y" * 1_200_000
        if chance < 2 * VALUES_LONG:
            deep: Any = []
            for _ in range(self._dice.choice((40, 200, 700))):
                deep = {"a": deep}
            return deep
        return deepcopy(self._dice.choice(ODD))

    def _broken(self, event: Event) -> str | bytes:
        text = json.dumps(event)
        match self._dice.randrange(8):
            case 0:
                return text[: self._dice.randrange(len(text))]
            case 1:
                return text.encode("utf-16")
            case 2:
                return bytes(self._dice.randrange(256) for _ in range(self._dice.randrange(40)))
            case 3:
                return json.dumps([event])
            case 4:
                return self._dice.choice(NO_EVENTS)
            case 5:
                return json.dumps({**event, "type": self._dice.choice(("", "session.created", "response.done", "x", None, 5, {}))})
            case 6:
                return text.encode()[:-1] + b"\xff"
            case _:
                return text.replace(":", self._dice.choice((";", "::", ": NaN,")), 1)


def _message(role: str, *content: Event) -> Event:
    return {"type": "message", "role": role, "content": list(content)}


def _append(audio: bytes) -> Event:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


def _sound(dice: Random, form: str, seconds: float, loud: bool) -> bytes:
    """A ramp of a tone, so that what is put in another order sounds otherwise; or silence."""
    count = round(seconds * RATES[form])
    if form != "audio/pcm":
        return bytes(dice.randrange(256) for _ in range(8)) * (count // 8) if loud else b"\xff" * count
    if not loud:
        return bytes(2 * count)
    at = np.arange(count)
    return bytes((np.sin(at * dice.choice((0.05, 0.08, 0.13))) * np.linspace(4000, 9000, count)).astype("<i2").tobytes())


def _containers(value: Any) -> list[Any]:
    found: list[Any] = []
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            found += [inner, *_containers(inner)]
    return found
