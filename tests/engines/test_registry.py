import subprocess
import sys

import pytest

from deployments.engines import ENGINES, create
from serve_app.errors import SettingsError


def test_every_kind_has_a_fake():
    assert all("fake" in names for names in ENGINES.values())
    assert len(ENGINES) == 5


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in ENGINES.items() for name in names])
def test_every_name_leads_to_an_engine_that_can_be_warmed(kind, name):
    assert callable(create(kind, name).warm)


def test_an_unknown_engine_is_refused_with_the_names_that_there_are():
    with pytest.raises(SettingsError, match="'whisperer'.* moonshine, .*fake"):
        create("recogniser", "whisperer")


def test_an_unknown_kind_is_refused_with_the_kinds_that_there_are():
    with pytest.raises(SettingsError, match="'smell'.* voice_activity, turn_detector"):
        create("smell", "nose")


def test_an_unknown_option_is_refused_by_its_name():
    with pytest.raises(SettingsError, match="'moonshine' has no option treads; it has artifact, threads"):
        create("recogniser", "moonshine", treads=2)


def test_an_engine_is_given_its_options():
    assert create("recogniser", "fake", step_s=0.25).step_samples == 4000


def test_making_engines_imports_no_model_library():
    made = "\n".join(f"create({kind!r}, {name!r})" for kind, names in ENGINES.items() for name in names)
    heavy = "{'torch', 'nemo', 'transformers', 'vllm', 'onnxruntime', 'kokoro', 'spacy', 'ray'}"
    program = f"import sys\nfrom deployments.engines import create\n{made}\nprint({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
