import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.clauses import LONGEST, ClauseCutter


def cut(text: str, size: int = 3) -> list[str]:
    cutter = ClauseCutter()
    clauses = [clause for start in range(0, len(text), size) for clause in cutter.feed(text[start : start + size])]
    return clauses + cutter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello.", ["Hello."]),
        ("Yes. It is a very fine day today.", ["Yes.", " It is a very fine day today."]),
        ("Well of course, I can tell you about it.", ["Well of course,", " I can tell you about it."]),
        (
            "It costs $3.50 in the shop over there. Is that too much for you?",
            ["It costs $3.50 in the shop over there.", " Is that too much for you?"],
        ),
        ("Ask Dr. Smith about it.", ["Ask Dr. Smith about it."]),
        ("Ask e.g. your friend about it.", ["Ask e.g. your friend about it."]),
        ("1. Take the train to the town\n2. Walk from there", ["1. Take the train to the town\n", "2. Walk from there"]),
        ("One. Two. Three. Four. Five. Six. Seven.", ["One.", " Two. Three. Four. Five. Six.", " Seven."]),
        (
            "The capital of France is the very old city on the river Seine that everybody calls Paris.",
            ["The capital of France is the very old city", " on the river Seine that everybody calls Paris."],
        ),
        (
            "You take the train to the airport and then you walk, if it is not raining.",
            ["You take the train to the airport", " and then you walk, if it is not raining."],
        ),
        (
            "Photosynthesis turns carbon dioxide, water and sunlight to sugar.",
            ["Photosynthesis turns carbon dioxide,", " water and sunlight to sugar."],
        ),
        (
            "He said *never in all the years that I have lived here* and left.",
            ["He said *never in all the years that I have lived here* and left."],
        ),
        (
            "Sixteenhundredandseventyfive metres above the sea in the mountains.",
            ["Sixteenhundredandseventyfive metres above the sea", " in the mountains."],
        ),
        ("Call `one, two. Three` and then, please, wait.", ["Call `one, two. Three` and then,", " please, wait."]),
        ("Call ```one, two. Three``` and then, please, wait.", ["Call ```one, two. Three``` and then,", " please, wait."]),
        ("See [Paris, a city. Or](http://a.b/c,d) there, and go.", ["See [Paris, a city. Or](http://a.b/c,d) there,", " and go."]),
        ("It was [sic\nHe wrote it, so it is.", ["It was [sic\n", "He wrote it, so it is."]),
        ("Sgt. Pepper came. Gen. Lee did not come with him.", ["Sgt. Pepper came.", " Gen. Lee did not come with him."]),
        ("It is in Fig. 3. They sat. No. I see it here.", ["It is in Fig. 3.", " They sat. No. I see it here."]),
        ("No. I do not think that it is so.", ["No.", " I do not think that it is so."]),
        ("## 1. The first part of it", ["## 1. The first part of it"]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_text_is_cut_where_a_speaker_would_breathe(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_the_first_clause_leaves_before_the_sentence_is_over() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("The capital of France, which is ") == ["The capital of France,"]


WORDS = [
    *("old", "wonderful ", "and", "the", "house,", "years.", "in", "Dr.", "*so*", "that", "-", "photosynthesis", "Yes!"),
    *("No.", "5", "1.", "`a,", "b`", "[so,", "on](x)", "```"),
]


@given(st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join), st.integers(1, 30))
def test_how_much_of_a_text_comes_at_once_does_not_change_its_first_clause(text: str, size: int) -> None:
    assert cut(text, size)[:1] == cut(text, 1)[:1]


def test_a_long_sentence_leaves_its_first_words_before_it_is_written() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("The weather will be sunny and warm in the ") == []
    assert cutter.feed("whole country ") == ["The weather will be sunny and warm"]


def test_a_text_without_punctuation_is_cut_all_the_same() -> None:
    clauses = cut("word " * 200)
    assert len(clauses) > 3 and max(map(len, clauses)) <= LONGEST


@given(st.text(alphabet="ab1 .,!?\n-—:;é。", max_size=400), st.integers(1, 40))
def test_the_clauses_joined_are_the_text(text: str, size: int) -> None:
    joined = "".join(cut(text, size))
    assert joined == text or (text.startswith(joined) and not text[len(joined) :].strip())
