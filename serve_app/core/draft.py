"""A response that is made before it is wanted, while the turn may not be over: its work goes on, what it would tell is held back.

Released, it becomes the default response, as if it had been made then. Thrown away, it never was: no event, no item, no usage.
"""

from dataclasses import dataclass, field, replace

from serve_app.core.commands import Command, ReleaseReply, Tell
from serve_app.core.items import History
from serve_app.core.marks import Marks
from serve_app.core.notifications import ItemAdded, ItemDone, Notification
from serve_app.core.response import Response


@dataclass(slots=True)
class Draft:
    response: Response
    item_id: str
    """The utterance that it answers."""
    text: str
    """What the utterance was guessed to say."""
    held: list[Notification] = field(default_factory=list)
    pieces: int = 0
    """Of the reply so far: about its tokens; once it is written, their number."""

    def hold(self, commands: list[Command]) -> list[Command]:
        """What may be done at once."""
        self.held += [command.what for command in commands if isinstance(command, Tell)]
        return [command for command in commands if not isinstance(command, Tell)]

    def release(self, history: History, marks: Marks) -> list[Command]:
        """Its items join the history, after everything that is there."""
        last = history.last_id
        self.response.adopt(history, marks)
        return [ReleaseReply(self.response.id), *(Tell(_after(last, what)) for what in self.held)]


def _after(last: str | None, what: Notification) -> Notification:
    """Its first item had nothing before it until now."""
    return replace(what, previous=last) if isinstance(what, ItemAdded | ItemDone) and what.previous is None else what


def same_words(one: str, other: str) -> bool:
    """But for case, punctuation and blanks."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return ["".join(letter for letter in word if letter.isalnum()) for word in text.casefold().split()]
