"""What an English voice says of other scripts, of signs, and of words in capitals. The phonemes are misaki's."""

import logging
import unicodedata

import pytest

from deployments.engines import phonemes
from deployments.engines.english_words import PRONOUNCED, in_capitals, pronounced, sayable
from serve_app.speech_text import speakable

# Of libraries that are imported: spaCy, torch, misaki.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def said(text: str, british: bool = False) -> str:
    return " ".join(word.phonemes for word in phonemes.english(british)(text))


OTHER_SCRIPTS = [
    "안녕",
    "你好",
    "こんにちは",
    "Москва",
    "Αθήνα",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "สวัสดี",
    "ქართული",
    "Հայերեն",
    "ᏣᎳᎩ",
    "አማርኛ",
    "ភាសាខ្មែរ",
]


@pytest.mark.parametrize("word", OTHER_SCRIPTS)
@pytest.mark.parametrize("british", [False, True])
def test_a_word_of_another_script_is_left_out_without_a_trace(word: str, british: bool) -> None:
    assert said(f"Say {word} to her.", british) == said("Say to her.", british)
    assert said(f'Hello, {word}! It is ({word}) "{word}" here.', british) == said("Hello! It is here.", british)
    assert said(word, british) == ""


@pytest.mark.parametrize("word", OTHER_SCRIPTS)
def test_espeak_alone_leaves_it_out_too(word: str) -> None:
    words = phonemes.espeak(False)
    assert words(f"Say {word} now.") == words("Say now.")
    assert words(word) == []


def test_what_is_left_out_is_told_by_its_script_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "deployments.engines.english_words"):
        sayable("Say 안녕 and 안녕 and Москва now.")
    assert [record.getMessage() for record in caplog.records] == ["left out, because no English voice can say it: cyrillic, hangul"]
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


EQUAL = {
    "Beyoncé": unicodedata.normalize("NFD", "Beyoncé"),
    "São Paulo": unicodedata.normalize("NFD", "São Paulo"),
    "don't": ["don’t", "donʼt", "don‘t", "don＇t", "don`t", "don´t", "don′t"],
    "Hello": ["Ｈｅｌｌｏ", "𝐇𝐞𝐥𝐥𝐨", "𝓗𝓮𝓵𝓵𝓸", "H̷e̷l̷l̷o̷", "Hel\u00adlo", "He\u200bllo", "\u202eHello\u202c", "Hello\ufeff"],
    "fire and flood": ["ﬁre and ﬂood", "fire\u00a0and\u2009flood"],
    "iPhone": ["iPhone手机", "ｉＰｈｏｎｅ"],
    "x": ["x̄"],
    "well-known": ["well‑known", "well‐known"],
    "Hello, you.": ["Hello， you。", "Hello، you。"],
    "Moscow is big": ["Мoscow is big", "Moscоw is big"],
    "H 2 O": ["H₂O"],
    "alpha and delta t": ["α and Δt"],
}
PAIRS = [(plain, other) for plain, others in EQUAL.items() for other in ([others] if isinstance(others, str) else others)]


@pytest.mark.parametrize(("plain", "other"), PAIRS, ids=[ascii(other) for _, other in PAIRS])
def test_what_looks_equal_sounds_equal(plain: str, other: str) -> None:
    assert said(plain) == said(other) != ""


@pytest.mark.parametrize("text", ["Nguyễn Đặng", "Łódź and Šibenik", "Þór", "Ŋ ĥ ñ", "ÇÑÉCOLE", "Ǆ ə Ɖ", "ḥadith", "Ṣ", "Ⱥ ꝥ Ꞑ"])
def test_letters_with_marks_are_no_names_of_letters(text: str) -> None:
    names = {said(name).replace("ˈ", "").replace("ˌ", "") for name in ("letter", "acute", "tilde", "caron", "circumflex", "stroke")}
    heard = said(text).replace("ˈ", "").replace("ˌ", "")
    assert not any(name in heard for name in names)


@pytest.mark.parametrize("signs", ["★★★☆☆", "✓", "•", "⌘", "←↑", "¶", "†", "♠", "☎", "█", "𓀀", "\ue000", "░▒", "∮"])
def test_signs_are_not_read_by_their_names(signs: str) -> None:
    assert said(f"All {signs} here") == said("All here")


def test_plain_text_stays_as_it_is() -> None:
    plain = "It's “fine”, (quietly) 5 % & so on: well-known — isn't it?"
    assert sayable(plain) == plain


LETTERS, WORD = "letters", "word"
CAPITALS = {
    "He works in IT.": {"IT": LETTERS},
    "Our IT department is here.": {"IT": LETTERS},
    "Is IT ready?": {"IT": LETTERS},
    "That's IT!": {"IT": WORD},
    "Just do IT now.": {"IT": WORD},
    "He lives in the US.": {"US": LETTERS},
    "Let US go.": {"US": WORD},
    "Give US the money!": {"US": WORD},
    "The WHO recommends it.": {"WHO": LETTERS},
    "According to WHO, it is so.": {"WHO": LETTERS},
    "WHO is there?": {"WHO": WORD},
    "An LED bulb is here.": {"LED": LETTERS},
    "It is five AM and not ten PM.": {"AM": LETTERS, "PM": LETTERS},
    "I AM here.": {"AM": WORD},
    "We need to GO now.": {"GO": WORD},
    "Do NOT touch it.": {"NOT": WORD},
    "It was AT the door.": {"AT": WORD},
    "He lives in Portland, OR.": {"OR": LETTERS},
    "My ID and the OS.": {"ID": LETTERS, "OS": LETTERS},
    "It runs on AWS.": {"AWS": LETTERS},
    "AT and T is a firm.": {"AT": LETTERS},
    "GO!": {"GO": WORD},
    "FREE WIFI": {"FREE": WORD, "WIFI": WORD},
    "IT": {"IT": LETTERS},
    "ACT": {"ACT": WORD},
    "PLEASE WAIT": {"PLEASE": WORD, "WAIT": WORD},
    "DO NOT OPEN IT": {"DO": WORD, "NOT": WORD, "OPEN": WORD, "IT": WORD},
    "GIVE US THE MONEY": {"US": WORD},
    "MADE IN THE US": {"IN": WORD, "US": LETTERS},
    "WHO ARE YOU?": {"WHO": WORD, "ARE": WORD},
    "TO BE OR NOT TO BE": {"TO": WORD, "BE": WORD, "OR": WORD},
    "ACT NOW": {"ACT": WORD},
    "THE FBI IS HERE": {"FBI": LETTERS, "IS": WORD},
    "SPARKVOX IS READY": {"SPARKVOX": WORD},
    "HTTP API": {"HTTP": LETTERS, "API": LETTERS},
    "CEO, CFO, USB, GPU, CPU, HTML, FAQ, TV, UK, EU, DNA, BBC": dict.fromkeys(
        ("CEO", "CFO", "USB", "GPU", "CPU", "HTML", "FAQ", "TV", "UK", "EU", "DNA", "BBC"), LETTERS
    ),
    "NATO, NASA, UNESCO, ASAP, RAM, SIM, PIN, JPEG, OPEC": dict.fromkeys(
        ("NATO", "NASA", "UNESCO", "ASAP", "RAM", "SIM", "PIN", "JPEG", "OPEC"), WORD
    ),
}


def bare(sounds: str) -> str:
    return "".join(sound for sound in sounds if sound.isalpha())


def spelled(word: str) -> str:
    """As its letters are said."""
    return bare(said(".".join(word) + "."))


@pytest.mark.parametrize("text", CAPITALS)
def test_capitals_are_read_as_letters_or_as_a_word(text: str) -> None:
    heard = {word.text.strip(".,!?"): bare(word.phonemes) for word in phonemes.english(False)(text)}
    for word, reading in CAPITALS[text].items():
        assert (heard[word] == spelled(word)) == (reading == LETTERS), (word, heard[word])


@pytest.mark.parametrize("british", [False, True])
def test_titles_and_acronyms_of_the_table_are_said_as_it_says(british: bool) -> None:
    for word, sounds in pronounced(british).items():
        assert bare(said(word, british)) == bare(sounds).replace(" ", ""), word


@pytest.mark.parametrize(
    "text", ["Plan A is best.", "It is vitamin A.", "She got an A plus.", "Use size A four.", "Is it A or B?", "A one.", "A plus"]
)
def test_a_capital_a_within_a_sentence_is_the_letter(text: str) -> None:
    assert {word.text.strip(".?"): word.phonemes for word in phonemes.english(False)(text)}["A"].strip(".?") == "ˈA"


@pytest.mark.parametrize("text", ["A man came.", "Once Upon A Time", "THIS IS A TEST", "He said: A man came."])
def test_a_capital_a_before_a_word_is_the_article(text: str) -> None:
    assert {word.text: word.phonemes for word in phonemes.english(False)(text)}["A"] == "ɐ"


@pytest.mark.parametrize(
    ("text", "end"), [("The CEO's office", "Oz"), ("The FBI's office", "Iz"), ("IT's budget", "iz"), ("The OS's name", "ᵻz")]
)
def test_letters_have_their_genitive(text: str, end: str) -> None:
    (word,) = (word for word in phonemes.english(False)(text) if word.text.endswith("'s"))
    assert bare(word.phonemes).endswith(end)


def test_titles_are_words() -> None:
    assert said(speakable("Ms Lee called.")).startswith("mˈɪz")
    assert said("Mx Lee") == "mˈɪks lˈi"
    assert said("Ms Lee", british=True).startswith("mˈɪz")


def test_what_is_told_of_capitals_needs_no_library() -> None:
    dictionary = {"go", "it", "the", "please", "nato"}
    assert in_capitals(["GO", "TO", "IT"], dictionary) == {0: True, 1: True, 2: True}
    assert in_capitals(["the", "IT", "guy"], dictionary) == {1: False}
    assert in_capitals(["the", "NATO"], dictionary) == {}
    assert in_capitals(["plain", "words", "."], dictionary) == {}
    assert in_capitals([], dictionary) == {}


def test_every_phoneme_of_the_table_is_one_of_misakis() -> None:
    from misaki.en import GB_VOCAB, US_VOCAB

    assert set("".join(PRONOUNCED.values())) <= US_VOCAB | {" "}
    assert set("".join(pronounced(True).values())) <= GB_VOCAB | {" "}
