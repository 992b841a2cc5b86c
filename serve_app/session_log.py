"""What one session does, as lines of a log: one when it begins, one for each utterance and each response that ends, one when it ends."""

import logging
from collections.abc import Sequence

from serve_app import logs
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.items import Message
from serve_app.session_figures import outcome, voice_to_voice_s

log = logging.getLogger(__name__)


class SessionLog:
    """A `Watcher` (serve_app/watching.py)."""

    def __init__(self, session_id: str, transcripts: bool) -> None:
        """`transcripts`: whether the lines hold what was said. To be made in the session's own task, whose lines are about it then."""
        self._transcripts = transcripts
        self._item_id: str | None = None
        """The last utterance that was committed: what the next response answers."""
        self._guess: ev.TranscriptGuessed | None = None
        logs.about(session_id=session_id)
        log.info("a session begins")

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        self._happened(event)
        for command in commands:
            match command:
                case cmd.Tell(told.UtteranceCommitted(item_id)):
                    self._item_id = item_id
                case cmd.SettleUtterance() if self._guess is not None:
                    self._heard(self._guess)
                case cmd.Tell(told.ResponseDone(response)):
                    self._turn(response)
                case cmd.Tell(told.Problem(_, code)):
                    log.info("the client was told of a problem", extra=logs.fields(code=code))
                case cmd.HangUp(code, reason):
                    log.info("the session is hung up: %s", reason, extra=logs.fields(code=code))

    def closed(self) -> None:
        log.info("the session has ended")

    def _happened(self, event: ev.Event) -> None:
        match event:
            case ev.TranscriptGuessed():
                self._guess = event
            case ev.TranscriptFinished():
                self._heard(event)
            case ev.TranscriptFailed(item_id, reason):
                log.warning("an utterance was not heard: %s", reason, extra=logs.fields(item_id=item_id))
            case ev.Parted():
                log.info("the client has left")

    def _heard(self, event: ev.TranscriptFinished | ev.TranscriptGuessed) -> None:
        text = event.text if self._transcripts else None
        log.info("an utterance was heard", extra=logs.fields(item_id=event.item_id, audio_s=round(event.audio_s, 2), text=text))

    def _turn(self, response: told.ResponseView) -> None:
        timings, usage = response.timings, response.usage
        waited_s = voice_to_voice_s(timings) if timings else None
        known = logs.fields(
            response_id=response.id,
            item_id=self._item_id if timings and timings.endpoint_s is not None else None,
            outcome=outcome(response),
            voice_to_voice_s=None if waited_s is None else round(waited_s, 3),
            drafted=timings.drafted if timings else None,
            output_tokens=usage.output_tokens if usage else None,
            text=_text(response) if self._transcripts else None,
        )
        (log.warning if response.status == "failed" else log.info)("a response has ended", extra=known)


def _text(response: told.ResponseView) -> str:
    return " ".join(part.text or "" for item in response.output if isinstance(item, Message) for part in item.parts)
