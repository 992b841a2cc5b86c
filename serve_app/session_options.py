"""What one session is given beside its engines."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from serve_app.core.commands import Command
from serve_app.core.endpointing import LONGEST_S
from serve_app.echo import EchoCanceller
from serve_app.life import Life
from serve_app.limits import Allowance
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.session_object import Served, SessionObject
from serve_app.realtime.snapshot import Snapshot
from serve_app.watching import Watcher, Watchers

NOTHING = nullcontext()
Watched = Callable[["SessionOptions"], "SessionOptions"]
"""Makes of a session's options those of one that is looked on."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    served: Served
    longest_s: float = 3600.0
    """After this much time the session ends with session_expired."""
    lead_s: float = 4.0
    """How far audio may be sent ahead of its playback."""
    kept_audio_bytes: int = 8 * 1024 * 1024
    """Of the sound of items, for clients that retrieve them; the oldest is forgotten first. Four minutes at 16 kHz."""
    unsent_bytes: int = 8 * 1024 * 1024
    stalled_s: float = 60.0
    barge_in_s: float = 0.0
    """How long speech over an answer lasts before it ends the answer even without a word; 0: any speech does, at once."""
    longest_turn_s: float = LONGEST_S
    """A turn that lasts longer ends at the next gap between words; what is said goes on as another."""
    echo: Callable[[], EchoCanceller] | None = None
    """Gives a canceller to a session whose client's microphone hears its loudspeaker. None: what comes back is taken for the user's."""
    eager: Callable[[], bool] = lambda: True
    """Whether there is room now for answers that are begun before their turn is confirmed."""
    warms: Callable[[], bool] = lambda: False
    """Whether there is room now for the language model to read the conversation while the user speaks, and any use in it."""
    timings: bool = False
    """The client asked for the timings of its turns."""
    transcription_only: bool = False
    initial: SessionUpdateBody | None = None
    """What an ephemeral key says of the session; for a transcription session with `transcription_only`."""
    allowance: Allowance = field(default_factory=Allowance)
    life: Life = field(default_factory=Life)
    watch: Callable[[str], Watcher] = lambda session_id: Watchers()
    """What looks on, for the session of this id."""
    no_ear: Callable[[], None] = lambda: None
    """Told when the session cannot begin because speech-to-text has no place for it."""
    during: Callable[[Command], AbstractContextManager[None]] = lambda command: NOTHING
    """In which a command is performed. What is begun within it inherits its context variables: so a trace comes to the engines."""

    def session(self, session_id: str, before: Snapshot | None) -> SessionObject:
        """As it begins; `before`: as it was on another connection."""
        session = SessionObject(session_id, self.served, int(time.time() + self.longest_s), self.transcription_only)
        if before is not None:
            session.restore(before.session)
        elif self.initial is not None:
            session.update(self.initial)
        return session


def as_it_is(options: SessionOptions) -> SessionOptions:
    return options
