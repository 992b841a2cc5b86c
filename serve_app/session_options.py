"""What one session is given beside its engines."""

from collections.abc import Callable
from dataclasses import dataclass, field

from serve_app.echo import EchoCanceller
from serve_app.life import Life
from serve_app.limits import Allowance
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.session_object import Served
from serve_app.watching import Watcher, Watchers


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
    echo: Callable[[], EchoCanceller] | None = None
    """Gives a canceller to a session whose client's microphone hears its loudspeaker. None: what comes back is taken for the user's."""
    eager: Callable[[], bool] = lambda: True
    """Whether there is room now for answers that are begun before their turn is confirmed."""
    timings: bool = False
    """The client asked for the timings of its turns."""
    transcription_only: bool = False
    initial: SessionUpdateBody | None = None
    """What an ephemeral key says of the session; for a transcription session with `transcription_only`."""
    allowance: Allowance = field(default_factory=Allowance)
    life: Life = field(default_factory=Life)
    watch: Callable[[str], Watcher] = lambda session_id: Watchers()
    """What looks on, for the session of this id."""
