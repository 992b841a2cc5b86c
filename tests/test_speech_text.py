"""What is written -> what is said."""

import emoji
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.speech_text import CodeFilter, speakable

MARKDOWN = {
    "The capital of **France** is *Paris*.": "The capital of France is Paris.",
    "- Apples and pears": "Apples and pears",
    "1. Preheat the oven": "Preheat the oven",
    "2024. What a year!": "twenty twenty-four. What a year!",
    "## Results": "Results",
    "> quoted": "quoted",
    "[Paris](https://en.wikipedia.org/wiki/Paris) is big.": "Paris is big.",
    "![a cat](cat.png)": "a cat",
    "Run `ls` now": "Run ls now",
    "**Note that": "Note that",
    "this** is so": "this is so",
    "a ~~wrong~~ word": "a wrong word",
    "<b>bold</b> move": "bold move",
    "# Title\n\nSome text\n\n- one\n- two": "Title. Some text. one. two",
    "| x | y |\n|---|---|\n| 1 | 2 |": "x, y. one, two",
    "Look:\n```python\nprint('x')\n```\nThat is all.": "Look: That is all.",
    "snake_case_name": "snake case name",
    "---": "",
    "AT&amp;T": "AT and T",
}

SIGNS = {
    "Hello 😀 there! 👍🏽": "Hello there!",
    "👨‍👩‍👧 🇫🇷": "",
    "Good :)": "Good",
    "": "",
    "...": "",
    "*": "",
    "R&D": "R and D",
    "2 + 2 = 4": "two plus two equals four",
    "3 * 4": "three times four",
    "3 x 4": "three times four",
    "10 - 5": "ten minus five",
    "~5 minutes": "about five minutes",
    "x > y": "x greater than y",
    "he/she and TCP/IP": "he or she and TCP IP",
    "well-known": "well-known",
    "Wait — what?": "Wait — what?",
    "Really?!?!": "Really?",
    "It’s “fine”": 'It\'s "fine"',
    "Go to https://www.example.com/path?x=1.": "Go to example dot com.",
    "See example.co.uk for more.": "See example dot co dot uk for more.",
    "Write to jane.doe@example.org.": "Write to jane dot doe at example dot org.",
    "Open main.py": "Open main dot py",
}

NUMBERS = {
    "7": "seven",
    "1,234,567": "one million two hundred and thirty-four thousand five hundred and sixty-seven",
    "1234": "one thousand two hundred and thirty-four",
    "3.14": "three point one four",
    ".5": "zero point five",
    "-5 degrees": "minus five degrees",
    "007": "zero zero seven",
    "12345678901234": "one two three four five six seven eight nine zero one two three four",
    "1st, 2nd and 22nd": "first, second and twenty-second",
    "50%": "fifty percent",
    "2.5%": "two point five percent",
    "5-10 people": "five to ten people",
    "pages 5–10": "pages five to ten",
    "5-10%": "five to ten percent",
    "1/2 cup": "one half cup",
    "3/4": "three quarters",
    "2 1/2 cups": "two and a half cups",
    "2½": "two and a half",
    "⅓": "one third",
    "10/10": "ten out of ten",
    "open 24/7": "open twenty-four seven",
    "16:9": "sixteen to nine",
    "version 3.11.2": "version three point eleven point two",
    "GPT-4": "GPT four",
    "MP3": "MP three",
    "#1 and No. 5": "number one and number five",
    "٣": "three",
    "5'10\" tall": "five foot ten tall",
}

MONEY_AND_MEASURES = {
    "$4.50": "four dollars and fifty cents",
    "$1": "one dollar",
    "$0.99": "ninety-nine cents",
    "$1.01": "one dollar and one cent",
    "-$5": "minus five dollars",
    "$1,000,000": "one million dollars",
    "$3.5 million": "three point five million dollars",
    "$5k": "five thousand dollars",
    "$5-$10": "five dollars to ten dollars",
    "€20 or £3.99": "twenty euros or three pounds and ninety-nine pence",
    "¥500": "five hundred yen",
    "50 USD": "fifty US dollars",
    "120 km/h": "one hundred and twenty kilometers per hour",
    "1 km": "one kilometer",
    "5km": "five kilometers",
    "-3.5°C": "minus three point five degrees Celsius",
    "350°F": "three hundred and fifty degrees Fahrenheit",
    "a 90° turn": "a ninety degree turn",
    "16 GB of RAM": "sixteen gigabytes of RAM",
    "20 m²": "twenty square meters",
    "5 min": "five minutes",
    "5 men": "five men",
}

TIMES = {
    "3:45 pm": "three forty-five PM",
    "3pm": "three PM",
    "at 15:30": "at fifteen thirty",
    "3:05 a.m. sharp": "three oh five AM sharp",
    "at 3:00": "at three o'clock",
    "12:30:15": "twelve thirty and fifteen seconds",
    "5 o'clock": "five o'clock",
    "2024-03-05": "March fifth, twenty twenty-four",
    "March 5th, 2024": "March fifth, twenty twenty-four",
    "on March 5": "on March fifth",
    "Dec. 25": "December twenty-fifth",
    "the 3rd of May": "the third of May",
    "5 March 2024": "the fifth of March, twenty twenty-four",
    "5/3/2024": "May third, twenty twenty-four",
    "25/12/2024": "December twenty-fifth, twenty twenty-four",
    "May 2024": "May twenty twenty-four",
    "in 1984": "in nineteen eighty-four",
    "1939-1945": "nineteen thirty-nine to nineteen forty-five",
    "the 1990s": "the nineteen nineties",
    "the '80s": "the eighties",
    "99:99": "ninety-nine to ninety-nine",
}

WORDS = {
    "Dr. Smith": "Doctor Smith",
    "fruit, e.g. apples, etc.": "fruit, for example apples, et cetera.",
    "i.e. this": "that is this",
    "cats vs. dogs": "cats versus dogs",
    "St. John lives on Main St.": "Saint John lives on Main Street.",
    "U.S. policy": "US policy",
    "in the U.K.": "in the UK.",
    "World War II": "World War two",
    "Louis XIV": "Louis the fourteenth",
    "I am": "I am",
    "Call 555-123-4567.": "Call five five five, one two three, four five six seven.",
    "+1 (555) 123-4567": "plus one, five five five, one two three, four five six seven",
    "555-1234": "five five five, one two three four",
}

PAIRS = MARKDOWN | SIGNS | NUMBERS | MONEY_AND_MEASURES | TIMES | WORDS


@pytest.mark.parametrize(("written", "spoken"), PAIRS.items(), ids=list(PAIRS))
def test_what_is_written_is_said_in_words(written, spoken):
    assert speakable(written) == spoken


def test_a_sentence_in_plain_words_is_left_alone():
    plain = 'It was the best of times, it was the worst of times; "so far," she said, (quietly) that is: well-known — isn\'t it?'
    assert speakable(plain) == plain


def test_numbers_are_read_in_the_language_of_the_text_and_stay_in_languages_that_are_not_read():
    assert speakable("**Es kostet** 5 € 😀", "de-DE") == "Es kostet fünf Euro"
    assert speakable("**Kosztuje** 5 zł 😀", "pl") == "Kosztuje 5 zł"


def test_code_is_dropped_also_when_it_comes_in_pieces():
    code = CodeFilter()
    clauses = ["So:\n", "```python\n", "x = 1\n", "y = 2\n```\nDone.", " Good.\n", "~~~\nz"]
    assert "".join(code.feed(clause) for clause in clauses) == "So:\nDone. Good.\n"


written = st.text(max_size=80) | st.lists(
    st.sampled_from(
        [*PAIRS, "**", "1. ", "- ", "`", "```\n", "\n", "\n\n", " ", ". ", "$", "%", "/", ":", "-", "+", "(", "]", "&amp;", "²", "5", "😀"]
    ),
    max_size=8,
).map("".join)


@settings(deadline=None, max_examples=400)
@given(written)
def test_whatever_is_written_becomes_words_and_stays_as_it_is_when_read_again(text):
    spoken = speakable(text)
    assert not set(spoken) & set("*_`#~|<>[]{}\\^=\n")
    assert not emoji.emoji_count(spoken)
    assert not any(char.isdecimal() for char in spoken)
    assert spoken == "" or any(char.isalnum() for char in spoken)
    assert speakable(spoken) == spoken
