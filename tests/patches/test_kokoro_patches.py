"""Kokoro's patches do what they say, and are still needed: a test under "still" that fails says which one can go."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kokoro", reason="needs the extra kokoro")

from kokoro.custom_stft import CustomSTFT  # noqa: E402
from kokoro.istftnet import TorchSTFT  # noqa: E402

from patches import kokoro, torch_capabilities  # noqa: E402
from patches.kokoro_disable_complex import exact  # noqa: E402
from patches.kokoro_real_magnitude import by_parts  # noqa: E402
from serve_app.errors import EngineFailed  # noqa: E402

# Of libraries that are imported: spaCy.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SHAPE = (20, 5, 20)
"""Of Kokoro's transform: n_fft, hop, window."""
WITHIN = 1e-5


@pytest.fixture
def upstream():
    return TorchSTFT(*SHAPE)


@pytest.fixture
def wave():
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(2, 600 * 20, generator=generator)


def off(got, wanted):
    return float((got - wanted).abs().max())


def spectrum(pair):
    """As a complex number, so that a phase of pi and one of minus pi are the same."""
    return torch.polar(*pair)


@pytest.mark.parametrize("patch", [exact, by_parts])
def test_a_patched_transform_gives_what_the_original_gives(patch, upstream, wave):
    patched = patch(upstream)
    assert off(patched.transform(wave)[0], upstream.transform(wave)[0]) < WITHIN
    assert off(spectrum(patched.transform(wave)), spectrum(upstream.transform(wave))) < WITHIN


@pytest.mark.parametrize("patch", [exact, by_parts])
def test_a_patched_inverse_gives_what_the_original_gives(patch, upstream, wave):
    pair = upstream.transform(wave)
    assert off(patch(upstream).inverse(*pair), upstream.inverse(*pair)) < WITHIN


@pytest.mark.parametrize("patch", [exact, by_parts])
def test_the_phase_of_a_real_frequency_does_not_flip(patch, upstream, wave):
    # It is fed to the model as a number, to which pi and minus pi are far apart.
    got, wanted = (transform.transform(wave)[1][:, [0, -1]] for transform in (patch(upstream), upstream))
    assert off(got, wanted) < WITHIN


@pytest.mark.parametrize("patch", [exact, by_parts])
def test_a_patched_transform_makes_no_complex_function_that_is_compiled_on_the_card(patch, upstream, wave, monkeypatch):
    def compiled(*_, **__):
        raise AssertionError("nvrtc: error: invalid value for --gpu-architecture (-arch)")

    patched = patch(upstream)
    for name in ("abs", "angle", "exp", "polar"):
        monkeypatch.setattr(torch, name, compiled)
    patched.inverse(*patched.transform(wave))


# --- which one --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("capability", "patch"), [((12, 1), "disable_complex"), ((12, 0), "disable_complex"), ((9, 0), "none")])
def test_the_card_decides(monkeypatch, capability, patch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert kokoro.for_device(torch.device("cuda")) == patch


def test_the_cpu_needs_none():
    assert kokoro.for_device(torch.device("cpu")) == "none"


def test_a_patch_that_there_is_not_is_refused_by_its_name():
    with pytest.raises(EngineFailed, match=r"'spoof'.*auto, none, disable_complex, real_imag"):
        kokoro.apply(None, "spoof", torch.device("cpu"))


# --- still ------------------------------------------------------------------------------------------------------------------------------


def test_the_package_still_takes_abs_and_angle_of_complex_numbers(upstream, wave, monkeypatch):
    seen = []
    for name in ("abs", "angle"):
        original = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda given, original=original: seen.append(given.is_complex()) or original(given))
    upstream.transform(wave)
    assert seen == [True, True]


def test_the_package_still_has_the_transform_that_is_put_right():
    assert CustomSTFT(*SHAPE).pad_mode == "replicate"


def test_that_transform_is_still_another_one(upstream, wave):
    pair, theirs = upstream.transform(wave), CustomSTFT(*SHAPE)
    assert off(theirs.inverse(*pair), upstream.inverse(*pair)) > 0.01
    assert off(theirs.transform(wave)[0], pair[0]) > 0.01


@pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] != kokoro.BLACKWELL,
    reason="needs a card of compute capability 12.x: there, and only there, complex abs is said to fail",
)
def test_complex_numbers_still_fail_on_the_card():
    failing = {one.name for one in torch_capabilities.report("cuda") if not one.works}
    assert failing & {"complex abs", "complex angle", "complex exp"}, "patches A and B can go"


# --- the report -------------------------------------------------------------------------------------------------------------------------


def test_the_report_tries_everything_and_all_of_it_works_on_the_cpu():
    tried = torch_capabilities.report("cpu")
    assert [one.name for one in tried] == list(torch_capabilities.OPERATIONS)
    assert all(one.works for one in tried)


def test_the_report_tells_what_failed_and_why(monkeypatch):
    def failing(_):
        raise RuntimeError("nvrtc: error: invalid value for --gpu-architecture (-arch)\nmore")

    monkeypatch.setitem(torch_capabilities.OPERATIONS, "complex abs", failing)
    [failed] = [one for one in torch_capabilities.report("cpu") if not one.works]
    assert (failed.name, failed.reason) == ("complex abs", "nvrtc: error: invalid value for --gpu-architecture (-arch)")


def test_the_report_is_printed(capsys):
    torch_capabilities.main("cpu")
    assert "works  complex abs" in capsys.readouterr().out
