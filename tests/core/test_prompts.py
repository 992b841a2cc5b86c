"""What a language model reads of a conversation."""

from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, Kind, Message, Part, Role, Status
from serve_app.core.prompts import chat_messages


def said(role: Role, text: str) -> Message:
    kind = Kind.INPUT_TEXT if role is Role.USER else Kind.OUTPUT_TEXT
    return Message(f"item_{text}", role, [Part(kind, text)])


def call(name: str, status: Status = Status.COMPLETED) -> FunctionCall:
    return FunctionCall(f"item_{name}", name, f"call_{name}", "{}", status)


def result(name: str) -> FunctionCallOutput:
    return FunctionCallOutput(f"result_{name}", f"call_{name}", f"result of {name}")


def read(*items: Item) -> list[tuple[str, ...]]:
    """Each message: its role, its words, the calls in it."""
    return [(one.role, one.content, *(tool.name for tool in one.tool_calls)) for one in chat_messages("", items)]


def test_a_result_that_comes_after_the_answer_to_another_is_read_beside_its_call() -> None:
    asked, answered = said(Role.USER, "Both?"), said(Role.ASSISTANT, "The second one.")
    assert read(asked, call("first"), call("second"), result("second"), answered, result("first")) == [
        ("user", "Both?"),
        ("assistant", "", "first", "second"),
        ("tool", "result of second"),
        ("tool", "result of first"),
        ("assistant", "The second one."),
    ]


def test_calls_one_after_the_other_keep_their_results() -> None:
    assert read(call("first"), result("first"), call("second"), result("second")) == [
        ("assistant", "", "first"),
        ("tool", "result of first"),
        ("assistant", "", "second"),
        ("tool", "result of second"),
    ]


def test_a_result_without_its_call_is_left_out() -> None:
    assert read(said(Role.USER, "Hello."), result("deleted")) == [("user", "Hello.")]
    assert read(call("cut", Status.INCOMPLETE), result("cut"), said(Role.USER, "Hello.")) == [("user", "Hello.")]


def test_a_result_that_stands_before_its_call_is_read_after_it() -> None:
    assert read(result("first"), said(Role.USER, "Look."), call("first"), call("second")) == [
        ("user", "Look."),
        ("assistant", "", "first"),
        ("tool", "result of first"),
        ("assistant", "", "second"),
    ]


def test_a_conversation_without_words_makes_the_assistant_speak_first() -> None:
    silent = Message("item_1", Role.ASSISTANT, [Part(Kind.OUTPUT_AUDIO, "Hi")], heard="")
    for items in ([], [said(Role.USER, " ")], [silent], [result("deleted")]):
        (message,) = chat_messages("  ", items)
        assert message.role == "system" and "greet" in message.content


def test_thousands_of_neighbours_are_one_message() -> None:
    (message,) = chat_messages("", [said(Role.USER, str(number)) for number in range(5000)])
    assert message.content.split("\n") == [str(number) for number in range(5000)]
