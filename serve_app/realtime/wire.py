"""One session's side of the Realtime protocol: client messages in, events for the conversation out; notifications in, server messages
out. Pure.

`receive` never raises for what a client sent: what is wrong with it comes back as an `error` event.
"""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass, field

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Modality, ResponseRequest
from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, ItemReference, Kind, Message, Part, Role, Status
from serve_app.core.transcripts import audio_without_text
from serve_app.realtime import client_events as client
from serve_app.realtime import render
from serve_app.realtime.errors import ProtocolError, short, untaken
from serve_app.realtime.render import Event
from serve_app.realtime.session_object import LONGEST_ECHO, SessionObject, check_length, tool_choice_of, tools_of


@dataclass(frozen=True, slots=True)
class AudioAppended:
    """Audio in the session's input format."""

    audio: bytes
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """The session knows how much audio the buffer holds; the wire does not."""

    event_id: str | None


@dataclass(frozen=True, slots=True)
class ItemBrought:
    """An item with audio that has no transcript yet."""

    created: ev.ItemCreated
    audio: bytes
    """In the session's input format."""


@dataclass(slots=True)
class Received:
    """What one client message means."""

    events: list[ev.Event | AudioAppended | Commit | ItemBrought] = field(default_factory=list)
    replies: list[Event] = field(default_factory=list)
    """Server events that follow at once, after the events were handled."""


class Wire:
    def __init__(
        self,
        session: SessionObject,
        new_id: Callable[[str], str],
        timings: bool = False,
        rate_limits: Callable[[], list[Event]] = list,
    ) -> None:
        """`timings`: the client asked for them; they ride in the metadata of `response.done`, which the protocol leaves to us. It may also
        do so in the session's `include`.
        `rate_limits`: as `rate_limits.updated` tells them."""
        self.session = session
        self._new_id = new_id
        self._timings = timings
        self._rate_limits = rate_limits
        self._conversation_id = new_id("conv")

    def opening(self) -> Event:
        return self.stamp({"type": "session.created", "session": self.session.wire()})

    def stamp(self, event: Event) -> Event:
        """Gives the event its unique id."""
        return {"type": event["type"], "event_id": self._new_id("event"), **event}

    def render(self, what: told.Notification) -> list[Event]:
        event = render.render(what, self._conversation_id)
        if isinstance(what, told.ResponseDone):
            self._add_timings(event, what.response.timings)
            return [self.stamp(event), self.stamp({"type": "rate_limits.updated", "rate_limits": self._rate_limits()})]
        if isinstance(what, told.ItemCut) and self._tells_timings:
            event["sparkvox.cut_by"] = "words" if what.by_words else "proportion"
        return [self.stamp(event)]

    @property
    def _tells_timings(self) -> bool:
        return self._timings or self.session.includes_timings

    def audio_delta(self, place: told.At, audio: bytes) -> Event:
        self.session.fix_voice()
        return self.stamp(render.audio_delta(place, base64.b64encode(audio).decode()))

    def receive(self, raw: str | bytes) -> Received:
        try:
            return self._understand(client.parse(raw), len(raw) > LONGEST_ECHO)
        except ProtocolError as problem:
            return self._refused(problem)

    def _refused(self, problem: ProtocolError) -> Received:
        return Received(replies=[self.stamp(render.error(problem.message, problem.code, problem.param, problem.event_id))])

    def _understand(self, event: client.ClientEvent, long: bool) -> Received:
        try:
            match event:
                case client.Append():
                    return Received([AudioAppended(_decoded(event.audio), event.event_id)])
                case client.SessionUpdate():
                    self.session.update(event.session)
                    updated = self.stamp({"type": "session.updated", "session": self.session.wire()})
                    return Received([ev.Configured(self.session.config())], [updated])
                case _:
                    meant = self._event(event)
                    if long and isinstance(created := meant.created if isinstance(meant, ItemBrought) else meant, ev.ItemCreated):
                        check_length(render.item(created.item), "item")
                    return Received([meant])
        except ProtocolError as problem:
            return self._refused(ProtocolError(problem.message, problem.code, problem.param, event.event_id))

    def _event(self, event: client.ClientEvent) -> ev.Event | Commit | ItemBrought:
        match event:
            case client.Commit():
                return Commit(event.event_id)
            case client.Clear():
                return ev.ClearAsked(event.event_id)
            case client.ItemCreate():
                created = ev.ItemCreated(self._item(event.item, "item"), event.previous_item_id, event.event_id)
                return _brought(created, event.item)
            case client.ItemDelete():
                return ev.ItemDeleted(event.item_id, event.event_id)
            case client.ItemRetrieve():
                return ev.ItemAsked(event.item_id, event.event_id)
            case client.ItemTruncate():
                return ev.ItemTruncated(event.item_id, event.content_index, event.audio_end_ms / 1000, event.event_id)
            case client.ResponseCreate():
                return ev.ResponseAsked(self._request(event.response), event.event_id)
            case client.ResponseCancel():
                return ev.ResponseCancelled(event.response_id, event.event_id)
            case _:
                raise ProtocolError(f"{event.type} is for WebRTC and SIP sessions only.", "invalid_event", "type")

    def _request(self, body: client.ResponseBody | None) -> ResponseRequest:
        if body is None:
            return ResponseRequest()
        if body.conversation not in (None, "auto", "none", self._conversation_id):
            message = "A response is made in this conversation ('auto') or out of it ('none'); there is no other."
            raise ProtocolError(message, "invalid_value", "response.conversation")
        choice = tool_choice_of(body.tool_choice)
        tools = self.session.config().tools if body.tools is None else tools_of(body.tools)
        if isinstance(body.tool_choice, client.ToolChoiceFunction) and choice not in [tool.name for tool in tools]:
            raise ProtocolError(f"There is no tool {short(repr(choice))}.", "invalid_value", "response.tool_choice")
        output = body.audio.output if body.audio else None
        return ResponseRequest(
            instructions=body.instructions,
            modality=Modality(body.output_modalities[0]) if body.output_modalities else None,
            voice=self.session.voice_for(output.voice) if output else None,
            speed=output.speed if output else None,
            audio_format=output.format.type if output and output.format else None,
            tools=None if body.tools is None else tools_of(body.tools),
            tool_choice=choice,
            max_tokens=None if body.max_output_tokens in (None, "inf") else int(body.max_output_tokens),
            unlimited=body.max_output_tokens == "inf",
            metadata=body.metadata,
            out_of_band=body.conversation == "none",
            input=None if body.input is None else tuple(self._input(one) for one in body.input),
        )

    def _input(self, body: client.InputItem) -> Item | ItemReference:
        if isinstance(body, client.ItemReferenceItem):
            return ItemReference(body.id)
        item = self._item(body, "response.input")
        if audio_without_text(item) is not None:
            message = "Audio in a response's own input needs its transcript; audio in conversation.item.create is transcribed."
            raise ProtocolError(message, "unsupported_content_type", "response.input")
        return item

    def _item(self, body: client.ItemBody, param: str) -> Item:
        item_id = body.id or self._new_id("item")
        match body:
            case client.MessageItem():
                role = Role(body.role)
                return Message(item_id, role, [_part(role, part, f"{param}.content[{n}]") for n, part in enumerate(body.content)])
            case client.FunctionCallItem():
                return FunctionCall(item_id, body.name, body.call_id or self._new_id("call"), body.arguments, Status.COMPLETED)
            case client.FunctionCallOutputItem():
                return FunctionCallOutput(item_id, body.call_id, body.output)

    def _add_timings(self, event: Event, timings: told.Timings | None) -> None:
        if not self._tells_timings or timings is None:
            return
        parts = {
            "endpoint_ms": timings.endpoint_s,
            "transcript_ms": timings.transcript_s,
            "first_token_ms": timings.first_token_s,
            "first_audio_ms": timings.first_audio_s,
        }
        figures = {name: None if value is None else _ms(value) for name, value in parts.items()}
        figures["total_ms"] = round(sum(value or 0.0 for value in figures.values()), 1) if timings.first_audio_s is not None else None
        stages = [[stage.name, *(_ms(at - timings.speech_ended_at) for at in (stage.start, stage.end))] for stage in timings.stages]
        saved_ms = None if timings.saved_s is None else _ms(timings.saved_s)
        told_of = json.dumps({**figures, "drafted": timings.drafted, "saved_ms": saved_ms, "stages": stages}, separators=(",", ":"))
        event["response"]["metadata"] = {**(event["response"]["metadata"] or {}), "sparkvox.timings": told_of}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


_KINDS = {
    Role.SYSTEM: {"input_text": Kind.INPUT_TEXT},
    Role.USER: {"input_text": Kind.INPUT_TEXT, "input_audio": Kind.INPUT_AUDIO},
    Role.ASSISTANT: {"output_text": Kind.OUTPUT_TEXT, "text": Kind.OUTPUT_TEXT, "output_audio": Kind.OUTPUT_AUDIO},
}


def _part(role: Role, part: client.ContentPart, param: str) -> Part:
    kind = _KINDS[role].get(part.type)
    if kind is None:
        supported = f"Content of type {part.type!r} is not supported for role {role!s}; supported are {', '.join(_KINDS[role])}."
        message = f"{untaken(part.type)} {supported}".lstrip() if "audio" not in part.type else supported
        raise ProtocolError(message, "unsupported_content_type", f"{param}.type")
    if kind in (Kind.INPUT_TEXT, Kind.OUTPUT_TEXT):
        if part.text is None:
            raise ProtocolError(f"Missing required parameter: '{param}.text'.", "missing_required_parameter", f"{param}.text")
        return Part(kind, part.text)
    if part.transcript is None and (kind is Kind.OUTPUT_AUDIO or part.audio is None):
        raise ProtocolError(f"Missing required parameter: '{param}.transcript'.", "missing_required_parameter", f"{param}.transcript")
    return Part(kind, part.transcript)


def _brought(created: ev.ItemCreated, body: client.ItemBody) -> ev.ItemCreated | ItemBrought:
    if not isinstance(body, client.MessageItem) or audio_without_text(created.item) is None:
        return created
    silent = [part for part in body.content if part.type == Kind.INPUT_AUDIO and part.transcript is None]
    if len(silent) > 1:
        message = "An item may have one part of audio without a transcript; create an item for each."
        raise ProtocolError(message, "unsupported_content_type", "item.content")
    return ItemBrought(created, _decoded(silent[0].audio or "", f"item.content[{body.content.index(silent[0])}].audio"))


def _decoded(audio: str, param: str = "audio") -> bytes:
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError("The audio is not valid base64.", "invalid_value", param) from error
