"""A sentence in a padded batch is what it is alone: checked on the parts of the model, small and with random weights."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("kokoro", reason="needs the extra kokoro")

from kokoro.istftnet import AdaIN1d, AdainResBlk1d, TorchSTFT  # noqa: E402
from torch import nn  # noqa: E402

from deployments.engines.kokoro_padding import (  # noqa: E402
    Lengths,
    PackedLstm,
    PaddedNorm,
    SourceOneByOne,
    TransformOneByOne,
    _within,
)

# Of libraries that are imported: weight_norm of PyTorch, spaCy.
pytestmark = [pytest.mark.filterwarnings("ignore::FutureWarning"), pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FRAMES = [7, 3]
STYLE = 4


@pytest.fixture(autouse=True)
def repeatable():
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(0)
        yield


@pytest.fixture
def lengths():
    padded = Lengths()
    padded.begin(FRAMES, torch.device("cpu"))
    return padded


def padded(rows, beyond):
    """[1, n] or [1, channels, n] each, with something loud in the padding."""
    longest = max(row.shape[-1] for row in rows)
    return torch.cat([nn.functional.pad(row, (0, longest - row.shape[-1]), value=beyond) for row in rows])


def test_how_long_a_sentence_is_at_each_rate(lengths):
    assert lengths.of(7).tolist() == [7, 3]
    assert lengths.of(70).tolist() == [70, 30]
    assert lengths.of(841).tolist() == [841, 361], "one sample more than 120 for each frame"


def test_a_batch_without_padding_has_no_masks():
    even = Lengths()
    even.begin([5, 5], torch.device("cpu"))
    assert even.mask(50) is None


def test_a_norm_leaves_the_padding_out(lengths):
    norm = nn.InstanceNorm1d(6, affine=True)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    rows = [torch.randn(1, 6, frames) for frames in FRAMES]
    together = PaddedNorm(norm, lengths)(padded(rows, 100.0))
    for row, got, frames in zip(rows, together, FRAMES, strict=True):
        assert torch.allclose(got[:, :frames], norm(row)[0], atol=1e-5)


def test_an_lstm_turns_back_at_the_end_of_the_sentence(lengths):
    lstm = nn.LSTM(5, 3, batch_first=True, bidirectional=True)
    rows = [torch.randn(1, 5, frames) for frames in FRAMES]
    together, _ = PackedLstm(lstm, lengths)(padded(rows, 100.0).transpose(1, 2))
    for row, got, frames in zip(rows, together, FRAMES, strict=True):
        assert torch.allclose(got[:frames], lstm(row.transpose(1, 2))[0][0], atol=1e-6)


@pytest.mark.parametrize(("upsample", "scale"), [("none", 1), (True, 2)])
def test_a_block_of_the_decoder_does_not_hear_the_padding(lengths, upsample, scale):
    block = AdainResBlk1d(6, 4, STYLE, upsample=upsample).eval()
    rows, styles = [torch.randn(1, 6, frames) for frames in FRAMES], torch.randn(len(FRAMES), STYLE)
    alone = [block(row, style[None])[0] for row, style in zip(rows, styles, strict=True)]
    for module in block.modules():
        if isinstance(module, AdaIN1d):
            module.norm = PaddedNorm(module.norm, lengths)
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            module.register_forward_pre_hook(_within(lengths))
    together = block(padded(rows, 100.0), styles)
    for one, got, frames in zip(alone, together, FRAMES, strict=True):
        assert torch.allclose(got[:, : frames * scale], one, atol=1e-5)


def test_fourier_transforms_mirror_at_the_end_of_the_sentence(lengths):
    transform = TorchSTFT(20, 5, 20)
    rows = [torch.randn(1, frames * 600) for frames in FRAMES]
    each = TransformOneByOne(transform, lengths)
    magnitude, phase = each.transform(padded(rows, 100.0))
    waves = each.inverse(magnitude, phase)
    for row, heights, wave, frames in zip(rows, magnitude, waves, FRAMES, strict=True):
        assert torch.allclose(heights[:, : frames * 120 + 1], transform.transform(row)[0][0], atol=1e-5)
        assert torch.allclose(wave[0, : frames * 600], row[0], atol=1e-5)


class Noise(nn.Module):
    def forward(self, pitch):
        return torch.randn_like(pitch), None, None


def test_the_noise_of_a_sentence_does_not_depend_on_its_place(lengths):
    source = SourceOneByOne(Noise(), lengths)
    before = torch.random.get_rng_state()
    _, second = source(torch.zeros(2, 7 * 600, 1))[0]
    lengths.begin([3], torch.device("cpu"))
    [alone] = source(torch.zeros(1, 3 * 600, 1))[0]
    assert torch.allclose(second[: 3 * 600], alone, atol=1e-5)
    assert not second[3 * 600 :].any()
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers change"
