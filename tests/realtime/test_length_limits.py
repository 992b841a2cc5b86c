"""The longest response, in the session object: the server's limit on spoken ones holds until the client says something of its own."""

from typing import Any

import pytest

from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.session_object import Served, SessionObject

SERVED = Served(model="small", transcription_model="moonshine", voice="af_heart", voices=("af_heart",), spoken_tokens=300)


def updated(*updates: dict[str, Any]) -> SessionObject:
    session = SessionObject("sess_1", SERVED, 0)
    for update in updates:
        session.update(SessionUpdateBody.model_validate({"type": "realtime", **update}))
    return session


@pytest.mark.parametrize(
    ("updates", "limits"),
    [
        ([], (None, 300)),
        ([{"instructions": "Be kind."}], (None, 300)),
        ([{"max_output_tokens": "inf"}], (None, None)),
        ([{"max_output_tokens": 1000}], (1000, None)),
        ([{"max_output_tokens": 1000}, {"max_output_tokens": "inf"}], (None, None)),
        ([{"max_output_tokens": 1000}, {"max_output_tokens": None}], (None, 300)),
    ],
)
def test_the_servers_limit_holds_until_the_client_sets_one(updates: list[dict[str, Any]], limits: tuple[int | None, int | None]) -> None:
    config = updated(*updates).config()
    assert (config.max_tokens, config.spoken_tokens) == limits


def test_what_the_client_set_is_kept_where_its_session_is_taken_up() -> None:
    again = SessionObject("sess_1", SERVED, 0)
    again.restore(updated({"max_output_tokens": "inf"}).kept())
    assert again.config().spoken_tokens is None
    older = {name: value for name, value in updated().kept().items() if name != "limit_set"}
    again.restore(older)
    assert again.config().spoken_tokens == 300
