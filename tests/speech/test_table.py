"""How much of the table of cases.tsv is read aloud as people say it."""

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.speech_text import Wording, clauses_in_words, language_of_text, prepared, speakable
from tests.speech.table import Case, cases, failures, report, words_of

TABLE = cases()
LEAST_RIGHT = {"en": 0.97, "es": 0.9, "fr": 0.9, "de": 0.9, "it": 0.9, "pt": 0.9, "hi": 0.9, "zh": 0.9, "ja": 0.9}
"""By language."""


def test_the_table_is_large_and_says_nothing_twice():
    languages = Counter(case.language for case in TABLE)
    assert languages["en"] >= 800
    assert all(languages[language] >= 15 for language in set(LEAST_RIGHT) - {"en"})
    assert not [written for written, count in Counter((case.language, case.written) for case in TABLE).items() if count > 1]


@pytest.mark.parametrize("language", LEAST_RIGHT)
def test_text_is_read_aloud_as_people_say_it(language):
    table = [case for case in TABLE if case.language == language]
    wrong = failures(table, _said)
    right = 1 - len(wrong) / len(table)
    assert right >= LEAST_RIGHT[language], f"{right:.1%} of {len(table)} cases are right:\n{report(wrong)}"


def test_readings_are_compared_by_their_words():
    assert words_of("Call 5-5, “Bob”; it's 'ok'.") == "call 5 5 bob it's ok"
    assert not failures([_case("two hundred ~five")], lambda *_: "Two hundred and five.")
    assert failures([_case("two hundred ~five")], lambda *_: "two hundred five six")


def test_what_a_number_is_may_have_been_said_in_the_clause_before():
    wording = Wording()
    assert [wording.words(clause) for clause in ("Your access code:", " 204816.")] == ["Your access code:", "two zero four eight one six."]
    assert [wording.words(clause) for clause in ("Ring this number:", " 30556 now.")][1] == "three zero five five six now."
    assert [wording.words(clause) for clause in ("There were many,", " 2048 people.")][1].startswith("two thousand")


def test_words_that_only_look_like_abbreviations_and_numerals_stay():
    for plain in (
        "The sun sat on the mon of his art.",
        "I will, and so will I.",
        "May I march in March?",
        "No, it is not so. No. Never.",
        "It was us, and it is you.",
        "Do, or do not; there is no try.",
    ):
        assert speakable(plain) == plain


def test_a_text_is_read_in_the_language_that_is_known_of_it_or_of_the_voices():
    assert language_of_text("de-AT", None) == language_of_text(None, ("de",)) == language_of_text("de", ("en", "de-DE")) == "de"
    assert language_of_text(None, None) == language_of_text("de", ("en",)) == language_of_text("sw", None) == "en"
    assert language_of_text(None, ("fr", "de")) == "en"


async def test_a_language_is_loaded_once_and_elsewhere():
    await prepared("ja")
    await prepared("ja")
    assert speakable("5月3日", "ja") == "五月三日"


def _said(written: str, language: str) -> str:
    """As a response with that text would be spoken."""
    return " ".join(clauses_in_words(written, language))


def _case(readings: str) -> Case:
    return Case("en", "number", "205", re.compile(readings.replace("~", "(?:and )?")))


PIECES = [
    *[case.written for case in TABLE if case.language == "en"],
    "**",
    "1. ",
    "`",
    "\n",
    " ",
    "-",
    "/",
    "$",
    "%",
    ":",
    "(",
    "'",
    '"',
    "I",
    "Dr.",
    "V",
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4), st.sampled_from(["", " ", ", "]), st.integers(0, 30))
def test_whatever_stands_together_is_read_and_stays_as_it_is_when_read_again(pieces, between, cut):
    spoken = speakable(between.join(pieces)[cut:])
    assert not any(char.isdecimal() for char in spoken)
    assert speakable(spoken) == spoken


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(set(LEAST_RIGHT) - {"en"})),
    st.lists(st.sampled_from([case.written for case in TABLE if case.language != "en"]), min_size=1, max_size=3),
)
def test_text_of_another_language_than_is_said_is_read_too(language, pieces):
    spoken = speakable(" ".join(pieces), language)
    assert speakable(spoken, language) == spoken
