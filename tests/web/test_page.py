"""The page in a real browser that hears a WAV file, against a server at `server_url`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from serve_app.access import new_key
from tests.fake_server import serving
from tests.web.browser import ALLOW_MICROPHONE, CHROMEDRIVER, CHROMIUM, REFUSE_MICROPHONE, Page, page_at

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and CHROMEDRIVER.exists()), reason="the browser tests need Debian's packages chromium and chromium-driver"
)

Microphone = Callable[..., Path]


def hears(wav: Path) -> tuple[str, str]:
    return ALLOW_MICROPHONE, f"--use-file-for-fake-audio-capture={wav}%noloop"


def shown_ms(ms: float) -> str:
    return f"{ms / 1000:.1f} s" if ms >= 10_000 else f"{int(ms + 0.5)} ms"


def received_ms(page: Page, item_id: str) -> float:
    deltas = [event for event in page.all_received("response.output_audio.delta") if event["item_id"] == item_id]
    return sum(len(event["delta"]) * 3 / 4 / 2 / 24 for event in deltas)


def test_a_spoken_question_is_written_down_answered_and_timed(server_url: str, microphone: Microphone, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile", *hears(microphone(1.0))) as page:
        page.press_talk()
        done = page.wait_for_answers(1)[0]["response"]
        transcript = page.all_received("conversation.item.input_audio_transcription.completed")[0]["transcript"]
        answer = done["output"][0]["content"][0]["transcript"]
        page.wait(lambda: page.texts(".assistant .heard") == [answer], "the end of the playback")

        figures = json.loads(done["metadata"]["sparkvox.timings"])
        steps = ("endpoint_ms", "transcript_ms", "first_token_ms", "first_audio_ms")
        assert page.texts(".user .words") == [transcript.strip()]
        assert page.texts(".assistant .total") == [shown_ms(figures["total_ms"])]
        assert page.texts(".assistant .entry .ms") == [shown_ms(figures[step]) for step in steps]
        page.wait(lambda: page.phase == "resting", "the rest after the answer")
        assert page.all_sent("conversation.item.truncate") == []
        assert page.complaints == []


# Where each step's bar begins and how long it is, in parts of the width that it has.
BARS = """
return [...document.querySelectorAll(".steps .track")].map((track) => {
  const [whole, bar] = [track, track.firstChild].map((one) => one.getBoundingClientRect());
  return [(bar.left - whole.left) / whole.width, bar.width / whole.width];
});
"""


def test_the_steps_of_a_turn_are_a_table_whose_bars_are_drawn_to_scale(server_url: str, microphone: Microphone, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile", *hears(microphone(1.0))) as page:
        page.press_talk()
        figures = json.loads(page.wait_for_answers(1)[0]["response"]["metadata"]["sparkvox.timings"])
        page.wait(lambda: page.texts(".assistant .steps summary") == ["Steps"], "the steps")
        assert page.texts(".steps th[scope=row]") == [""] * len(figures["stages"]), "they are shown when they are wanted"
        page.find(".steps summary").click()

        assert page.texts(".steps th[scope=row]")[0] == "endpoint wait" and len(figures["stages"]) >= 5
        assert page.texts(".steps .from") == [shown_ms(start) for _, start, _ in figures["stages"]]
        assert page.texts(".steps .took") == [shown_ms(end - start) for _, start, end in figures["stages"]]
        last = max(end for _, _, end in figures["stages"])
        drawn = [place for bar in page.driver.execute_script(BARS) for place in bar]
        assert drawn == pytest.approx([place / last for _, start, end in figures["stages"] for place in (start, end - start)], abs=0.02)
        assert ("Begun in the pause" in page.find(".steps caption").text) is figures["drafted"]
        assert page.complaints == []


def test_speaking_over_the_answer_stops_it_and_truncates_to_what_was_played(
    server_url: str, microphone: Microphone, tmp_path: Path
) -> None:
    with page_at(server_url, tmp_path / "profile", *hears(microphone(1.0, 4.0))) as page:
        page.press_talk()
        page.wait(lambda: page.all_received("conversation.item.truncated"), "the truncation")
        truncated = page.all_sent("conversation.item.truncate")[0]
        item_id = truncated["item_id"]
        first_sound = next(event for event in page.all_received("response.output_audio.delta") if event["item_id"] == item_id)
        interruption = page.all_received("input_audio_buffer.speech_started")[1]

        sounded_ms = (interruption["at_s"] - first_sound["at_s"]) * 1000
        assert 0.5 * sounded_ms < truncated["audio_end_ms"] <= sounded_ms + 100
        assert truncated["audio_end_ms"] < received_ms(page, item_id)
        page.wait(lambda: page.find(".assistant").get_dom_attribute("data-state") == "interrupted", "the mark of the interruption")
        assert page.texts(".assistant .unheard")[0] != ""
        assert "line-through" in page.find(".assistant .unheard").value_of_css_property("text-decoration")


def test_a_typed_question_is_answered_without_a_microphone(server_url: str, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile") as page:
        page.say("What is the capital of France?")
        page.wait_for_answers(1)
        assert page.texts(".user .words") == ["What is the capital of France?"]
        assert page.all_sent("input_audio_buffer.append") == []
        assert "endpoint wait" not in page.texts(".assistant .entry .name")


def test_escape_stops_the_answer(server_url: str, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile") as page:
        page.say("Tell me about Paris.")
        page.wait(lambda: page.phase == "speaking", "the answer's sound")
        page.press_escape()
        page.wait(lambda: page.all_received("conversation.item.truncated"), "the truncation")
        assert len(page.all_sent("response.cancel")) == 1
        assert page.phase == "resting"


def test_the_voice_is_chosen_before_the_first_answer_and_changed_by_a_new_session(server_url: str, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile") as page:
        page.choose("#voice", "George")
        page.say("Hello.")
        page.wait(lambda: page.phase == "speaking", "the answer's sound")
        page.choose("#voice", "Emma")
        page.wait(lambda: len(page.all_received("session.updated")) == 2, "the new session")
        voices = [event["session"]["audio"]["output"]["voice"] for event in page.all_sent("session.update")]
        assert voices == ["bm_george", "bf_emma"]


def test_a_refused_microphone_is_said_in_a_sentence(server_url: str, tmp_path: Path) -> None:
    with page_at(server_url, tmp_path / "profile", REFUSE_MICROPHONE) as page:
        page.press_talk()
        page.wait(lambda: "microphone was refused" in page.status, "the sentence")


def test_a_page_that_is_not_secure_says_why_there_is_no_microphone(tmp_path: Path) -> None:
    arguments = ALLOW_MICROPHONE, "--host-resolver-rules=MAP sparkvox.test 127.0.0.1"
    with serving(**{"gateway.hosts": "sparkvox.test"}) as url:
        with page_at(url.replace("127.0.0.1", "sparkvox.test"), tmp_path / "profile", *arguments) as page:
            page.press_talk()
            page.wait(lambda: "https" in page.status, "the sentence")
            page.say("Then I type.")
            page.wait_for_answers(1)
            assert page.all_sent("session.update")[0]["session"]["output_modalities"] == ["text"]


def test_a_server_that_is_gone_is_said_with_what_to_do(tmp_path: Path) -> None:
    with serving() as url:
        browser = page_at(url, tmp_path / "profile")
        page = browser.__enter__()
    try:
        page.say("Hello?")
        page.wait(lambda: "make serve" in page.status, "the sentence")
        assert page.phase == "idle"
    finally:
        browser.__exit__(None, None, None)


def test_a_server_that_asks_for_a_key_is_told_one_that_lasts_as_long_as_the_tab(tmp_path: Path) -> None:
    key = new_key()
    with serving(environment={"SPARKVOX_API_KEY": key}) as url, page_at(url, tmp_path / "profile") as page:
        page.say("Hello?")
        page.wait(lambda: "Access key" in page.status, "the sentence")
        page.find(".access summary").click()
        page.find("#key").send_keys(f"{key}\t")
        page.driver.refresh()
        page.say("Hello?")
        page.wait_for_answers(1)
        assert page.driver.execute_script("return Object.keys(localStorage).length + document.cookie.length") == 0


# A stop is answered, a play is not: a second player in the same worklet scope answers once the first has what was posted before.
PLAY_AND_STOP = """
const [stopAtSample, done] = arguments;
(async () => {
  const context = new OfflineAudioContext(1, 24000, 24000);
  await context.audioWorklet.addModule("player-worklet.js");
  const options = { numberOfInputs: 0, outputChannelCount: [1] };
  const [player, echo] = [new AudioWorkletNode(context, "player", options), new AudioWorkletNode(context, "player", options)];
  player.connect(context.destination);
  echo.connect(context.destination);
  const stop = (node) => new Promise((resolve) => {
    node.port.onmessage = ({ data }) => data.stopped && resolve(data.stopped);
    node.port.postMessage({ stop: true });
  });
  let stopped = null;
  context.suspend(0).then(async () => {
    player.port.postMessage({ play: { itemId: "a", samples: new Int16Array(6000).fill(8192) } });
    player.port.postMessage({ play: { itemId: "b", samples: new Int16Array(18000).fill(16384) } });
    await stop(echo);
    context.resume();
  });
  context.suspend(stopAtSample / 24000).then(async () => {
    stopped = await stop(player);
    context.resume();
  });
  const sound = (await context.startRendering()).getChannelData(0);
  done({ sound: Array.from(sound), stopped });
})();
"""


def test_the_player_is_silent_at_once_and_knows_to_the_sample_what_it_played(server_url: str, tmp_path: Path) -> None:
    stop_at = 128 * 100
    with page_at(server_url, tmp_path / "profile") as page:
        result = page.driver.execute_async_script(PLAY_AND_STOP, stop_at)
    sound = np.array(result["sound"])
    assert result["stopped"] == [{"itemId": "a", "played": 6000}, {"itemId": "b", "played": stop_at - 6000}]
    assert np.all(sound[stop_at - 128 : stop_at] == 0.5)
    assert np.all(sound[stop_at + 128 :] == 0)


RESAMPLE = """
const [from, samples, pieces, done] = arguments;
import("/resampler.js").then(({ Resampler }) => {
  const resampler = new Resampler(from, 24000);
  const output = [];
  for (let at = 0; at < samples.length; at += pieces) output.push(...resampler.push(Float32Array.from(samples.slice(at, at + pieces))));
  done(output);
});
"""


@pytest.mark.parametrize("rate", [48_000, 44_100, 16_000])
def test_a_microphone_of_another_rate_is_resampled_without_seams_or_aliases(server_url: str, tmp_path: Path, rate: int) -> None:
    t = np.arange(rate // 2) / rate
    tone = 0.5 * np.sin(2 * np.pi * 1000 * t)
    above = 0.5 * np.sin(2 * np.pi * 15_000 * t) if rate > 30_000 else 0 * t
    with page_at(server_url, tmp_path / "profile") as page:
        output = np.array(page.driver.execute_async_script(RESAMPLE, rate, (tone + above).tolist(), 128))
    middle = output[2000:-2000]
    at = np.arange(2000, 2000 + len(middle)) / 24_000
    wanted = 0.5 * np.sin(2 * np.pi * 1000 * at)
    assert np.max(np.abs(middle - wanted)) < 0.01
