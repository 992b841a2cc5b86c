"""A reply that goes round in circles ends; what people say again on purpose does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.engines.loops import LoopFilter, sentence_end
from deployments.engines.reply_reader import ReplyReader
from serve_app.engines import ChatMessage, Constraints, Prompt, TextDelta
from tests.engines.test_tool_calls import cut


def heard(text, user="", size=4):
    """What is said of it when it comes in pieces of that size, and whether it was a loop."""
    loops = LoopFilter(user)
    said = "".join(loops.feed(text[at : at + size]) for at in range(0, len(text), size))
    return said + loops.end(), loops.looped


SAILOR = "He was a sailor who had to choose between the sea and his love. "
LOOPS = {
    "one sentence": "The sailor was old. " + SAILOR * 40,
    "two sentences": "The sailor was old. " + (SAILOR + "But he never gave up. ") * 40,
    "a paragraph": "The sailor was old.\n\n" + (SAILOR + "He had a ship. It was made of oak, and it leaked. Nobody sailed on it.\n\n") * 20,
    "a clause that never ends": "He was happy" + ", and she had been helping her" * 60,
    "three words": "I can help with dog food" + ", dog rescue" * 60,
    "one word": "Lion, tiger, " + "bear, " * 100,
    "a list with numbers": "".join(f"{number}. The sea is wide and very blue.\n" for number in range(1, 60)),
    "German": "Es war einmal ein König. " + "Der König hatte eine Tochter, die er sehr liebte. " * 30,
    "Spanish": "Había una vez un rey. " + "¡El rey tenía una hija que lo quería mucho! " * 30,
    "Russian": "Жил-был царь. " + "У царя была дочь, которую он очень любил. " * 30,
    "Hindi": "एक राजा था। " + "राजा की एक बेटी थी जिसे वह बहुत प्यार करता था। " * 30,
    "Chinese": "从前有一位国王。" + "国王有一个他非常疼爱的女儿。" * 30,
    "Japanese": "むかしむかし、王様がいました。" + "王様には、とても愛している娘がいました。" * 30,
    "Thai": "กาลครั้งหนึ่งนานมาแล้ว " + "พระราชามีพระธิดาที่พระองค์รักมาก " * 30,
    "Korean": "옛날에 왕이 있었습니다. " + "왕에게는 매우 사랑하는 딸이 있었습니다. " * 30,
    "a word that never ends": "Ha" * 900,
    "signs that never end": "No" + "!" * 2000,
    "signs": "Here you are: " + "🙂" * 200,
}


@pytest.mark.parametrize("text", LOOPS.values(), ids=LOOPS)
def test_a_loop_ends_and_little_of_it_is_heard(text):
    said, looped = heard(text)
    assert looped and text.startswith(said)
    assert len(said) < len(text) / 5


@pytest.mark.parametrize("name", ["one sentence", "two sentences", "a paragraph", "German", "Spanish", "Hindi", "Chinese", "Japanese"])
def test_it_ends_with_a_sentence(name):
    said, _ = heard(LOOPS[name])
    assert said.rstrip()[-1] in ".!?。।"


@pytest.mark.parametrize("name", LOOPS)
def test_it_is_found_however_the_text_is_cut(name):
    assert len({heard(LOOPS[name], size=size)[1] for size in (1, 2, 7, 64)}) == 1


ON_PURPOSE = {
    "counting": " ".join(f"{number}," for number in range(1, 101)),
    "counting in words": "one, two, three, four, five, six, seven, eight, nine, ten, " + " ".join(f"twenty {word}" for word in "abcdefghi"),
    "laughter": "Ha ha ha ha ha ha ha ha ha ha! That was a good one.",
    "very": "It is very, very, very, very, very good.",
    "a nursery rhyme": "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, life is but a dream. " * 2,
    "a canon, each line twice": "Are you sleeping, are you sleeping, Brother John, Brother John? Morning bells are ringing, "
    "morning bells are ringing. Ding, dang, dong. Ding, dang, dong.",
    "a refrain": "".join(
        f"The {one} came to the shore.\nOh, the wind and the rain, the wind and the rain.\nAnd the sea said: {two}.\n"
        "Oh, the wind and the rain, the wind and the rain.\n\n"
        for one, two in (("fox", "go"), ("hen", "stay"), ("cat", "sleep"), ("dog", "wake"), ("crow", "fly"))
    ),
    "bottles on a wall": "".join(
        f"{number} bottles of milk on the wall, {number} bottles of milk. Take one down and pass it around, {number - 1} bottles of "
        "milk on the wall. "
        for number in range(99, 80, -1)
    ),
    "a litany": " ".join(f"Saint {name}, pray for us." for name in "Peter Paul Andrew James John Thomas Simon Jude Luke".split()),
    "a wide table": "| a" + " " * 400 + "| b |\n",
    "a ruler": "Title\n" + "-" * 200 + "\nText\n" + "=" * 120,
    "a table": "\n".join(f"| {row} | 0 | 0 | 0 | 0 |" for row in range(20)),
    "a matrix": "0 0 0 0 0 0 0 0\n" * 8,
    "multiplication": " ".join(f"Seven times {number} is {7 * number}." for number in range(1, 21)),
    "a sentence three times": "I told you. I told you. I told you. And you did not listen.",
    "a tongue twister": "How much wood would a woodchuck chuck if a woodchuck could chuck wood? " * 2,
    "a speech": "".join(f"I have a dream that one day {what} will be free. " for what in ("all men", "the valleys", "the land")),
    "a box": "╭" + "─" * 60 + "╮\n" + "│" + " " * 60 + "│\n",
    "code": "for x in range(3):\n    print(x)\n" * 3,
}


@pytest.mark.parametrize("text", ON_PURPOSE.values(), ids=ON_PURPOSE)
def test_what_is_said_again_on_purpose_is_heard_in_full(text):
    for size in (1, 4, 50):
        assert heard(text, size=size) == (text, False)


def test_what_the_user_asked_to_be_repeated_is_repeated():
    lines = "I will not talk in class. " * 20
    assert heard(lines, "Write 'I will not talk in class' twenty times.") == (lines, False)
    assert heard(lines, "Tell me a story.")[1]
    assert heard("Ha " * 60, "Say ha sixty times.") == ("Ha " * 60, False)


@given(st.lists(st.text(), max_size=4).map("".join), st.lists(st.integers(1, 9)))
def test_text_that_is_no_loop_comes_through_unchanged(text, sizes):
    loops = LoopFilter()
    said = "".join(map(loops.feed, cut(text, sizes)))
    assert loops.looped or said + loops.end() == text


def test_text_is_not_held_back_before_it_repeats():
    loops, text = LoopFilter(), "It is a very fine day, and the sun is out. I think we should go for a walk."
    for char in text:
        assert loops.feed(char) == char


def test_a_sentence_ends_where_more_follows_and_not_at_an_abbreviation():
    assert sentence_end("Dr. Who came. Then") == len("Dr. Who came.")
    assert sentence_end("He came.") is None
    assert sentence_end("1. Bread") is None
    assert sentence_end("来了。然后") == 3
    assert sentence_end("One. Two. Three", 5) == 9


# --- in a reply ---------------------------------------------------------------------------------------------------------------------------


def read(reader, tokens):
    said, count = "", 0
    while not reader.over and count < len(tokens):
        said += "".join(piece.text for piece in reader.feed(tokens[count]) if isinstance(piece, TextDelta))
        count += 1
    return said + "".join(piece.text for piece in reader.end()), count


def asking(**prompt):
    return Prompt((ChatMessage("user", "Tell me a story."),), **prompt)


def in_tokens(text):
    return [word + " " for word in text.split()]


def test_a_reader_says_that_a_loop_is_over():
    reader = ReplyReader(asking())
    said, tokens = read(reader, in_tokens(LOOPS["one sentence"]))
    assert reader.over and reader.looped and reader.finish == "stop"
    assert said.count("He was a sailor") == 2 and tokens < 120


def test_a_reader_that_is_told_so_leaves_loops_alone():
    text = LOOPS["one sentence"]
    assert read(ReplyReader(asking(ends_loops=False)), in_tokens(text))[0].split() == text.split()


def test_json_is_left_alone():
    text = "[" + "0, " * 400 + "0]"
    reader = ReplyReader(asking(constraints=Constraints(schema={"type": "array"}), ends_after_tokens=5))
    assert read(reader, [text])[0] == text and not reader.over


def test_a_reply_ends_with_the_sentence_in_which_it_reaches_its_tokens():
    reader = ReplyReader(asking(ends_after_tokens=6))
    assert read(reader, in_tokens("One two three. Four five six seven. Eight nine. Ten."))[0] == "One two three. Four five six seven."
    assert (reader.over, reader.finish, reader.looped) == (True, "length", False)


def test_a_reply_whose_last_sentence_ends_in_time_is_whole():
    reader = ReplyReader(asking(ends_after_tokens=6))
    text = "One two three. Four five six seven."
    assert read(reader, in_tokens(text)[:-1] + ["seven."]) == (text, 7)
    assert (reader.over, reader.finish) == (False, "stop")
