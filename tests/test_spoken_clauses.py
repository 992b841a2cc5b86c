"""What of a text is spoken and what is not, on the way of a response: cut into clauses as it comes, without code, in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.core.clauses import ClauseCutter
from serve_app.speech_text import CodeFilter, Wording, clauses_in_words


def said(text: str, size: int | None = None) -> str:
    """The words of all clauses, where `size` characters of the text come at once."""
    if size is None:
        return " ".join(clauses_in_words(text))
    cutter, wording = ClauseCutter(), Wording()
    clauses = [clause for at in range(0, len(text), size) for clause in cutter.feed(text[at : at + size])] + cutter.flush()
    return " ".join(words for clause in clauses if (words := wording.words(clause)))


NUMBERS = {
    "42.": "forty-two.",
    "2.": "two.",
    "42": "forty-two",
    "3) ": "three",
    "(3)": "(three)",
    "- 42.": "forty-two.",
    "**7.**": "seven.",
    "# 42.": "forty-two.",
    "7. 🎉": "seven.",
    "What is six times seven? 42.": "What is six times seven? forty-two.",
    "Which one is it? 2. That is all that I have for you.": "Which one is it? two. That is all that I have for you.",
    "12. There are twelve months in a year.": "twelve. There are twelve months in a year.",
    "It ended in 1945. What came then?": "It ended in nineteen forty-five. What came then?",
    "1945. The war was over.": "nineteen forty-five. The war was over.",
    "The first was number 1. The second was number 2.": "The first was number one. The second was number two.",
    "Is it? No.": "Is it? No.",
    "No. I do not think that it is so.": "No. I do not think that it is so.",
    "See No. 5 of the list.": "See number five of the list.",
    "Pi is 3.14. That is all.": "Pi is three point one four. That is all.",
    "1. First": "First",
    "1. Open the door and walk in.\n2. Sit down on the chair.\n3. Wait.": "Open the door and walk in. Sit down on the chair. Wait.",
    "0) Begin here\n1) Go on there": "Begin here Go on there",
    "1. One\n   1. Inner\n   2. Other\n2. Two": "One Inner. Other. Two",
    "Steps:\n\n1. Do it.\n\n   ```sh\n   make\n   ```\n\n2. Look at it.": "Steps: Do it. Look at it.",
    "1.\nFirst": "one. First",
    "1. 42.\n2. 43.": "forty-two. forty-three.",
}

CODE = {
    "Run this:\n```ls -la```\nThen look at the list.": "Run this: Then look at the list.",
    "```print(1)``` prints one. And that is all.": "prints one. And that is all.",
    "Use ```ls -la``` to list, and ```cd ..``` to go up.": "Use to list, and to go up.",
    "Look:\n```python\nx = 1\n```\nThat is all.": "Look: That is all.",
    "Look: ```python\nx = 1\n```\nThat is all.": "Look: That is all.",
    "Look:\n```python\nx = 1```\nThat is all.": "Look: That is all.",
    "Look:\n```\nx = 1\n``` That is all.": "Look: That is all.",
    "Look:\n```\nx = 1\n```That is all.": "Look: That is all.",
    'Look:\n\n```js title="x.js" {1,3}\nlet a;\n```\n\nThat is all.': "Look: That is all.",
    "Look:\n~~~ruby\nputs 1\n~~~\nThat is all.": "Look: That is all.",
    "Look:\n~~~ls -la~~~\nThat is all.": "Look: That is all.",
    "Look:\n~~~\n```\nx\n```\n~~~\nThat is all.": "Look: That is all.",
    "Look:\n````markdown\n```python\nx\n```\n````\nThat is all.": "Look: That is all.",
    "Look:\n    ```\n    x = 1\n    ```\nThat is all.": "Look: That is all.",
    "- Look:\n  ```sh\n  ls\n  ```\n- That is all.": "Look: That is all.",
    "> Look:\n> ```sh\n> ls\n> ```\n> That is all.": "Look: That is all.",
    "> ```sh\n> ls\n\nThat is all.": "That is all.",
    "Look:\n```python\nprint('```')\nx = 1\n```\nThat is all.": "Look: That is all.",
    "Look:\n```python\n# use ``` here\nx = 1\n```\nThat is all.": "Look: That is all.",
    "Never ended:\n```python\nx = 1\ny = 2": "Never ended:",
    "Never ended: ```ls -la": "Never ended:",
    "Only begun ```": "Only begun",
    "```": "",
    "```python\nx = 1\n```": "",
    "Use ``` to begin with code. Then write it.": "Use to begin with code. Then write it.",
    "So cute~~~ I love it.": "So cute I love it.",
    "~~~ Part one ~~~\nIt was dark.": "Part one It was dark.",
    "~~~~~~~~~~~~~~~~\nIt was dark.": "It was dark.",
    "Use `foo, bar, and baz. Then more` here, please.": "Use foo, bar, and baz. Then more here, please.",
    "Look:\n<pre><code>x = 1</code></pre>\nThat is all.": "Look: That is all.",
    "The ``a`` and the `b`.": "The a and the b.",
}

OTHER_MARKS = {
    "See [Paris, the city of light](https://example.com/a,b) for more of it.": "See Paris, the city of light for more of it.",
    "[Narrator]: It was dark.": "Narrator: It was dark.",
    "It is so.[^1]\n\n[^1]: A note about it.": "It is so. A note about it.",
    "See [the page][home].\n\n[home]: https://example.com/": "See the page.",
    "Dear <first name>, press <Enter> now.": "Dear first name, press Enter now.",
    'A <b class="x">bold</b> move,<br>indeed.<!-- not this -->': "A bold move, indeed.",
    "- [x] Milk\n- [ ] Bread": "Milk Bread",
    "***\nAfter the ruler.": "After the ruler.",
    "> Quoted words.": "Quoted words.",
    "## Part 1. The start\nIt was dark.": "Part one. The start It was dark.",
}

ALL = NUMBERS | CODE | OTHER_MARKS


@pytest.mark.parametrize(("written", "spoken"), ALL.items(), ids=list(ALL))
def test_what_is_prose_is_said_and_code_and_marks_are_not(written: str, spoken: str) -> None:
    assert said(written) == spoken


@pytest.mark.parametrize("written", ALL)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_how_much_of_it_comes_at_once_changes_nothing(written: str, size: int) -> None:
    assert said(written, size) == said(written)


PROSE = st.lists(st.sampled_from(["apple.", "pear,", "plum", "so", "Yes!", "42.", "`inner`", "**fig**"]), min_size=1, max_size=12).map(
    " ".join
)
CODE_LINES = st.lists(st.sampled_from(["zork = 1", "  zork()", "", "# zork. Zork, zork", "zork `x` zork"]), min_size=1, max_size=6)
FENCE = st.sampled_from(["```", "````", "~~~", "~~~~"])


def block(prefix: str, fence: str, info: str, lines: list[str]) -> str:
    quote = "> " if ">" in prefix else ""
    return f"{prefix}{fence}{info}\n" + "".join(f"{quote}{line}\n" for line in [*lines, fence])


BLOCK = st.builds(block, st.sampled_from(["\n", "\n\n", "\n- ", "\n> "]), FENCE, st.sampled_from(["", "python", " sh", "c++"]), CODE_LINES)
WITHIN_A_LINE = st.builds(block, st.just(" "), FENCE, st.sampled_from(["python", "c++"]), CODE_LINES)
INLINE = FENCE.map(lambda fence: f"\n{fence}zork(1)zork{fence}\n")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(PROSE, BLOCK | WITHIN_A_LINE | INLINE), min_size=1, max_size=4), PROSE, st.integers(1, 50))
def test_all_prose_around_code_is_said_and_no_code(parts: list[tuple[str, str]], end: str, size: int) -> None:
    text = "".join(prose + code for prose, code in parts) + end
    spoken = said(text, size).lower()
    assert "zork" not in spoken
    for word in ("apple", "pear", "plum", "yes", "forty-two", "inner", "fig"):
        written = word.replace("forty-two", "42")
        prose = " ".join([*(prose for prose, _ in parts), end]).lower()
        assert spoken.count(word) == prose.count(written)


@given(st.text(alphabet="ab`~ .\n", max_size=60), st.integers(1, 20))
def test_without_a_run_of_three_nothing_is_code(text: str, size: int) -> None:
    plain = text.replace("```", "``x").replace("~~~", "~~x")
    code = CodeFilter()
    kept = "".join(code.feed(plain[at : at + size]) for at in range(0, len(plain), size))
    assert [char for char in kept if char.isalpha()] == [char for char in plain if char.isalpha()]
