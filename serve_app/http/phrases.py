"""Samples -> the stretches in which somebody speaks, each short enough for one utterance.

Voice activity finds them: what lies between is not heard, because models put words into silence, and their borders are the only times
that there are where an engine has none for words. A stretch beyond `LONGEST_S` is cut where it is quietest: live sessions, which share the
recogniser, have their turn between two, and so long is what a listening model has learnt to hear (Whisper's window is 30 s).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from serve_app.core.config import ServerVad
from serve_app.core.endpointing import Endpointer
from serve_app.core.events import SpeechStarted, SpeechStopped
from serve_app.engines import HEARING_RATE, Pcm, VoiceActivity
from serve_app.speech_gate import LIKELY, ONSET_S, LevelledVoice

PAUSE_S = 0.5
"""Of silence that ends a stretch: with more, times are coarser and words no better (44 s of read speech, Moonshine: 4 wrong of 119 words,
with 0.5 s as with 2)."""
MARGIN_S = 0.2
"""Heard before and after, for the faint ends of words; less than half of a pause."""
LONGEST_S = 30.0
CUT_WITHIN_S = 8.0
"""The end of a piece in which the quietest place is looked for."""
QUIET_S = 0.1


@dataclass(frozen=True, slots=True)
class Phrase:
    pcm: Pcm
    """With its margins."""
    from_s: float
    """Where `pcm` begins in the file."""
    start_s: float
    """Where speech begins in the file, and where it ends."""
    end_s: float


def phrases(pcm: Pcm, voice_activity: VoiceActivity) -> Iterator[Phrase]:
    """In order. Each is found when it is asked for: about 13 ms of one core for a second of audio, for a worker thread."""
    for start_s, end_s in _spoken(pcm, voice_activity):
        first, last = max(0.0, start_s - MARGIN_S), end_s + MARGIN_S
        at_s = first
        for piece in pieces(pcm[int(first * HEARING_RATE) : int(last * HEARING_RATE)]):
            until_s = at_s + len(piece) / HEARING_RATE
            yield Phrase(piece, at_s, max(at_s, start_s), min(until_s, end_s))
            at_s = until_s


def pieces(pcm: Pcm) -> Iterator[Pcm]:
    """Joined they are the audio; each is at most `LONGEST_S` long."""
    longest, within = int(LONGEST_S * HEARING_RATE), int(CUT_WITHIN_S * HEARING_RATE)
    while len(pcm) > longest:
        cut = longest - within + _quietest(pcm[longest - within : longest])
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _spoken(pcm: Pcm, voice_activity: VoiceActivity) -> Iterator[tuple[float, float]]:
    """Seconds from the beginning, start and end of each stretch."""
    endpointer = Endpointer(ServerVad(prefix_padding_s=0.0, silence_s=PAUSE_S))
    start_s, end_s, likely_s = 0.0, len(pcm) / HEARING_RATE, 0.0
    frame_s = voice_activity.frame_samples / HEARING_RATE
    for number, score in enumerate(_scores(pcm, voice_activity)):
        likely_s += frame_s if score >= LIKELY else 0.0
        match endpointer.feed(score, number * frame_s, (number + 1) * frame_s):
            case SpeechStarted(start_s):
                likely_s = number * frame_s + frame_s - start_s
            case SpeechStopped(last_speech_s=last_s):
                if likely_s >= ONSET_S or last_s >= end_s:  # a knock is shorter, and so may a word be that the end of the file cuts off
                    yield start_s, min(last_s, end_s)


def _scores(pcm: Pcm, voice_activity: VoiceActivity) -> Iterator[float]:
    """Frame by frame, and silence at the end that closes what is open."""
    frame, stream = voice_activity.frame_samples, LevelledVoice(voice_activity.open())
    for at in range(0, len(pcm), frame):
        samples = pcm[at : at + frame]
        yield stream.score(samples if len(samples) == frame else np.pad(samples, (0, frame - len(samples))))
    yield from [0.0] * math.ceil(PAUSE_S * HEARING_RATE / frame)


def _quietest(pcm: Pcm) -> int:
    """The middle of its quietest `QUIET_S`."""
    frame = int(QUIET_S * HEARING_RATE)
    frames = pcm[: len(pcm) // frame * frame].reshape(-1, frame).astype(np.float32)
    return int(np.square(frames).mean(axis=1).argmin()) * frame + frame // 2
