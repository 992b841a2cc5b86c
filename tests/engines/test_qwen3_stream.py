"""One utterance on its way through Qwen3-ASR: pieces, prefixes, and what is promised. Tokens are the bytes of the answer."""

import numpy as np
import pytest

from deployments.engines.qwen3_stream import Utterance, hypothesis
from serve_app.engines import HEARING_RATE, Hints

SPEECH = (np.random.default_rng(0).normal(0, 3000, 60 * HEARING_RATE)).astype(np.int16)


def letters(tokens):
    return bytes(tokens).decode(errors="replace")


def seconds(count):
    return SPEECH[: int(count * HEARING_RATE)]


def silence(count):
    return np.zeros(int(count * HEARING_RATE), np.int16)


class Model:
    """Writes the first answers that it is given, each after the prefix of the piece; asks back whether the prefix is the answer's own."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.prefixes = []

    def hear(self, utterance, pcm, last=False):
        for piece in utterance.add(pcm, last):
            prefix = letters(piece.prefix)
            self.prefixes.append(prefix)
            answer = self.answers.pop(0)
            assert answer.startswith(prefix)
            piece.take(list(answer.removeprefix(prefix).encode()), letters)
        return hypothesis(utterance, letters, None)


def utterance(longest_s=30.0):
    return Utterance(Hints(), int(longest_s * HEARING_RATE))


HEAD = "language English<asr_text>"


def test_the_first_two_answers_are_given_no_prefix_and_promise_what_the_third_begins_with():
    model, one = Model(f"{HEAD}I use", f"{HEAD}I use cloud code", f"{HEAD}I use cloud computing."), utterance()
    first = model.hear(one, seconds(1))
    assert (first.text, first.stable_chars) == ("I use", 0)
    second = model.hear(one, seconds(1))
    assert (second.text, second.text[: second.stable_chars]) == ("I use cloud code", "I use cloud")
    third = model.hear(one, seconds(1), last=True)
    assert model.prefixes == ["", "", f"{HEAD}I use cloud"]
    assert (third.text, third.stable_chars, third.language) == ("I use cloud computing.", 22, "en")


def test_a_prefix_that_ends_within_the_head_promises_nothing():
    model, one = Model("language E", "language English<asr_text>"), utterance()
    model.hear(one, seconds(1))
    heard = model.hear(one, seconds(1))
    assert (heard.text, heard.stable_chars) == ("", 0)


def test_what_is_promised_never_shrinks():
    said = f"{HEAD}one two three four five six"
    model = Model(said[:30], said[:45], said[:43], said[:43], said[:48], said)
    one, stable = utterance(), ""
    for number in range(6):
        heard = model.hear(one, seconds(1), last=number == 5)
        assert heard.text.startswith(stable)
        assert heard.stable_chars >= len(stable)
        stable = heard.text[: heard.stable_chars]
    assert stable == "one two three four five six"


def test_an_answer_that_repeats_itself_is_cleaned_and_not_given_back():
    model, one = Model(f"{HEAD}I see", f"{HEAD}I see a dog here", f"{HEAD}I see a dog" + " no" * 30, f"{HEAD}I see a dog."), utterance()
    for _ in range(2):
        model.hear(one, seconds(1))
    third = model.hear(one, seconds(1))
    assert (third.text, third.text[: third.stable_chars]) == ("I see a dog no", "I see a dog")
    fourth = model.hear(one, seconds(1), last=True)
    assert fourth.text == "I see a dog."
    assert model.prefixes[3] == model.prefixes[2] == f"{HEAD}I see a dog"


def test_nothing_said_is_no_text_whatever_follows():
    model, one = Model("language None<asr_text>Yeah."), utterance()
    heard = model.hear(one, silence(1), last=True)
    assert (heard.text, heard.language) == ("", None)


@pytest.mark.parametrize(("pcm", "silent"), [(silence(3), True), (seconds(0.01), True), (seconds(1), False), (SPEECH[:0], True)])
def test_a_piece_without_speech_is_known(pcm, silent):
    (piece,) = utterance().add(pcm, True)
    assert piece.silent is silent


def test_a_piece_ends_in_a_pause_once_it_is_half_as_long_as_it_may_be():
    one = utterance(10)
    pieces = one.add(np.concatenate((seconds(3), silence(0.5), seconds(3), silence(0.5), seconds(2))), False)
    assert [piece.ended for piece in pieces] == [True, False]
    assert 6.5 * HEARING_RATE < pieces[1].start < 7 * HEARING_RATE
    assert len(pieces[0].pcm) == pieces[1].start


def test_speech_without_a_pause_is_cut_when_it_is_too_long():
    one = utterance(10)
    pieces = one.add(seconds(35), True)
    assert all(5 * HEARING_RATE <= len(piece.pcm) <= 10 * HEARING_RATE for piece in pieces[:-1])
    assert np.array_equal(np.concatenate([piece.pcm for piece in one.pieces]), seconds(35))
    assert all(piece.ended for piece in pieces)


def test_a_cut_is_never_within_what_was_answered():
    one = utterance(10)
    model = Model(*["x"] * 40)
    loud = np.concatenate([seconds(5.5), silence(0.3)] * 5)
    for start in range(0, len(loud), HEARING_RATE):
        before = {piece: piece.answered for piece in one.pieces}
        model.prefixes.clear()
        model.answers = ["x"] * 4
        model.hear(one, loud[start : start + HEARING_RATE])
        assert all(len(piece.pcm) >= answered for piece, answered in before.items())
    assert len(one.pieces) > 2
    assert np.array_equal(np.concatenate([piece.pcm for piece in one.pieces]), loud)


def test_steps_that_are_too_short_to_cut_make_a_piece_a_little_longer():
    one = utterance(1)
    for start in range(0, 3 * HEARING_RATE, 1600):
        for piece in one.add(SPEECH[start : start + 1600], False):
            piece.take([], letters)
    assert sum(len(piece.pcm) for piece in one.pieces) == 3 * HEARING_RATE


def test_pieces_are_joined_by_a_space_but_not_between_chinese_characters():
    one = utterance(10)
    pieces = one.add(seconds(25), True)
    for piece, text in zip(pieces, ["今天", "很好。", "Fine", "day."], strict=False):
        piece.take(list(f"language Chinese<asr_text>{text}".encode()), letters)
    assert hypothesis(one, letters, None).text.startswith("今天很好。 Fine")


def test_a_fork_can_end_while_the_stream_goes_on():
    model, one = Model(f"{HEAD}I use", f"{HEAD}I use it.", f"{HEAD}I use it now."), utterance()
    model.hear(one, seconds(1))
    assert model.hear(one.fork(), seconds(1), last=True).text == "I use it."
    assert not one.pieces[0].ended and len(one.pieces[0].pcm) == HEARING_RATE
    assert model.hear(one, seconds(2), last=True).text == "I use it now."
