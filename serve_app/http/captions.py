"""A transcript as each of the documents that OpenAI's API gives."""

import math
from collections.abc import Iterator
from typing import Any

from serve_app.http.transcribing import Segment, Transcript


def usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(transcript.duration_s)}


def verbose(transcript: Transcript, with_words: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language or "",
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
        "segments": [_segment(number, segment) for number, segment in enumerate(transcript.segments)],
        "usage": usage(transcript),
    }
    if with_words:
        body["words"] = [
            {"word": word.text.strip(), "start": round(word.start_s, 3), "end": round(word.end_s, 3)} for word in transcript.words
        ]
    return body


def srt(transcript: Transcript) -> str:
    return "".join(
        f"{number}\n{_time(segment.start_s, ',')} --> {_time(segment.end_s, ',')}\n{segment.text}\n\n"
        for number, segment in enumerate(transcript.segments, 1)
    )


def vtt(transcript: Transcript) -> str:
    return "".join(["WEBVTT\n\n", *_cues(transcript)])


def _cues(transcript: Transcript) -> Iterator[str]:
    for segment in transcript.segments:
        text = segment.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        yield f"{_time(segment.start_s, '.')} --> {_time(segment.end_s, '.')}\n{text}\n\n"


def _segment(number: int, segment: Segment) -> dict[str, Any]:
    """Clients' types demand all of these fields; the engines know nothing of the last ones, which say so by their neutral values."""
    return {
        "id": number,
        "start": round(segment.start_s, 3),
        "end": round(segment.end_s, 3),
        "text": segment.text,
        "seek": 0,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 0.0,
        "no_speech_prob": 0.0,
    }


def _time(at_s: float, point: str) -> str:
    ms = round(at_s * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
