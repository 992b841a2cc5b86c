"""Utterances go to the recogniser for their language."""

import numpy as np
import pytest

from deployments.engines.fake import FakeRecogniser
from deployments.engines.routed import RoutedRecogniser
from deployments.stt import recogniser
from serve_app.engine_settings import SpeechToTextSettings
from serve_app.engines import HEARING_RATE, Audio, Begin, Due, End, Final, Hints, Hypothesis, Partial
from serve_app.errors import EngineFailed, SettingsError
from serve_app.listening import Limits, Listening


class Knows(FakeRecogniser):
    """Hears one language in everything."""

    def __init__(self, language, *texts, step_s=0.5):
        super().__init__(texts, step_s)
        self.language = language
        self.samples = []

    def step(self, due):
        self.samples += [len(one.pcm) for one in due]
        answers = super().step(due)
        return [Hypothesis(one.text, one.stable_chars, (), self.language) if isinstance(one, Hypothesis) else one for one in answers]


def seconds(count):
    return np.ones(int(count * HEARING_RATE), np.int16)


def heard(routed, hints=Hints(), audio_s=1.0):  # noqa: B008
    (answer,) = routed.step([Due(routed.begin(hints), seconds(audio_s), True)])
    return answer


@pytest.mark.parametrize("tag", ["kn", "kn-IN", "KN"])
def test_a_configured_language_goes_to_its_engine_and_to_no_other(tag):
    default, kannada = Knows("en", "hello"), Knows("kn", "ನಮಸ್ಕಾರ")
    assert heard(RoutedRecogniser(default, {"kn": kannada}), Hints(language=tag)).text == "ನಮಸ್ಕಾರ"
    assert default.batches == []


def test_the_only_language_that_it_may_be_is_as_good_as_configured():
    routed = RoutedRecogniser(Knows("en"), {"kn": Knows("kn", "ನಮಸ್ಕಾರ")})
    assert heard(routed, Hints(languages=("kn",))).text == "ನಮಸ್ಕಾರ"


def test_a_language_that_is_found_is_heard_again_by_its_engine_with_all_of_the_audio():
    kannada = Knows("kn", "ನಮಸ್ಕಾರ")
    routed = RoutedRecogniser(Knows("kn", "namaskara", step_s=0.5), {"kn": kannada})
    stream = routed.begin(Hints(prompt="Greetings."))
    for _ in range(3):
        routed.step([Due(stream, seconds(0.5), False)])
    assert kannada.batches == []
    (answer,) = routed.step([Due(stream, seconds(0.25), True)])
    assert (answer.text, answer.language) == ("ನಮಸ್ಕಾರ", "kn")
    assert kannada.samples == [len(seconds(1.75))]
    assert kannada.hints == [Hints(language="kn", prompt="Greetings.")]


def test_a_configured_language_stays_whatever_is_found():
    kannada = Knows("kn", "ನಮಸ್ಕಾರ")
    assert heard(RoutedRecogniser(Knows("kn", "namaskara"), {"kn": kannada}), Hints(language="en")).text == "namaskara"
    assert kannada.batches == []


def test_a_language_that_it_cannot_be_is_not_followed():
    routed = RoutedRecogniser(Knows("kn", "namaskara"), {"kn": Knows("kn", "ನಮಸ್ಕಾರ")})
    assert heard(routed, Hints(languages=("en", "de"))).text == "namaskara"


@pytest.mark.parametrize("language", ["en", None])
def test_a_language_without_a_route_stays_with_the_default(language):
    assert heard(RoutedRecogniser(Knows(language, "hello"), {"kn": Knows("kn")})).text == "hello"


def test_partials_promise_nothing_while_the_language_may_still_be_another():
    routed = RoutedRecogniser(Knows("en", "one two three"), {"kn": Knows("kn", "ಒಂದು ಎರಡು")})
    unknown, told = routed.begin(Hints()), routed.begin(Hints(language="kn"))
    first, second = routed.step([Due(unknown, seconds(0.5), False), Due(told, seconds(0.5), False)])
    assert (first.text, first.stable_chars) == ("one", 0)
    assert (second.text, second.stable_chars) == ("ಒಂದು", len("ಒಂದು"))


def test_each_engine_is_stepped_when_it_has_enough_new_audio():
    quick, slow = Knows("en", "one two three", step_s=0.5), Knows("kn", step_s=1.0)
    routed = RoutedRecogniser(quick, {"kn": slow, "ta": Knows("ta", step_s=0.0)})
    assert routed.step_samples == quick.step_samples
    streams = [routed.begin(Hints(language=tag)) for tag in ("en", "kn", "ta")]
    for _ in range(2):
        routed.step([Due(stream, seconds(0.5), False) for stream in streams])
    assert (quick.samples, slow.samples) == ([8000, 8000], [16000])
    routed.step([Due(stream, seconds(0), True) for stream in streams])
    assert routed._routes["ta"].samples == [16000]


def test_all_that_is_due_of_one_engine_takes_one_step():
    default, kannada = Knows("en"), Knows("kn")
    routed = RoutedRecogniser(default, {"kn": kannada, "tcy": kannada})
    tags = ("en", "kn", "tcy", "en", "kn")
    answers = routed.step([Due(routed.begin(Hints(language=tag)), seconds(number + 1), True) for number, tag in enumerate(tags)])
    assert (default.batches, kannada.batches) == ([2], [3])
    assert [answer.text for answer in answers] == [f"heard {number + 1}.00 seconds" for number in range(5)]


def test_an_engine_that_fails_fails_its_own_utterances_alone():
    class Broken(Knows):
        def step(self, due):
            raise EngineFailed("out of memory")

    routed = RoutedRecogniser(Knows("en", "hello"), {"kn": Broken("kn")})
    good, bad = routed.step([Due(routed.begin(Hints(language=tag)), seconds(1), True) for tag in ("en", "kn")])
    assert good.text == "hello"
    assert isinstance(bad, EngineFailed)


def test_an_utterance_that_the_second_engine_cannot_begin_fails_alone():
    class Closed(Knows):
        def begin(self, hints):
            raise EngineFailed("no more streams")

    routed = RoutedRecogniser(Knows("kn", "namaskara"), {"kn": Closed("kn")})
    assert isinstance(heard(routed), EngineFailed)


def test_a_fork_leaves_the_stream_as_it_is():
    kannada = Knows("kn", "one guess", "ನಮಸ್ಕಾರ")
    routed = RoutedRecogniser(Knows("kn", "namaskara"), {"kn": kannada})
    stream = routed.begin(Hints())
    routed.step([Due(stream, seconds(0.5), False)])
    assert routed.step([Due(routed.fork(stream), seconds(0.5), True)])[0].text == "one guess"
    assert routed.step([Due(stream, seconds(1), True)])[0].text == "ನಮಸ್ಕಾರ"
    assert kannada.samples == [16000, 24000]


async def test_an_engine_that_cannot_be_loaded_is_named():
    class Missing(Knows):
        async def warm(self):
            raise EngineFailed("there are no weights")

    with pytest.raises(EngineFailed, match=r"the engine for kn, tcy: there are no weights"):
        missing = Missing("kn")
        await RoutedRecogniser(Knows("en"), {"kn": missing, "tcy": missing}).warm()


async def test_a_session_hears_partials_of_the_first_and_the_final_of_the_second():
    listening = Listening(RoutedRecogniser(Knows("kn", "na mas kara"), {"kn": Knows("kn", "ನಮಸ್ಕಾರ")}), Limits(gather_s=0))
    ear = await listening.open("s")
    ear.send(Begin("u"))
    ear.send(Audio("u", seconds(0.5)))
    results = ear.results()
    assert await anext(results) == Partial("u", "na", 0)
    ear.send(End("u"))
    assert await anext(results) == Final("u", "ನಮಸ್ಕಾರ", 0.5, (), "kn")
    await listening.close()


# --- settings ---------------------------------------------------------------------------------------------------------------------------


def settings(**given):
    return SpeechToTextSettings(engine="fake", num_cpus=1, **given)


def test_a_route_is_a_name_or_an_engine_with_options():
    chosen = settings(routes={"kn": "fake", "ta": {"engine": "fake", "options": {"step_s": "0.25"}}})
    made = recogniser(chosen)
    assert isinstance(made, RoutedRecogniser)
    assert made.step_samples == 4000


def test_without_routes_the_engine_stands_alone():
    assert isinstance(recogniser(settings()), FakeRecogniser)


def test_a_route_to_an_engine_that_does_not_exist_is_refused():
    with pytest.raises(SettingsError, match="no recogniser engine 'nonsense'"):
        recogniser(settings(routes={"kn": "nonsense"}))


def test_an_unknown_key_of_a_route_is_refused_by_its_name():
    from serve_app.settings import Settings

    with pytest.raises(SettingsError, match=r"stt\.routes\.kn\.threads is no setting"):
        Settings.of({"profile": "fake", "stt.routes": {"kn": {"engine": "fake", "threads": 2}}})


def test_a_route_is_given_by_its_dotted_name():
    from serve_app.settings import Settings

    assert Settings.of({"profile": "fake", "stt.routes.kn": "moonshine"}).stt.routes["kn"].engine == "moonshine"
