"""The deltas that a client was sent joined are the transcript, whatever speech-to-text says in the end."""

import pytest

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Tell
from serve_app.core.transcripts import Transcripts


def run(*texts: str) -> tuple[list[str], str, str | None]:
    """Partial transcripts and the last, final one: the deltas, the transcript that the client gets, and the text that the model reads."""
    transcripts, deltas, completed, read = Transcripts(), [], "", None
    transcripts.begin("item", known=True)
    for number, text in enumerate(texts):
        final = number == len(texts) - 1
        if final:
            transcripts.commit("item")
        commands, read = transcripts.take(ev.TranscriptFinished("item", text, 1.0) if final else ev.TranscriptGrew("item", text), True)
        for command in commands:
            assert isinstance(command, Tell)
            match command.what:
                case told.TranscriptDelta(delta=delta):
                    deltas.append(delta)
                case told.TranscriptCompleted(text=transcript):
                    completed = transcript
    return deltas, completed, read


@pytest.mark.parametrize(
    "texts",
    [
        ["What is", "What is the", "What is the time?"],
        ["What is the cap", "What is a capital?"],  # a guess that is older than the last delta stands for the text
        ["What is the", "What", "What is the time?"],
        ["What is", ""],
        ["Hello."],
        [""],
    ],
)
def test_deltas_joined_are_the_transcript(texts: list[str]) -> None:
    deltas, completed, read = run(*texts)
    assert "".join(deltas) == completed == read


def test_the_words_after_a_contradiction_are_kept() -> None:
    assert run("What is the capitol", "What is a capital of France?")[1] == "What is the capitol of France?"
