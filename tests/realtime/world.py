"""A conversation between engines and a client that a test plays, through the pure core and the wire; every message of the server is held
against the protocol's types and invariants as it comes."""

import json
from itertools import count

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.conversation import Conversation
from serve_app.realtime.session_object import Served, SessionObject
from serve_app.realtime.wire import AudioAppended, Commit, ItemBrought, Wire
from tests.conformance.invariants import Invariants

SERVED = Served("small", "ear", "af_heart", ("af_heart", "am_michael", "af_bella"))
SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)


class World:
    def __init__(self, barge_in_s: float, echo: bool = False) -> None:
        numbers = count(1)
        self.now, self.audio_s = 0.0, 0.0
        self.seen = Invariants()
        self.session = SessionObject("sess_1", SERVED, 0)
        new_id = lambda kind: f"{kind}_{next(numbers)}"  # noqa: E731
        self.wire = Wire(self.session, new_id, timings=True)
        self.conversation = Conversation(self.session.config(), new_id, barge_in_s=barge_in_s, echo=echo)
        self.replies: list[str] = []
        self.clauses: list[tuple[str, int]] = []
        self.utterances: list[str] = []
        self.finished: set[str] = set()
        self.guesses: list[tuple[str, float]] = []
        self.held: set[str] = set()
        self.discarded: set[str] = set()
        self.drafted = 0
        self.flows = True
        self.doubtful: str | None = None
        self.messages: list[dict] = []
        self.formats: dict[str, str] = {}
        """Of the sound of each response."""

    def client(self, **event: object) -> None:
        received = self.wire.receive(json.dumps(event))
        for one in received.events:
            match one:
                case AudioAppended():
                    pass
                case Commit(event_id):
                    self.happens(ev.CommitAsked(1.0, event_id))
                case ItemBrought(created):
                    self.happens(created)
                case _:
                    self.happens(one)
        for reply in received.replies:
            self.sees(reply)

    def happens(self, event: ev.Event) -> None:
        for command in self.conversation.handle(event, self.now):
            match command:
                case cmd.Tell(what):
                    for message in self.wire.render(what):
                        self.sees(message)
                case cmd.StartReply(response_id, _, held):
                    assert not (held and self.held), "two drafts at once"
                    self.replies.append(response_id)
                    self.held |= {response_id} if held else set()
                    self.drafted += held
                case cmd.ReleaseReply(response_id):
                    self.held.remove(response_id)
                case cmd.StopReply(response_id) if response_id in self.held:
                    self.held.remove(response_id)
                    self.discarded.add(response_id)
                case cmd.GuessTranscript(item_id, at_s):
                    self.guesses.append((item_id, at_s))
                case cmd.Speak():
                    self.clauses.append((command.response_id, command.clause))
                    form = self.formats.setdefault(command.response_id, command.audio_format)
                    assert command.audio_format == form, "spoken in another format than the client was told"
                case cmd.BeginUtterance(item_id) | cmd.TranscribeItem(item_id):
                    self.utterances.append(item_id)
                case cmd.DropUtterance(item_id):
                    assert isinstance(event, ev.ClearAsked) or item_id == self.doubtful, "what was said is lost"
                case cmd.HoldAudio():
                    assert self.flows, "held twice"
                    self.flows, self.doubtful = False, self.utterances[-1]
                case cmd.ResumeAudio():
                    assert not self.flows, "resumed without being held"
                    self.flows, self.doubtful = True, None

    def sees(self, message: dict) -> None:
        self.seen.see(message)
        SERVER_EVENT.validate_python(json.loads(json.dumps(message)), strict=True)
        self.messages.append(message)
        if message["type"] in ("response.created", "response.done"):
            response = message["response"]
            form = response["audio"]["output"]["format"]["type"]
            assert self.formats.setdefault(response["id"], form) == form, "the format of a response has changed"

    def is_live(self, response_id: str) -> bool:
        return not any(one["type"] == "response.done" and one["response"]["id"] == response_id for one in self.messages)
