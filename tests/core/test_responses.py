from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, Modality, ResponseRequest
from serve_app.core.items import FunctionCall, FunctionCallOutput, ItemReference, Kind, Message, Part, Role
from serve_app.core.memory import MOST
from tests.core.talk import Talk


def names(talk: Talk, since: int = 0) -> list[str]:
    return [type(command.what).__name__ for command in talk.commands[since:] if isinstance(command, cmd.Tell)]


def test_a_spoken_answer_tells_its_events_in_the_order_of_the_protocol() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    since = len(talk.commands)
    talk.agent_answers("Hello.")
    assert names(talk, since) == [
        "OutputItemAdded", "ItemAdded", "PartAdded", "TextGrew",
        "AudioDone", "TextDone", "PartDone", "ItemDone", "OutputItemDone", "ResponseDone",
    ]  # fmt: skip


def test_the_first_clause_is_spoken_before_the_model_has_finished() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.model_writes("Yes, ", "of course I can. ", "What")
    assert [one.text for one in talk.commanded(cmd.Speak)] == ["Yes, of course I can."]


def test_the_response_is_done_only_when_its_last_audio_is_out() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.model_writes("One sentence here. ", "And a second one that is longer.")
    talk.model_finishes()
    talk.speaks(0, 1.0)
    assert not talk.told(told.ResponseDone)
    talk.speaks(1, 1.0)
    assert talk.status() == ("completed", None)


def test_a_text_response_is_never_spoken() -> None:
    talk = Talk(Config(modality=Modality.TEXT))
    talk.user_says("Hello?")
    talk.model_writes("Hello there.")
    talk.model_finishes()
    assert not talk.commanded(cmd.Speak) and not talk.told(told.AudioDone)
    assert talk.told(told.TextDone)[0].text == "Hello there."
    assert talk.told(told.ResponseDone)[0].response.output[0].parts[0].kind is Kind.OUTPUT_TEXT


def test_a_second_response_is_refused_while_one_is_live() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.happens(ev.ResponseAsked(ResponseRequest(), "mine"))
    problem = talk.told(told.Problem)[0]
    assert (problem.code, problem.event_id) == ("conversation_already_has_active_response", "mine")
    assert len(talk.told(told.ResponseCreated)) == 1


def test_cancel_closes_everything_that_was_opened() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.model_writes("A long story, which ")
    since = len(talk.commands)
    talk.happens(ev.ResponseCancelled())
    assert names(talk, since) == ["AudioDone", "TextDone", "PartDone", "ItemDone", "OutputItemDone", "ResponseDone"]
    assert talk.status() == ("cancelled", "client_cancelled")
    assert talk.commands[since] == cmd.StopReply(talk.reply().response_id)


def test_cancelling_nothing_is_an_error() -> None:
    talk = Talk()
    talk.happens(ev.ResponseCancelled(None, "mine"))
    assert (talk.told(told.Problem)[0].code, talk.told(told.Problem)[0].event_id) == ("response_cancel_not_active", "mine")


def test_results_that_come_after_the_cancel_mean_nothing() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    response_id = talk.model_writes("Well, ")
    talk.happens(ev.ResponseCancelled())
    late = talk.happens(
        ev.ReplyText(response_id, "hm"), ev.ClauseAudio(response_id, 0, 1.0), ev.ClauseSpoken(response_id, 0),
        ev.ReplyFinished(response_id, "stop", 1, 1), ev.ReplyFailed(response_id, "late"),
    )  # fmt: skip
    assert late == []


def test_an_end_that_is_told_twice_closes_nothing_twice() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    response_id = talk.model_writes("Well, ")
    talk.happens(ev.ReplyToolCall(response_id, 0, "look_up", "{}"))
    talk.model_finishes()
    assert talk.happens(ev.ReplyFinished(response_id, "length", 1, 1)) == []


def test_one_response_may_be_without_the_sessions_limit() -> None:
    talk = Talk(Config(turn_taking=None, max_tokens=50))
    for request in (ResponseRequest(), ResponseRequest(max_tokens=7), ResponseRequest(unlimited=True)):
        talk.happens(ev.ResponseAsked(request))
        talk.model_finishes()
    assert [start.prompt.max_tokens for start in talk.commanded(cmd.StartReply)] == [50, 7, None]


def test_a_model_that_fails_fails_the_response_and_the_session_goes_on() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.happens(ev.ReplyFailed(talk.reply().response_id, "out of memory"))
    assert talk.status() == ("failed", "out of memory")
    talk.user_says("Again?")
    talk.agent_answers("Here I am.")
    assert talk.status() == ("completed", None)


def test_an_answer_cut_by_the_token_limit_is_incomplete_but_spoken() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.model_writes("Once upon a")
    talk.model_finishes("length")
    talk.speaks(0, 1.0)
    assert talk.status() == ("incomplete", "max_output_tokens")


def test_a_response_out_of_band_runs_beside_the_default_one_and_leaves_no_items() -> None:
    talk = Talk(Config(modality=Modality.TEXT))
    talk.user_says("Hello?")
    asked = (Message("x", Role.USER, [Part(Kind.INPUT_TEXT, "Classify this.")]),)
    talk.happens(ev.ResponseAsked(ResponseRequest(out_of_band=True, input=asked, metadata={"topic": "class"})))
    assert [message.content for message in talk.reply().prompt.messages] == ["Classify this."]
    items = len(talk.conversation.memory.history)
    talk.model_writes("A greeting.")
    talk.model_finishes()
    done = talk.told(told.ResponseDone)[-1].response
    assert (done.in_conversation, done.metadata, done.status) == (False, {"topic": "class"}, "completed")
    assert len(talk.conversation.memory.history) == items
    assert not [one for one in talk.told(told.ItemAdded) if one.item.id == done.output[0].id]


def test_a_tool_call_is_streamed_and_its_result_reaches_the_next_prompt() -> None:
    talk = Talk()
    talk.user_says("Weather in London?")
    response_id = talk.reply().response_id
    talk.happens(ev.ReplyToolCall(response_id, 0, "get_weather", '{"city":'), ev.ReplyToolCall(response_id, 0, "", '"London"}'))
    talk.model_finishes()
    call = talk.told(told.ArgumentsDone)[0].call
    assert (call.name, call.arguments) == ("get_weather", '{"city":"London"}')
    assert "".join(one.delta for one in talk.told(told.ArgumentsGrew)) == call.arguments
    assert talk.status() == ("completed", None)
    talk.happens(ev.ItemCreated(FunctionCallOutput("out", call.call_id, "foggy")), ev.ResponseAsked(ResponseRequest()))
    roles = [message.role for message in talk.reply().prompt.messages]
    assert roles == ["user", "assistant", "tool"]
    assert talk.reply().prompt.messages[1].tool_calls[0].call_id == call.call_id == talk.reply().prompt.messages[2].call_id


def test_usage_counts_the_models_tokens() -> None:
    talk = Talk()
    talk.user_says("Hello?")
    talk.agent_answers("Hi.")
    assert talk.told(told.ResponseDone)[0].response.usage == told.Usage(10, 5, 0)


def test_items_are_created_where_the_client_says_and_refused_twice() -> None:
    talk = Talk()
    for item_id, previous in (("b", None), ("a", "root"), ("c", "b")):
        talk.happens(ev.ItemCreated(Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, item_id)]), previous))
    assert [item.id for item in talk.conversation.memory.history] == ["a", "b", "c"]
    assert [(one.item.id, one.previous) for one in talk.told(told.ItemAdded)] == [("b", None), ("a", None), ("c", "b")]
    talk.happens(ev.ItemCreated(Message("a", Role.USER, []), None, "mine"))
    assert talk.told(told.Problem)[0].code == "item_create_duplicate_item_id"


def test_a_conversation_that_is_too_long_takes_no_more_items_until_others_are_deleted() -> None:
    talk, long = Talk(), "word " * (MOST // 10 - 100)
    for item_id in ("a", "b", "c"):
        talk.happens(ev.ItemCreated(Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, long)]), None, f"makes {item_id}"))
    (refused,) = talk.told(told.Problem)
    assert (refused.code, refused.param, refused.event_id) == ("conversation_too_long", "item", "makes c")
    talk.happens(ev.ItemDeleted("a"), ev.ItemCreated(FunctionCall("d", "look_up", "call", long)))
    assert [item.id for item in talk.conversation.memory.history] == ["b", "d"]


def test_an_item_that_was_deleted_while_the_response_waited_is_left_out_of_its_prompt() -> None:
    talk = Talk(Config(turn_taking=None))
    for item_id in ("kept", "gone"):
        talk.happens(ev.ItemCreated(Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, item_id)])))
    talk.happens(ev.BufferStarted(0.0), ev.CommitAsked(1.0))
    asked = (ItemReference("kept"), ItemReference("gone"))
    talk.happens(ev.ResponseAsked(ResponseRequest(out_of_band=True, input=asked)), ev.ItemDeleted("gone"))
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[0].item_id, "Hi.", 1.0))
    assert [message.content for message in talk.reply().prompt.messages] == ["kept"]


def test_a_spoken_response_has_the_servers_limit_where_its_client_sets_none() -> None:
    def asked(config: Config, request: ResponseRequest) -> tuple[int | None, int | None]:
        talk = Talk(config)
        talk.happens(ev.ResponseAsked(request, "mine"))
        prompt = talk.reply().prompt
        assert talk.told(told.ResponseCreated)[0].response.max_tokens == prompt.max_tokens
        return prompt.max_tokens, prompt.ends_after_tokens

    ours = Config(turn_taking=None, spoken_tokens=300)
    assert asked(ours, ResponseRequest()) == (300, 240)
    assert asked(ours, ResponseRequest(max_tokens=900)) == (900, None), "the client's limit is kept to the token"
    assert asked(ours, ResponseRequest(unlimited=True)) == (None, None)
    assert asked(ours, ResponseRequest(modality=Modality.TEXT)) == (None, None), "a text is read, not waited for"
    assert asked(Config(turn_taking=None, spoken_tokens=300, max_tokens=1000), ResponseRequest()) == (1000, None)
    assert asked(Config(turn_taking=None, spoken_tokens=300, modality=Modality.TEXT), ResponseRequest(modality=Modality.AUDIO)) == (
        300,
        240,
    )
    assert asked(Config(turn_taking=None), ResponseRequest()) == (None, None)
