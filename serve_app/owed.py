"""What speech-to-text still owes one session, and all that another replica must be told when the one that owed it is lost."""

from dataclasses import dataclass, field

from serve_app.core.retries import MOST
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Guess, HearingMessage

KEPT_S = 300.0
"""Audio of one utterance that is kept for another replica (32 kB a second); a longer one fails with its replica."""


@dataclass(slots=True)
class _Utterance:
    messages: list[HearingMessage] = field(default_factory=list)
    """In the order in which they were sent; of guesses the one that was not answered."""
    samples: int = 0
    losses: int = 0

    @property
    def whole(self) -> bool:
        return self.samples <= KEPT_S * HEARING_RATE

    def guessed(self) -> None:
        self.messages = [message for message in self.messages if not isinstance(message, Guess)]


class Owed:
    """The utterances that were begun, and neither answered nor dropped."""

    def __init__(self) -> None:
        self._utterances: dict[str, _Utterance] = {}

    def sent(self, message: HearingMessage) -> None:
        match message:
            case Begin(name):
                self._utterances[name] = _Utterance([message])
            case Drop(name):
                self.settled(name)
            case Audio() | Guess() | End():
                if (utterance := self._utterances.get(message.utterance)) is not None:
                    _keep(utterance, message)

    def guessed(self, name: str) -> None:
        """Its guess was answered."""
        if name in self._utterances:
            self._utterances[name].guessed()

    def settled(self, name: str) -> None:
        """It was answered, or is not wanted any more."""
        self._utterances.pop(name, None)

    def lost(self) -> list[str]:
        """The replica is gone. Returned are the utterances that are given up: not kept whole, or lost too often."""
        for utterance in self._utterances.values():
            utterance.losses += 1
        return self._given_up([name for name, one in self._utterances.items() if not one.whole or one.losses > MOST])

    def all_given_up(self) -> list[str]:
        """No replica was found in time."""
        return self._given_up(list(self._utterances))

    def messages(self) -> list[HearingMessage]:
        """All that another replica must be told."""
        return [message for utterance in self._utterances.values() for message in utterance.messages]

    def _given_up(self, names: list[str]) -> list[str]:
        for name in names:
            del self._utterances[name]
        return names


def _keep(utterance: _Utterance, message: Audio | Guess | End) -> None:
    match message:
        case Audio():
            utterance.samples += len(message.pcm)
            if not utterance.whole:
                utterance.messages.clear()
                return
        case Guess():
            utterance.guessed()
    utterance.messages.append(message)
