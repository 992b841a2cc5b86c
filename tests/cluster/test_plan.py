"""The memory budget: which plans fit, how those that do not are refused, and what Ray and vLLM are told."""

from itertools import product

import pytest

from cluster import footprints
from cluster.apply import planned
from cluster.footprints import GB, MIB, language_weights, parameters
from cluster.plan import NodePlan, Plan, plan
from cluster.topology import SPARK_BYTES, TOPOLOGIES
from serve_app.errors import SettingsError
from serve_app.profiles import TopologyName
from serve_app.settings import Settings

LAPTOP_BYTES = 16 * GB
SPARKS = [name for name in TopologyName if name is not TopologyName.LAPTOP]
MODELS = list(footprints.LANGUAGE_MODELS)
NANO_30B = "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4"
LLAMA_70B = "nvidia/Llama-3.3-70B-Instruct-NVFP4"
EVERYTHING = {"gateway", "stt", "llm", "tts", "session"}
SUPER_120B = "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4"


def settings_of(topology: str, **more: object) -> Settings:
    dotted = {name.replace("__", "."): value for name, value in more.items()}
    return Settings.of({"topology": topology, "profile": "cpu" if topology == "laptop" else "spark"} | dotted)


def plan_of(topology: str, **more: object) -> Plan:
    return plan(settings_of(topology, **more), LAPTOP_BYTES)


def sections(node: NodePlan) -> set[str]:
    return {one.demand.section for one in node.placed}


@pytest.mark.parametrize("name", list(TopologyName))
def test_every_shipped_topology_fits(name: TopologyName) -> None:
    made = plan_of(name)
    assert made.refusals == ()
    assert {node.usable for node in made.nodes} == {LAPTOP_BYTES if name is TopologyName.LAPTOP else SPARK_BYTES}
    assert all(node.free >= 0 for node in made.nodes)


def test_the_voice_stack_is_the_one_of_the_research() -> None:
    stt, tts = footprints.SPEECH_TO_TEXT["nemo-rnnt", ""], footprints.TEXT_TO_SPEECH["kokoro-torch", ""]
    on_gpu = stt.weights + (tts.weights + tts.working - footprints.CUDA) + language_weights("ig1/Qwen3.5-9B-NVFP4").weights
    assert on_gpu == pytest.approx(10.54 * GB, rel=0.001)


@pytest.mark.parametrize("model", [NANO_30B, LLAMA_70B, SUPER_120B])
def test_models_of_30_70_and_120_billion_fit_one_spark_beside_speech(model: str) -> None:
    (node,) = plan_of("one_spark", llm__model=model).nodes
    assert sections(node) == EVERYTHING
    assert node.free > 0


def test_a_model_too_large_is_refused_with_the_arithmetic() -> None:
    made = plan_of("one_spark", llm__model="x/Llama-3.1-405B-NVFP4")
    (refusal,) = made.refusals
    assert refusal.demand.section == "llm"
    # 405 x 0.6 + 2.5 = 245.5; one context of 32768 tokens at 320 KiB = 10.7; 121 - 12 - 4.8 - 2.0 - 0.8 - 0.2 = 101.2
    assert "weights 245.5 + working 4.0 + host 2.6 + cache 10.7 = 262.8 GB" in refusal.why
    assert "121.0 - system 12.0 - speech-to-text 4.8 - text-to-speech 2.0 - gateway 0.8 - copies of sessions 0.2 = 101.2 GB" in refusal.why
    assert refusal.why.endswith("161.6 GB are missing")


def test_tensor_parallelism_halves_what_each_node_holds() -> None:
    (one,) = (one for one in plan_of("one_spark", llm__model=SUPER_120B).nodes[0].placed if one.demand.section == "llm")
    halves = [one for node in plan_of("two_sparks_tp").nodes for one in node.placed if one.demand.section == "llm"]
    assert len(halves) == 2
    assert {half.demand.footprint.weights for half in halves} == {one.demand.footprint.weights // 2}


def test_a_part_that_finds_no_node_of_its_own_is_refused() -> None:
    made = plan_of("one_spark", llm__bundles=[{"CPU": 1}, {"CPU": 1}])
    assert [refusal.why for refusal in made.refusals] == ["language model has 2 parts, each on a node of its own; the topology has 1"]


def test_more_replicas_than_nodes_may_hold_are_refused() -> None:
    (refusal,) = plan_of("two_sparks", tts__replicas=3).refusals
    assert refusal.why == "text-to-speech: 3 replicas, at most 1 on a node; the topology has 2"


def test_replicas_that_serve_may_add_are_counted() -> None:
    assert sum(one.demand.section == "tts" for one in plan_of("one_spark", tts__max_replicas=4).nodes[0].placed) == 4


def test_copies_of_sessions_have_their_memory_on_as_many_nodes_as_there_are_copies() -> None:
    made = plan_of("two_sparks")
    assert made.of("session").bytes == 64 * MIB + footprints.FAKE.host
    assert [sum(one.demand.section == "session" for one in node.placed) for node in made.nodes] == [1, 1]
    assert sum("session" in sections(node) for node in plan_of("two_sparks_split").nodes) == 1


def test_sessions_that_end_with_their_connection_are_copied_nowhere() -> None:
    assert "session" not in sections(plan_of("one_spark", session__resume_s=0).nodes[0])


def test_on_two_sparks_each_has_everything() -> None:
    assert [sections(node) for node in plan_of("two_sparks").nodes] == [EVERYTHING] * 2


def test_split_keeps_speech_off_the_language_models_node() -> None:
    speech, language = plan_of("two_sparks_split").nodes
    assert (sections(speech), sections(language)) == (EVERYTHING - {"llm"}, {"llm"})


def test_over_two_speech_is_beside_one_half() -> None:
    first, second = plan_of("two_sparks_tp").nodes
    assert (sections(first), sections(second)) == (EVERYTHING - {"session"}, {"llm", "session"})


@pytest.mark.parametrize(("topology", "model"), list(product(SPARKS, MODELS)))
def test_fractions_of_a_gpu_never_add_up_to_more_than_one_where_it_fits(topology: str, model: str) -> None:
    made = plan_of(topology, llm__model=model)
    assert made.fits
    for node in made.nodes:
        assert sum(one.fraction for one in node.placed) <= 1
        assert all((one.fraction > 0) == one.demand.gpu for one in node.placed)


def test_a_cache_takes_at_most_half_of_what_is_left() -> None:
    (node,) = plan_of("one_spark", llm__model=LLAMA_70B).nodes
    (placed,) = (one for one in node.placed if one.demand.cache)
    assert placed.demand.cache is not None
    beyond_least = placed.cache - placed.demand.cache.least
    assert 0 < beyond_least <= node.free < placed.demand.cache.wanted


def test_a_cache_that_the_user_sets_is_what_it_gets() -> None:
    made = plan_of("one_spark", **{"llm.options.kv_cache_bytes": 3 * GB})
    assert made.of("llm").cache == 3 * GB


def test_memory_that_the_user_sets_takes_the_place_of_the_table() -> None:
    made = plan_of("one_spark", tts__memory_bytes=7 * GB)
    assert made.of("tts").bytes == 7 * GB


def test_the_plan_reaches_ray_and_vllm() -> None:
    settings = settings_of("one_spark")
    made = plan(settings, LAPTOP_BYTES)
    llm, placed = planned(settings, made).llm, made.of("llm")
    assert (llm.num_gpus, llm.memory_bytes, llm.options["kv_cache_bytes"]) == (placed.fraction, placed.bytes, placed.cache)
    assert 0 < llm.options["engine_args"]["gpu_memory_utilization"] < 0.3
    assert llm.options["engine_args"]["language_model_only"]


def test_what_the_user_sets_wins_over_the_plan() -> None:
    settings = settings_of("one_spark", llm__num_gpus=0.9, **{"llm.options.engine_args.gpu_memory_utilization": 0.5})
    llm = planned(settings, plan(settings, LAPTOP_BYTES)).llm
    assert (llm.num_gpus, llm.options["engine_args"]["gpu_memory_utilization"]) == (0.9, 0.5)


def test_fractions_of_the_user_that_no_gpu_has_are_refused() -> None:
    (refusal,) = plan_of("one_spark", llm__num_gpus=0.99).refusals
    assert refusal.why.startswith("spark-1 has one GPU, but its parts reserve llm 0.99 + stt 0.0445 + tts")


def test_each_part_of_a_model_over_two_nodes_reserves_its_own_share() -> None:
    settings = settings_of("two_sparks_tp")
    made = plan(settings, LAPTOP_BYTES)
    llm, share = planned(settings, made).llm, made.of("llm").fraction
    assert [bundle["GPU"] for bundle in llm.bundles] == [share, share]
    assert llm.options["environment"]["VLLM_RAY_PER_WORKER_GPUS"] == str(share)
    assert llm.options["engine_args"]["tensor_parallel_size"] == 2
    assert llm.num_gpus == 0 and llm.on_gpu


def test_what_does_not_fit_a_spark_is_not_started_and_on_a_laptop_it_is_the_owners_choice() -> None:
    large = {"llm__model": "x/Llama-3.1-405B-NVFP4"}
    with pytest.raises(SettingsError, match=r"language model .* 161\.6 GB are missing"):
        planned(settings_of("one_spark", **large), plan_of("one_spark", **large))
    assert planned(settings_of("laptop", **large), plan_of("laptop", **large)).llm.num_gpus == 0


@pytest.mark.parametrize("name", SPARKS)
def test_fakes_reserve_nothing(name: TopologyName) -> None:
    settings = Settings.of({"topology": name, "profile": "fake"})
    filled = planned(settings, plan(settings, LAPTOP_BYTES))
    assert not any(placement.on_gpu for placement in (filled.stt, filled.llm, filled.tts))
    assert filled.llm.options == {}


@pytest.mark.parametrize(
    ("model", "billions"),
    [(LLAMA_70B, 70), (NANO_30B, 30), (SUPER_120B, 120), ("Qwen/Qwen2.5-1.5B-Instruct", 1.5), ("me/my-model", None), ("qwen3:8b", 8)],
)
def test_parameters_are_read_from_names(model: str, billions: float | None) -> None:
    assert parameters(model) == billions


@pytest.mark.parametrize("model", [name for name in MODELS if "NVFP4" in name])
def test_the_rule_for_unknown_models_gives_no_less_than_the_known_ones_have(model: str) -> None:
    unknown = language_weights("elsewhere/" + model)
    assert unknown.source.startswith("rule")
    assert unknown.weights > 0.97 * language_weights(model).weights
    assert unknown.token >= language_weights(model).token


def test_every_topology_has_a_head_and_as_many_nodes_as_it_says() -> None:
    assert {name: len(topology.nodes) for name, topology in TOPOLOGIES.items()} == {
        "laptop": 1,
        "one_spark": 1,
        "two_sparks": 2,
        "two_sparks_split": 2,
        "two_sparks_tp": 2,
    }
