"""From what the conversation tells to the protocol's server events, as plain dicts without their event_id.

Source of names and shapes: `openai.types.realtime` 3.52.0 and recorded conversations. A content part is `audio` or `text` in
`response.content_part.*`, but `output_audio` or `output_text` inside an item.
"""

from typing import Any

from serve_app.core import notifications as told
from serve_app.core.config import Modality
from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, Kind, Message, Part

Event = dict[str, Any]


def render(what: told.Notification, conversation_id: str) -> Event:
    match what:
        case told.Problem():
            return error(what.message, what.code, what.param, what.event_id, what.kind)
        case told.UtteranceStarted(item_id, start_s):
            return {"type": "input_audio_buffer.speech_started", "audio_start_ms": _ms(start_s), "item_id": item_id}
        case told.UtteranceStopped(item_id, end_s):
            return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": _ms(end_s), "item_id": item_id}
        case told.UtteranceCommitted(item_id, previous):
            return {"type": "input_audio_buffer.committed", "previous_item_id": previous, "item_id": item_id}
        case told.BufferCleared():
            return {"type": "input_audio_buffer.cleared"}
        case told.IdleTimedOut(item_id, start_s, end_s):
            when = {"audio_start_ms": _ms(start_s), "audio_end_ms": _ms(end_s)}
            return {"type": "input_audio_buffer.timeout_triggered", "item_id": item_id, **when}
        case told.TranscriptDelta() | told.TranscriptCompleted() | told.TranscriptionFailed():
            return _transcription(what)
        case told.ItemAdded() | told.ItemDone() | told.ItemGone() | told.ItemCut() | told.ItemShown():
            return _item_event(what)
        case told.ResponseCreated(view):
            return {"type": "response.created", "response": response(view, conversation_id)}
        case told.ResponseDone(view):
            return {"type": "response.done", "response": response(view, conversation_id)}
        case _:
            return _output_event(what)


def _transcription(what: told.TranscriptDelta | told.TranscriptCompleted | told.TranscriptionFailed) -> Event:
    prefix = "conversation.item.input_audio_transcription"
    where = {"item_id": what.item_id, "content_index": what.part}
    match what:
        case told.TranscriptDelta():
            return {"type": f"{prefix}.delta", **where, "delta": what.delta}
        case told.TranscriptCompleted():
            usage = {"type": "duration", "seconds": round(what.audio_s, 3)}
            return {"type": f"{prefix}.completed", **where, "transcript": what.text, "usage": usage}
        case told.TranscriptionFailed():
            # Without a param: @openai/agents-realtime refuses null here.
            problem = {"type": "server_error", "code": "transcription_failed", "message": what.reason}
            return {"type": f"{prefix}.failed", **where, "error": problem}


def _item_event(what: told.ItemAdded | told.ItemDone | told.ItemGone | told.ItemCut | told.ItemShown) -> Event:
    match what:
        case told.ItemAdded(one, previous):
            return {"type": "conversation.item.added", "previous_item_id": previous, "item": item(one)}
        case told.ItemDone(one, previous):
            return {"type": "conversation.item.done", "previous_item_id": previous, "item": item(one)}
        case told.ItemGone(item_id):
            return {"type": "conversation.item.deleted", "item_id": item_id}
        case told.ItemShown(one):
            return {"type": "conversation.item.retrieved", "item": item(one)}
        case told.ItemCut(item_id, index, played_s):
            return {"type": "conversation.item.truncated", "item_id": item_id, "content_index": index, "audio_end_ms": _ms(played_s)}


def _output_event(what: told.Notification) -> Event:
    match what:
        case told.OutputItemAdded() | told.OutputItemDone():
            kind = "added" if isinstance(what, told.OutputItemAdded) else "done"
            where = {"response_id": what.response_id, "output_index": what.output_index}
            return {"type": f"response.output_item.{kind}", **where, "item": item(what.item)}
        case told.PartAdded(place, part):
            return {"type": "response.content_part.added", **_at(place), "part": _response_part(part)}
        case told.PartDone(place, part):
            return {"type": "response.content_part.done", **_at(place), "part": _response_part(part)}
        case told.TextGrew(place, modality, delta):
            return {"type": f"response.{_text_name(modality)}.delta", **_at(place), "delta": delta}
        case told.TextDone(place, modality, text):
            field = "transcript" if modality is Modality.AUDIO else "text"
            return {"type": f"response.{_text_name(modality)}.done", **_at(place), field: text}
        case told.AudioDone(place):
            return {"type": "response.output_audio.done", **_at(place)}
        case told.ArgumentsGrew(place, call_id, delta):
            return {"type": "response.function_call_arguments.delta", **_call_at(place), "call_id": call_id, "delta": delta}
        case told.ArgumentsDone(place, call):
            named = {"call_id": call.call_id, "name": call.name, "arguments": call.arguments}
            return {"type": "response.function_call_arguments.done", **_call_at(place), **named}
    raise TypeError(f"no server event for {what!r}")


def audio_delta(place: told.At, encoded: str) -> Event:
    return {"type": "response.output_audio.delta", **_at(place), "delta": encoded}


def error(message: str, code: str | None, param: str | None, event_id: str | None, kind: str = "invalid_request_error") -> Event:
    return {"type": "error", "error": {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}}


def item(one: Item) -> Event:
    match one:
        case Message():
            content = [_item_part(part, one.heard) for part in one.parts]
            return _item(one, "message") | {"role": str(one.role), "content": content}
        case FunctionCall():
            return _item(one, "function_call") | {"name": one.name, "call_id": one.call_id, "arguments": one.arguments}
        case FunctionCallOutput():
            return _item(one, "function_call_output") | {"call_id": one.call_id, "output": one.output}


def response(view: told.ResponseView, conversation_id: str) -> Event:
    form = {"type": view.audio_format, "rate": 24_000} if view.audio_format == "audio/pcm" else {"type": view.audio_format}
    return {
        "object": "realtime.response",
        "id": view.id,
        "status": view.status,
        "status_details": _status_details(view),
        "output": [item(one) for one in view.output],
        "conversation_id": conversation_id if view.in_conversation else None,
        "output_modalities": [str(view.modality)],
        "max_output_tokens": "inf" if view.max_tokens is None else view.max_tokens,
        "audio": {"output": {"format": form, "voice": view.voice}},
        "usage": _usage(view.usage, view.modality),
        "metadata": view.metadata,
    }


def _status_details(view: told.ResponseView) -> Event | None:
    match view.status:
        case "cancelled" | "incomplete":
            return {"type": view.status, "reason": view.reason}
        case "failed":
            return {"type": "failed", "error": {"type": "server_error", "code": "engine_failed", "message": view.reason}}
        case _:
            return None


def _usage(usage: told.Usage | None, modality: Modality) -> Event | None:
    """A cascade reads and writes text: its tokens are the language model's."""
    if usage is None:
        return None
    cached = {"text_tokens": usage.cached_tokens, "audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "input_token_details": {
            "text_tokens": usage.input_tokens, "audio_tokens": 0, "image_tokens": 0,
            "cached_tokens": usage.cached_tokens, "cached_tokens_details": cached,
        },
        "output_token_details": {"text_tokens": usage.output_tokens, "audio_tokens": 0},
    }  # fmt: skip


def _item(one: Item, kind: str) -> Event:
    return {"id": one.id, "object": "realtime.item", "type": kind, "status": str(one.status)}


def _item_part(part: Part, heard: str | None) -> Event:
    text = part.text if heard is None else heard
    match part.kind:
        case Kind.INPUT_AUDIO | Kind.OUTPUT_AUDIO:
            return {"type": str(part.kind), "transcript": text}
        case Kind.INPUT_TEXT | Kind.OUTPUT_TEXT:
            return {"type": str(part.kind), "text": text}


def _response_part(part: Part) -> Event:
    if part.kind is Kind.OUTPUT_AUDIO:
        return {"type": "audio", "transcript": part.text}
    return {"type": "text", "text": part.text}


def _text_name(modality: Modality) -> str:
    return "output_audio_transcript" if modality is Modality.AUDIO else "output_text"


def _at(place: told.At) -> Event:
    return {
        "response_id": place.response_id,
        "item_id": place.item_id,
        "output_index": place.output_index,
        "content_index": place.content_index,
    }


def _call_at(place: told.At) -> Event:
    return {"response_id": place.response_id, "item_id": place.item_id, "output_index": place.output_index}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
