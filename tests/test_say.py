"""`sparkvox say`: the words, the phonemes and the sound of a text, without a server."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from serve_app import say, talk_device
from serve_app.cli import main
from serve_app.core.clauses import ClauseCutter
from serve_app.speech_text import LANGUAGES, Wording
from tests.fake_server import S_PER_LETTER

TEXT = "**First**, it costs $5.\n```python\nprint(1)\n```\nThen there is more of it, as was said."
FAKE = ("tts.engine=fake",)

# Of libraries that make phonemes: spaCy, torch, misaki.
spoken_by_libraries = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_words_are_those_of_a_response_a_clause_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", TEXT, "--words"]) == 0
    printed = capsys.readouterr().out.splitlines()
    cutter, wording = ClauseCutter(), Wording()
    clauses = [clause for letter in TEXT for clause in cutter.feed(letter)] + cutter.flush()
    assert printed == [words for clause in clauses if (words := wording.words(clause))]
    assert printed[0] == "First, it costs five dollars."
    assert "print" not in "".join(printed)


def test_for_words_no_engine_is_loaded() -> None:
    heavy = "{'ray', 'torch', 'onnxruntime', 'misaki', 'spacy', 'deployments.engines.kokoro_onnx'}"
    script = f"import sys; from serve_app.cli import main; main(['say', 'Room 5.', '--words']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_a_dash_takes_the_text_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Café at 5 pm today.\n".encode())))
    assert main(["say", "-", "--words"]) == 0
    assert capsys.readouterr().out == "Café at five PM today.\n"


def test_standard_input_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00")))
    assert main(["say", "-", "--words"]) == 1
    assert "no text in UTF-8" in capsys.readouterr().err


def test_a_text_that_begins_with_a_dash_comes_after_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "--words", "--", "-5 degrees"]) == 0
    assert capsys.readouterr().out == "minus five degrees\n"


def test_the_sound_is_written_as_a_wav(tmp_path: Path) -> None:
    assert main(["say", "One word. And a second sentence follows.", *FAKE, "--out", str(tmp_path / "said.wav")]) == 0
    samples, rate = soundfile.read(tmp_path / "said.wav", dtype="int16")
    words = ["One word.", "And a second sentence follows."]
    assert (rate, samples.ndim) == (24_000, 1)
    assert len(samples) / rate == pytest.approx(sum(map(len, words)) * S_PER_LETTER, abs=0.1)


def test_a_speech_that_fails_leaves_an_older_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "said.wav").write_bytes(b"older")
    assert main(["say", "Hello", *FAKE, "--out", str(tmp_path / "said.wav"), "--voice", "nobody"]) == 1
    assert (tmp_path / "said.wav").read_bytes() == b"older"
    assert "'nobody' is not a voice; there are af_heart" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said_before_anything_is_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hello", *FAKE, "--out", str(tmp_path / "nowhere" / "said.wav")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert main(["say", "Hello", *FAKE, "--out", str(tmp_path)]) == 1
    assert "it is a folder" in capsys.readouterr().err


def test_a_language_that_is_not_read_is_named_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hello", "--words", "--language", "tlh"]) == 1
    assert f"'tlh'; it knows {', '.join(sorted(LANGUAGES))}" in capsys.readouterr().err


@pytest.mark.parametrize("language", ["German", "de-AT", "deu"])
def test_a_language_has_tags_and_names(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Das kostet 5 €.", "--words", "--language", language]) == 0
    assert capsys.readouterr().out == "Das kostet fünf Euro.\n"


def test_a_setting_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hello", "tts.engin=fake", "--words"]) == 1
    assert "tts.engin" in capsys.readouterr().err


def test_an_engine_that_takes_words_has_no_phonemes_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hello", *FAKE, "--phonemes"]) == 1
    assert "--words" in capsys.readouterr().err


def test_without_a_sound_device_a_file_is_proposed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["say", "Hello", *FAKE]) == 1
    error = capsys.readouterr().err
    assert "--out WAV" in error and "install sounddevice" in error


def test_what_is_played_is_what_would_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    played: list[np.ndarray] = []

    class Heard:
        """A loudspeaker that is as fast as it likes."""

        def __enter__(self) -> "Heard":
            return self

        def __exit__(self, *_: object) -> None: ...

        def play(self, item_id: str, pcm: np.ndarray, now: float) -> None:
            played.append(pcm)

        def left_s(self, now: float) -> float:
            return 0.0

    monkeypatch.setattr(talk_device, "DeviceSpeaker", Heard)
    monkeypatch.setattr(say, "DEVICE_S", 0.0)
    assert main(["say", "Hello you.", *FAKE]) == 0
    assert main(["say", "Hello you.", *FAKE, "--out", str(tmp_path / "said.wav")]) == 0
    written, _ = soundfile.read(tmp_path / "said.wav", dtype="int16")
    assert np.array_equal(np.concatenate(played), written)


# --- with Kokoro --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.weights
@spoken_by_libraries
def test_the_phonemes_are_those_that_the_model_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "He left. Call 42 now.", "--phonemes"]) == 0
    assert capsys.readouterr().out.splitlines() == ["hˌi lˈɛft.", "kˈɔl fˈɔɹTitˌu nˈW."]


@pytest.mark.weights
@spoken_by_libraries
def test_the_voice_decides_the_accent_and_one_of_another_vendor_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    lines = []
    for voice in ("af_heart", "bf_emma", "ballad"):
        assert main(["say", "schedule", "--phonemes", "--voice", voice]) == 0
        lines.append(capsys.readouterr().out)
    american, british, vendors = lines
    assert american != british == vendors


@pytest.mark.weights
@pytest.mark.parametrize("more", [["--words"], ["--phonemes"], ["--out", "never.wav"]])
def test_an_unknown_voice_is_named_with_those_that_there_are(more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Hello", "--voice", "af_heart+nobody", *more]) == 1
    error = capsys.readouterr().err
    assert "'nobody' is not a voice" in error and "bf_emma" in error


@pytest.mark.weights
def test_a_language_that_the_voices_do_not_speak_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "Guten Tag", "--language", "de", "--phonemes"]) == 1
    assert "kokoro-onnx here does not know the language 'de'; it knows en" in capsys.readouterr().err
