"""A NeMo speech model loaded for use: found, put on its device, set to decode greedily in batches.

`greedy_batch` with `loop_labels` is the one way of decoding in which a batch may hold streams with phrase boosting and streams without
(NeMo refuses it in the others), and it is the quickest: 346 ms against 534 ms for 11 s of speech on a DGX Spark, as reported.
The decoder's CUDA graphs are off unless asked for: they are built by NVRTC, which does not know the Spark's sm_121.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from serve_app import models
from serve_app.errors import ArtifactMissing, EngineFailed, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Decoding:
    """What can be set about a transducer's decoder."""

    phrases: tuple[str, ...] = ()
    """Standing phrases, boosted in every stream."""
    weight: float = 1.0
    """Of boosting; 0 switches it off, which saves a twentieth of a step on a CPU."""
    cuda_graphs: bool = False
    max_symbols: int = 10
    """Tokens at one frame of the encoder."""

    @classmethod
    def of(cls, given: Mapping[str, Any] | None) -> Self:
        """Raises `SettingsError`."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in given or () if name not in known]:
            raise SettingsError(f"decoding has no {', '.join(unknown)}; it has {', '.join(known)}")
        made = cls(**(given or {}))
        phrases = made.phrases.split(",") if isinstance(made.phrases, str) else made.phrases
        try:
            return cls(tuple(phrases), float(made.weight), _flag(made.cuda_graphs), int(made.max_symbols))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"decoding: {error}") from None


def load(name: str, device: str, dtype: str) -> Any:
    """The model `name` (a .nemo file, or what `models.ensure` takes), ready to transcribe. Raises `ArtifactMissing` or `EngineFailed`."""
    path = _file(name)
    with quiet():
        import torch
        from nemo.collections.asr.models import ASRModel

        place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            model = ASRModel.restore_from(str(path), map_location=place)
            model.freeze()
            model.eval()
            return _cast(model, getattr(torch, dtype))
        except Exception as error:
            raise EngineFailed(f"{path.name} cannot be loaded: {error}") from error


def decode_greedily(model: Any, decoding: Decoding) -> Any:
    """NeMo's decoding computer, which steps a batch of transducer streams. Raises `EngineFailed` for a model that is no transducer."""
    from omegaconf import OmegaConf

    greedy = {
        "max_symbols": decoding.max_symbols,
        "loop_labels": True,
        "use_cuda_graph_decoder": decoding.cuda_graphs,
        "enable_per_stream_biasing": decoding.weight != 0,
        "preserve_alignments": False,
    }
    with quiet():
        model.change_decoding_strategy(OmegaConf.create({"strategy": "greedy_batch", "greedy": greedy}), verbose=False)
        computer = getattr(getattr(model.decoding, "decoding", None), "decoding_computer", None)
    if computer is None:
        raise EngineFailed(f"{type(model).__name__} is no transducer that decodes in batches")
    if computer.per_stream_biasing_enabled:
        computer.biasing_multi_model.to(next(model.joint.parameters()).device)
    return computer


class quiet(warnings.catch_warnings):  # noqa: N801  used as a context, like its base
    """NeMo says much at import and at loading; none of it is news."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        import nemo.utils  # noqa: F401  sets the level of its logger when it is imported

        # NeMo's own set_verbosity changes every handler too, also those that are shared with other loggers.
        logging.getLogger("nemo_logger").setLevel(logging.ERROR)
        return entered


def _cast(model: Any, dtype: Any) -> Any:
    """Features stay in single precision: a logarithm of 16 bits has lost the quiet sounds."""
    for part in ("encoder", "decoder", "joint", "ctc_decoder"):
        if (module := getattr(model, part, None)) is not None:
            module.to(dtype)
    return model


def _file(name: str) -> Path:
    given = Path(name).expanduser()
    if given.suffix == ".nemo":
        if not given.is_file():
            raise ArtifactMissing(f"there is no file {given}")
        return given
    found = sorted(models.ensure(name).glob("*.nemo"))
    if len(found) != 1:
        raise ArtifactMissing(f"{name} holds {len(found)} .nemo files, and one is needed; the path of a file can be given too")
    return found[0]


def _flag(value: Any) -> bool:
    return value.lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)
