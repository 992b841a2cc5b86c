"""How words are said. The expected phonemes are those of misaki's own dictionary and of espeak-ng."""

import sys

import pytest

from deployments.engines import phonemes

# Of libraries that are imported: spaCy, torch, misaki.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def said(text, british=False):
    return {word.text: word.phonemes for word in phonemes.english(british)(text)}


def test_words_keep_their_punctuation_and_lose_nothing():
    words = phonemes.english(False)("Don't go, he said.")
    assert [word.text for word in words] == ["Don't", "go,", "he", "said."]
    assert words[0].phonemes == "dˈOnt" and words[1].phonemes.endswith(",")


def test_the_sentence_decides_how_a_word_is_said():
    assert said("I read it yesterday.")["read"] == "ɹˈɛd"
    assert said("I want to read.")["read."] == "ɹˈid."


def test_british_voices_speak_british():
    assert said("schedule")["schedule"] != said("schedule", british=True)["schedule"]


def test_a_word_that_is_in_no_dictionary_is_said_by_its_spelling():
    assert said("Sparkvox")["Sparkvox"] == "spˈɑɹkvɑks"


def test_a_markdown_link_is_no_instruction():
    assert "ɡˈɑt" not in "".join(said("[hello](/ɡˈɑt/)").values())


def test_nothing_is_said_of_nothing():
    assert phonemes.english(False)("") == []


def test_without_misaki_espeak_says_the_words(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "misaki", None)
    words = phonemes.english.__wrapped__(False)("Hello, Paris.")
    assert [(word.text, word.phonemes) for word in words] == [("Hello,", "həlˈoʊ,"), ("Paris.", "pˈæɹɪs.")]
    assert "espeak-ng alone" in caplog.text


def test_words_that_espeak_draws_together_are_not_told_apart():
    words = phonemes.espeak(False)("out of the blue")
    assert all(word.text == "" and word.phonemes for word in words)


@pytest.mark.parametrize("british", [False, True])
def test_espeak_alone_makes_phonemes_for_every_word(british):
    assert len(phonemes.espeak(british)("Good morning, London.")) == 3
