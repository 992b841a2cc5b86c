"""`sparkvox say`: speak a text without a server, or show how it would be spoken.

It goes the way of a response: cut into clauses, in words, in phonemes, into the engine that the settings name.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.client_speaker import WIRE_RATE
from serve_app.engines import Pcm, Speech, known_languages
from serve_app.errors import SparkvoxError, UnknownVoice
from serve_app.languages import known
from serve_app.realtime.voices import VOICES
from serve_app.serving import pairs_of
from serve_app.settings import Settings
from serve_app.speech_text import LANGUAGES, clauses_in_words

STDIN = "-"
DEVICE_S = 0.3
"""What a sound device may still hold when it has taken the last sample."""

Take = Callable[[Pcm], object]
"""Takes the next samples, at `WIRE_RATE`."""


class NotSaid(SparkvoxError):
    """The text cannot be read, spoken or written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", metavar="TEXT", help=f"what to say; {STDIN}: standard input; -- goes before one that begins with -")
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="settings as of `sparkvox serve`, like tts.speed=1.2")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--words", action="store_true", help="print the words that would be spoken, a clause a line, and load no engine")
    instead.add_argument("--phonemes", action="store_true", help="print the phonemes of these, a clause a line")
    instead.add_argument("--out", type=Path, metavar="WAV", help="write the sound to a file instead of playing it")
    parser.add_argument("--voice", help="the voice that speaks, like af_heart (default: that of the settings)")
    parser.add_argument("--language", default="en", help="the language that the text is in (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """The exit code: 0, also where the text holds nothing to say. Raises `SparkvoxError` with one sentence on what went wrong."""
    # Names of languages take a second to load, and most texts are English.
    language = "en" if args.language == "en" else known(args.language, LANGUAGES, "reader of texts") or "en"
    settings = Settings.of(pairs_of(args.settings))
    text = _text(args.text)
    if args.out and (args.out.is_dir() or not args.out.parent.is_dir()):
        raise NotSaid(f"{args.out} cannot be written: {'it is a folder' if args.out.is_dir() else 'there is no such folder'}")
    clauses = partial(clauses_in_words, text, language)
    if args.words:
        if args.voice:
            _voice(args.voice, _engine(settings))
        _print(clauses())
        return 0
    engine = _engine(settings)
    voice = _voice(args.voice or settings.tts.voice, engine)
    if language != "en":
        known(language, known_languages(engine), f"engine {settings.tts.engine}")
    if not args.phonemes:
        asyncio.run(_say(text, voice, language, engine, settings.tts.speed, args.out))
    elif hasattr(engine, "phonemes"):
        _print(engine.phonemes(Speech(words, voice)) for words in clauses())
    else:
        raise NotSaid(f"the engine {settings.tts.engine} is given words, not phonemes: see --words")
    return 0


def _text(given: str) -> str:
    if given != STDIN:
        return given
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise NotSaid(f"standard input is no text in UTF-8 ({error})") from error


def _engine(settings: Settings) -> Any:
    """The text-to-speech engine of the settings, not warmed, its files fetched where they are not here."""
    from deployments.engines import create
    from serve_app import weights

    weights.fetch(settings, weights.weights(settings.tts))
    return create("text_to_speech", settings.tts.engine, **settings.tts.options)


def _voice(asked: str, engine: Any) -> str:
    """The voice or mixture, those of other vendors by ours. Raises `UnknownVoice`, where the engine knows its voices already."""
    known = engine.known_voices() if hasattr(engine, "known_voices") else engine.voices
    voice = asked if asked in known else VOICES.get(asked, asked)
    if known and (unknown := [part for part in voice.split("+") if part not in known]):
        raise UnknownVoice(f"{unknown[0]!r} is not a voice; there are {', '.join(known)}")
    return voice


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


async def _say(text: str, voice: str, language: str, engine: Any, speed: float, out: Path | None) -> None:
    from serve_app.speaking import spoken

    async with _file(out) if out else _loudspeaker() as take:
        try:
            await engine.warm()
            async with aclosing(spoken(text, _voice(voice, engine), speed, engine, WIRE_RATE, language)) as pieces:
                async for pcm in pieces:
                    take(pcm)
        finally:
            if hasattr(engine, "close"):
                await engine.close()


@asynccontextmanager
async def _file(path: Path) -> AsyncIterator[Take]:
    """Written at the end, so that a speech that fails leaves an older file alone."""
    import soundfile

    pieces: list[Pcm] = []
    yield pieces.append
    try:
        soundfile.write(path, np.concatenate([NO_PCM, *pieces]), WIRE_RATE, "PCM_16", format="WAV")
    except (OSError, soundfile.SoundFileError) as error:
        raise NotSaid(f"{path} cannot be written: {error}") from error


@asynccontextmanager
async def _loudspeaker() -> AsyncIterator[Take]:
    """Ends when all was heard."""
    from serve_app.talk_device import DeviceSpeaker, NoSoundDevice

    speaker = DeviceSpeaker()
    try:
        speaker.__enter__()
    except NoSoundDevice as error:
        raise NoSoundDevice(f"Nothing can be played here: --out WAV writes a file. {error}") from error
    try:
        yield lambda pcm: speaker.play("said", pcm, time.monotonic())
        while left_s := speaker.left_s(time.monotonic()):  # noqa: ASYNC110  # PortAudio's thread tells nobody
            await asyncio.sleep(left_s)
        await asyncio.sleep(DEVICE_S)
    finally:
        speaker.__exit__()
