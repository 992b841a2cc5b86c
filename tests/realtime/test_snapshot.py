"""A session's items as another connection finds them."""

from serve_app.core.items import FunctionCall, FunctionCallOutput, Kind, Message, Part, Role
from serve_app.realtime.session_object import SessionObject
from serve_app.realtime.snapshot import packed, unpacked
from tests.realtime.world import SERVED


def test_a_result_whose_call_has_no_room_is_left_out_with_it() -> None:
    """The session that is taken up would refuse it."""
    session = SessionObject("sess_1", SERVED, 0)
    call = FunctionCall("call", "look_up", "call_1", "x" * 5000)
    newest_first = [FunctionCallOutput("out", "call_1", "fog"), Message("said", Role.USER, [Part(Kind.INPUT_TEXT, "Look.")]), call]
    kept = [item["id"] for item in unpacked(packed(session, newest_first)).items]
    short = [item["id"] for item in unpacked(packed(session, newest_first, 3000)).items]
    assert (kept, short) == (["call", "said", "out"], ["said"])


def test_a_result_that_stands_before_its_call_is_made_again_after_it() -> None:
    session = SessionObject("sess_1", SERVED, 0)
    call, out = FunctionCall("call", "look_up", "call_1", "{}"), FunctionCallOutput("out", "call_1", "fog")
    assert [item["id"] for item in unpacked(packed(session, [call, out])).items] == ["call", "out"]
