import stat
from pathlib import Path

import pytest

from cluster.node_state import Running, check_token, fresh, make_token, read_note
from serve_app.errors import SettingsError


def test_the_token_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    state = fresh(tmp_path / "state")
    assert make_token(state)
    token = state.token.read_text()
    assert not make_token(state)
    assert state.token.read_text() == token and len(token) == 64
    assert stat.S_IMODE(state.token.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700
    check_token(state, "10.0.0.1:6379")


def test_a_node_without_the_token_is_told_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"scp 10\.0\.0\.1:.*token"):
        check_token(fresh(tmp_path), "10.0.0.1:6379")


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    state = fresh(tmp_path)
    make_token(state)
    state.token.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        check_token(state, "10.0.0.1:6379")


def test_a_node_that_runs_has_a_note_and_a_folder_for_haproxy_which_go_with_it(tmp_path: Path) -> None:
    state = fresh(tmp_path)
    running = Running(1234, "10.0.0.1:6379", "10.0.0.2", False, state.mark)
    state.open(running)
    assert read_note(tmp_path) == running
    assert stat.S_IMODE(state.haproxy.stat().st_mode) == 0o700
    state.close()
    assert read_note(tmp_path) is None
    assert not state.haproxy.exists()


def test_a_note_that_is_none_is_no_node(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text("{")
    assert read_note(tmp_path) is None
