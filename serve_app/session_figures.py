"""What one session does, as figures: events, what was commanded because of them, and a time come in, and go to a `Sink`. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app import measures
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.measures import Sink

RESTARTING = 1012
"""The code of a session whose gateway is taken away."""


@dataclass(slots=True)
class _Draft:
    response_id: str
    tokens: int = 0


class SessionFigures:
    """A `Watcher` (serve_app/watching.py)."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._draft: _Draft | None = None
        self._held = False
        self._why = "other"
        sink.count(measures.SESSIONS_STARTED)

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        self._happened(event)
        self._barge_in(event, commands)
        for command in commands:
            match command:
                case cmd.StartReply(response_id, _, held) if held:
                    self._draft = _Draft(response_id)
                case cmd.ReleaseReply():
                    self._released()
                case cmd.StopReply(response_id) if self._draft and self._draft.response_id == response_id:
                    self._discarded(self._draft)
                case cmd.Tell(told.ResponseDone(response)):
                    self._turn(response)
                case cmd.HangUp(code):
                    self._why = "replaced" if code == RESTARTING else "expired"

    def closed(self) -> None:
        if self._draft is not None:
            self._discarded(self._draft)
        self._sink.count(measures.SESSIONS_ENDED, of=self._why)

    def _happened(self, event: ev.Event) -> None:
        match event:
            case ev.Parted():
                self._why = "left"
            case ev.TranscriptFailed():
                self._sink.count(measures.UNHEARD)
            case ev.ReplyText(response_id) | ev.ReplyToolCall(response_id) if self._draft and self._draft.response_id == response_id:
                self._draft.tokens += 1  # a piece is about a token, until the model says how many there were
            case ev.ReplyFinished(response_id) if self._draft and self._draft.response_id == response_id:
                self._draft.tokens = event.reply_tokens

    # --- answers that were begun before their turn was over -----------------------------------------------------------------------------

    def _released(self) -> None:
        self._draft = None
        self._sink.count(measures.DRAFTS, of="released")

    def _discarded(self, draft: _Draft) -> None:
        self._draft = None
        self._sink.count(measures.DRAFTS, of="discarded")
        self._sink.count(measures.WASTED_TOKENS, draft.tokens)

    # --- speech over an answer ----------------------------------------------------------------------------------------------------------

    def _barge_in(self, event: ev.Event, commands: Sequence[cmd.Command]) -> None:
        kinds = {type(command) for command in commands}
        if cmd.HoldAudio in kinds:
            self._held = True
        elif self._held and cmd.ResumeAudio in kinds:
            self._held = False
            self._decided(event, any(isinstance(what, told.UtteranceStarted) for what in _told(commands)))
        elif isinstance(event, ev.SpeechStarted) and any(map(_cut, _told(commands))):
            self._sink.count(measures.BARGE_INS, of="confirmed")

    def _decided(self, event: ev.Event, confirmed: bool) -> None:
        if confirmed:
            self._sink.count(measures.BARGE_INS, of="confirmed")
        elif not isinstance(event, ev.ClearAsked | ev.Configured):  # then nobody learned what the speech was
            self._sink.count(measures.BARGE_INS, of="false_alarm")

    # --- turns --------------------------------------------------------------------------------------------------------------------------

    def _turn(self, response: told.ResponseView) -> None:
        if response.usage is not None:
            self._tokens(response.usage)
        if not response.in_conversation:
            return
        self._sink.count(measures.TURNS, of=outcome(response))
        if response.timings is not None:
            self._times(response.timings)

    def _times(self, timings: told.Timings) -> None:
        for stage in timings.stages:
            self._sink.observe(measures.STAGE, stage.end - stage.start, of=stage.name)
        if (waited_s := voice_to_voice_s(timings)) is not None:
            self._sink.observe(measures.VOICE_TO_VOICE, waited_s, of="yes" if timings.drafted else "no")
        if timings.saved_s is not None:
            self._sink.count(measures.SAVED_SECONDS, timings.saved_s)

    def _tokens(self, usage: told.Usage) -> None:
        for kind, tokens in (("input", usage.input_tokens), ("cached", usage.cached_tokens), ("output", usage.output_tokens)):
            self._sink.count(measures.TOKENS, tokens, of=kind)


def outcome(response: told.ResponseView) -> str:
    """Of a response that is done: a value of `TURNS`' label."""
    match response.status, response.reason:
        case "cancelled", "turn_detected":
            return "interrupted"
        case "completed", _ if not response.output:
            return "silent"
        case status, _:
            return status


def voice_to_voice_s(timings: told.Timings) -> float | None:
    """From the last speech to the first audio; None of a turn that was not spoken, or whose answer was not."""
    first_audio = next((stage for stage in timings.stages if stage.name == "first_audio"), None)
    if timings.endpoint_s is None or first_audio is None:
        return None
    return first_audio.end - timings.speech_ended_at


def _told(commands: Sequence[cmd.Command]) -> list[told.Notification]:
    return [command.what for command in commands if isinstance(command, cmd.Tell)]


def _cut(what: told.Notification) -> bool:
    """Whether it tells of an answer that was heard in part."""
    if not isinstance(what, told.ResponseDone) or what.response.reason != "turn_detected" or what.response.timings is None:
        return False
    return any(stage.name == "first_audio" for stage in what.response.timings.stages)
