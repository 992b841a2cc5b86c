"""The files of cluster/: what they set, with what the memory plan adds, fits and is known to us and to vLLM."""

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from cluster.apply import planned
from cluster.footprints import GB
from cluster.plan import plan
from serve_app.profiles import TopologyName
from serve_app.settings import Settings

FILES = sorted((Path(__file__).parent.parent / "cluster").glob("*.yaml"))


def settings_of(file: Path) -> Settings:
    (application,) = yaml.safe_load(file.read_text())["applications"]
    assert application["import_path"] == "serve_app:graph"
    settings = Settings.of(application["args"])
    return planned(settings, plan(settings, 16 * GB))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_of_a_cluster_file_is_known(file: Path) -> None:
    assert settings_of(file).llm.engine == "vllm"


@pytest.mark.parametrize("name", list(TopologyName))
def test_every_topology_has_its_file(name: TopologyName) -> None:
    (file,) = (file for file in FILES if file.stem == name)
    assert settings_of(file).topology is name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_deploy_knows_everything_in_the_file(file: Path) -> None:
    """Serve itself ignores what it does not know."""
    from ray.serve.schema import ServeDeploySchema

    written = yaml.safe_load(file.read_text())
    understood = ServeDeploySchema.model_validate(written)
    assert understood.model_dump(exclude_unset=True, mode="json") == written


@pytest.mark.parametrize("name", list(TopologyName))
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_run_builds_every_topology_from_the_words_behind_it(name: TopologyName) -> None:
    from ray._common.utils import import_attr
    from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as built
    from ray.serve.scripts import convert_args_to_dict

    words = convert_args_to_dict(("profile=fake", f"topology={name}", "session.max_sessions=3"))
    application = built(import_attr("serve_app:graph"), words)
    (settings, *_) = application._bound_deployment.init_args
    assert (settings.topology, settings.session.max_sessions) == (name, 3)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_engine_argument_is_one_of_vllms(file: Path) -> None:
    from vllm import AsyncEngineArgs

    given = settings_of(file).llm.options.get("engine_args", {})
    assert set(given) <= {field.name for field in fields(AsyncEngineArgs)}


def test_a_model_over_two_nodes_has_a_bundle_for_each_of_its_parts() -> None:
    over_two = [llm for llm in (settings_of(file).llm for file in FILES) if llm.bundles]
    assert over_two
    for llm in over_two:
        assert len(llm.bundles) == llm.options["engine_args"]["tensor_parallel_size"]
