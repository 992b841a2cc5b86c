"""What is said in the checks: recordings of tests/audio, in the formats of the protocol.

G.711 is libsndfile's here, so that a server of this project is not measured with its own tables.
"""

import base64
import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from tests.conformance.line import Line

Pcm = npt.NDArray[np.int16]
AUDIO = Path(__file__).parent.parent / "audio"
RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
_SUBTYPES = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}
BEFORE_S, AFTER_S = 0.5, 1.0
CHUNK_S = 0.2


def recording(name: str, form: str = "audio/pcm") -> Pcm:
    pcm, rate = soundfile.read(AUDIO / name, dtype="int16")
    return pcm if rate == RATES[form] else soxr.resample(pcm, rate, RATES[form])


def seconds_of(name: str) -> float:
    return soundfile.info(AUDIO / name).duration


def silence(seconds: float, form: str = "audio/pcm") -> Pcm:
    return np.zeros(round(seconds * RATES[form]), np.int16)


def sentence(name: str = "capital_of_france.wav", form: str = "audio/pcm", after_s: float = AFTER_S) -> Pcm:
    """With silence around it: long enough for a turn to end."""
    return np.concatenate((silence(BEFORE_S, form), recording(name, form), silence(after_s, form)))


def encoded(pcm: Pcm, form: str = "audio/pcm") -> bytes:
    if form == "audio/pcm":
        return pcm.astype("<i2").tobytes()
    out = io.BytesIO()
    soundfile.write(out, pcm, RATES[form], format="RAW", subtype=_SUBTYPES[form])
    return out.getvalue()


def decoded(data: bytes, form: str) -> Pcm:
    if form == "audio/pcm":
        return np.frombuffer(data, "<i2")
    pcm, _ = soundfile.read(io.BytesIO(data), samplerate=RATES[form], channels=1, format="RAW", subtype=_SUBTYPES[form], dtype="int16")
    return pcm


async def say(line: Line, pcm: Pcm, form: str = "audio/pcm") -> None:
    """As fast as the server takes it."""
    step = round(CHUNK_S * RATES[form])
    for at in range(0, len(pcm), step):
        audio = base64.b64encode(encoded(pcm[at : at + step], form)).decode()
        await line.send("input_audio_buffer.append", audio=audio)


def spoken(line: Line, response_id: str) -> bytes:
    """The audio of a response, as it was sent."""
    deltas = line.of("response.output_audio.delta", response_id=response_id)
    return b"".join(base64.b64decode(one["delta"], validate=True) for one in deltas)


def loudness_dbfs(pcm: Pcm) -> float:
    power = float(np.mean(np.square(pcm.astype(np.float64) / 32768))) if len(pcm) else 0.0
    return 10 * np.log10(max(power, 1e-12))


def words(text: str) -> str:
    """Without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))
