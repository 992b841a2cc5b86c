"""What is said on a /v1/realtime socket to have one utterance transcribed: three servers, three ways. Pure; one dialect for each utterance.

openai  the GA protocol, in a transcription session without voice activity detection: OpenAI, and this server itself.
vllm    vLLM's own events (vllm/entrypoints/speech_to_text/realtime, 0.32): a commit starts the work, a second one ends it.
nim     NVIDIA's Speech NIM, as its client package speaks to it (nvidia-riva-client 2.27, riva/client/realtime.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from serve_app.engines import HEARING_RATE, Hypothesis, Word
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from serve_app.engines import Hints

Event = dict[str, Any]

TRANSCRIPTION = "conversation.item.input_audio_transcription"


class Dialect(Protocol):
    rate: int
    """Samples a second that the server wants."""
    text: str
    """What was heard so far, without blanks around it."""
    stable_chars: int
    """How many leading characters of it will not change any more."""
    final: Hypothesis | None
    """Once it is there, the utterance is over."""

    def begin(self, model: str, hints: Hints) -> list[Event]: ...

    def audio(self, base64: str) -> list[Event]: ...

    def end(self) -> list[Event]: ...

    def read(self, event: Event) -> None:
        """Raises `EngineFailed` when the server refuses."""


class _Growing:
    """For dialects whose deltas only ever add."""

    def __init__(self) -> None:
        self.text = ""
        self.stable_chars = 0
        self.final: Hypothesis | None = None
        self._written = ""

    def grow(self, event: Event) -> None:
        self._written += event.get("delta") or ""
        self.text = self._written.strip()
        self.stable_chars = len(self.text)


class OpenAi(_Growing):
    rate = 24_000

    def begin(self, model: str, hints: Hints) -> list[Event]:
        known = _known(language=hints.language, languages=list(hints.languages), prompt=hints.prompt, keywords=list(hints.keywords))
        asked: Event = {"model": model, **known}
        heard = {"format": {"type": "audio/pcm", "rate": self.rate}, "transcription": asked, "turn_detection": None}
        return [{"type": "session.update", "session": {"type": "transcription", "audio": {"input": heard}}}]

    def audio(self, base64: str) -> list[Event]:
        return [_append(base64)]

    def end(self) -> list[Event]:
        return [{"type": "input_audio_buffer.commit"}]

    def read(self, event: Event) -> None:
        match event.get("type"):
            case "conversation.item.input_audio_transcription.delta":
                self.grow(event)
            case "conversation.item.input_audio_transcription.completed":
                self.final = _whole(event.get("transcript"))
            case "conversation.item.input_audio_transcription.failed" | "error":
                raise EngineFailed(_reason(event))


class Vllm(_Growing):
    """Takes no hints."""

    rate = HEARING_RATE

    def begin(self, model: str, hints: Hints) -> list[Event]:
        return [{"type": "session.update", "model": model}, {"type": "input_audio_buffer.commit", "final": False}]

    def audio(self, base64: str) -> list[Event]:
        return [_append(base64)]

    def end(self) -> list[Event]:
        return [{"type": "input_audio_buffer.commit", "final": True}]

    def read(self, event: Event) -> None:
        match event.get("type"):
            case "transcription.delta":
                self.grow(event)
            case "transcription.done":
                self.final = _whole(event.get("text"))
            case "error":
                raise EngineFailed(_reason(event))


class Nim:
    """Its `delta` is the text since the last `completed`, and changes; a `completed` fixes a piece, the last one says that it is."""

    rate = HEARING_RATE

    def __init__(self) -> None:
        self.text = ""
        self.stable_chars = 0
        self.final: Hypothesis | None = None
        self._fixed = ""
        self._words: list[Word] = []

    def begin(self, model: str, hints: Hints) -> list[Event]:
        session: Event = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": _known(language=hints.language, model=model, prompt=hints.prompt),
            "input_audio_params": {"sample_rate_hz": self.rate, "num_channels": 1},
            "recognition_config": {"enable_automatic_punctuation": True, "enable_word_time_offsets": True},
        }
        if hints.keywords:
            boosted = [{"phrases": list(hints.keywords), "boost": 20.0}]
            session["word_boosting"] = {"enable_word_boosting": True, "word_boosting_list": boosted}
        return [{"type": "transcription_session.update", "session": session}]

    def audio(self, base64: str) -> list[Event]:
        return [_append(base64), {"type": "input_audio_buffer.commit"}]

    def end(self) -> list[Event]:
        return [{"type": "input_audio_buffer.done"}]

    def read(self, event: Event) -> None:
        kind = str(event.get("type"))
        if kind == f"{TRANSCRIPTION}.delta":
            self.text = _joined(self._fixed, event.get("delta") or "")
        elif kind == f"{TRANSCRIPTION}.completed":
            self._fix(event)
        elif "error" in kind or kind.endswith(".failed"):
            raise EngineFailed(_reason(event))

    def _fix(self, event: Event) -> None:
        piece = (event.get("transcript") or "").strip()
        # Whether the last one repeats all that came before it is not documented.
        self._fixed = self.text = piece if self._fixed and piece.startswith(self._fixed) else _joined(self._fixed, piece)
        self.stable_chars = len(self._fixed)
        timed = (event.get("words_info") or {}).get("words") or ()
        self._words += [Word(word["word"], word["start_time"] / 1000, word["end_time"] / 1000) for word in timed]
        if event.get("is_last_result"):
            self.final = Hypothesis(self._fixed, len(self._fixed), tuple(self._words))


DIALECTS: dict[str, type[OpenAi] | type[Vllm] | type[Nim]] = {"openai": OpenAi, "vllm": Vllm, "nim": Nim}


def _append(base64: str) -> Event:
    return {"type": "input_audio_buffer.append", "audio": base64}


def _known(**fields: Any) -> Event:
    """Without those that say nothing."""
    return {name: value for name, value in fields.items() if value}


def _joined(fixed: str, piece: str) -> str:
    return " ".join(filter(None, [fixed, piece.strip()]))


def _whole(text: Any) -> Hypothesis:
    said = str(text or "").strip()
    return Hypothesis(said, len(said))


def _reason(event: Event) -> str:
    """OpenAI's `error` is an object, vLLM's a sentence."""
    error = event.get("error")
    said = error.get("message") if isinstance(error, dict) else error
    return f"the endpoint refuses the utterance: {said or 'it does not say why'}"
