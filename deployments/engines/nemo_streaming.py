"""One step of a cache-aware encoder and its transducer for many streams, wherever in their utterances they are.

The encoder hears chunks: of 1 + 8r frames at first, then of 8 + 8r, where r is the right context in its own frames of 80 ms; before a chunk
it is given the last 9 frames again, because its convolutions look back, and what they give for those is dropped (`drop_extra_pre_encoded`).
Where fewer than 9 have passed (second chunk of r = 0) it is given all from the beginning: NeMo's own buffer pads with zeros there, which is
not quite what the encoder gives for the whole recording; here the two are the same.

Streams at such different places are at most three calls of the encoder, and one of the decoder. The last chunk is padded, its length said.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deployments.engines.nemo_features import Recording
from deployments.engines.nemo_text import Transcript
from serve_app.errors import EngineFailed, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.nemo_boosting import Tree


@dataclass(eq=False, slots=True)
class Stream:
    """One utterance. Tensors of its own: none keeps a batch alive that it was once part of."""

    tree: Tree | None = None
    recording: Recording = field(default_factory=Recording)
    frames: Any = None
    """Features [bands, n] that the encoder was not given, after up to 9 that it was."""
    heard: int = 0
    """Frames that the encoder was given; the last up to 9 of them are at the start of `frames`."""
    caches: Any = None
    """The encoder's: channels [layers, left context, width], time [layers, width, kernel - 1], length []. None before the first chunk."""
    decoder: Any = None
    """NeMo's state of the decoder; None before the first chunk."""
    transcript: Transcript = field(default_factory=Transcript)

    def fork(self) -> Stream:
        """A copy that shares nothing but the boosting tree, which no step changes."""
        import torch

        copied = ("recording", "frames", "caches", "decoder", "transcript")
        with torch.inference_mode():
            return replace(self, **{name: deepcopy(getattr(self, name)) for name in copied})


@dataclass(frozen=True, slots=True)
class _Chunk:
    stream: Stream
    frames: Any
    again: int
    """Features at its start that were heard before."""
    new: int
    """Features after those; the rest is padding."""
    drop: int
    """Encoder frames at its start that were given before."""


class ChunkedTransducer:
    """A cache-aware NeMo model and the chunks that it is given. All calls from one thread."""

    def __init__(self, model: Any, computer: Any, chunk_ms: int) -> None:
        """Raises `SettingsError` when the model was not trained with such chunks."""
        set_context(model, chunk_ms)
        self._encoder = model.encoder
        self._computer = computer
        config = model.encoder.streaming_cfg
        self._first, self._later = config.chunk_size
        self._look_back: int = config.pre_encode_cache_size[1]
        self._factor: int = model.encoder.subsampling_factor
        self._parameter = next(model.encoder.parameters())

    def pending(self, stream: Stream, last: bool) -> bool:
        """Whether there is a chunk to hear: a whole one, or at the end any."""
        new = self._new(stream)
        return new > 0 if last else new >= self._size(stream)

    def hear(self, streams: Sequence[Stream]) -> list[tuple[list[int], list[int]]]:
        """The next chunk of each: its new tokens, and the frames of the encoder since the beginning that they came at. When it raises,
        no stream has changed."""
        import torch

        with torch.inference_mode():
            chunks = [self._chunk(stream) for stream in streams]
            encoded, lengths, caches = self._encode(chunks)
            tokens, states = self._decode(streams, encoded, lengths)
        for chunk, kept, state in zip(chunks, caches, states, strict=True):
            stream = chunk.stream
            stream.heard += chunk.new
            stream.frames = stream.frames[:, max(0, chunk.again + chunk.new - self._look_back) :].clone()
            stream.caches, stream.decoder = kept, state
        return tokens

    def _size(self, stream: Stream) -> int:
        return self._later if stream.heard else self._first

    def _new(self, stream: Stream) -> int:
        return stream.frames.shape[1] - min(stream.heard, self._look_back) if stream.frames is not None else 0

    def _chunk(self, stream: Stream) -> _Chunk:
        import torch

        again = min(stream.heard, self._look_back)
        new = min(self._new(stream), self._size(stream))
        frames = stream.frames[:, : again + new]
        padded = torch.nn.functional.pad(frames, (0, self._size(stream) - new)).to(self._parameter.dtype)
        return _Chunk(stream, padded, again, new, 1 + (again - 1) // self._factor if again else 0)

    def _encode(self, chunks: list[_Chunk]) -> tuple[Any, Any, list[Any]]:
        """Encoder frames [batch, time, width], their number for each, and caches for each, in the order of the chunks."""
        import torch

        encoded: list[Any] = [None] * len(chunks)
        lengths: list[Any] = [None] * len(chunks)
        caches: list[Any] = [None] * len(chunks)
        for drop in sorted({chunk.drop for chunk in chunks}):
            places = [place for place, chunk in enumerate(chunks) if chunk.drop == drop]
            outputs, counts, *kept = self._encode_alike([chunks[place] for place in places], drop)
            for row, place in enumerate(places):
                encoded[place], lengths[place] = outputs[row].T, counts[row]
                caches[place] = (kept[0][:, row].clone(), kept[1][:, row].clone(), kept[2][row].clone())
        return torch.nn.utils.rnn.pad_sequence(encoded, batch_first=True), torch.stack(lengths), caches

    def _encode_alike(self, chunks: list[_Chunk], drop: int) -> Any:
        import torch

        sizes = torch.tensor([chunk.again + chunk.new for chunk in chunks], device=self._parameter.device)
        channels, time, known = self._caches(chunks)
        return self._encoder.cache_aware_stream_step(
            processed_signal=torch.stack([chunk.frames for chunk in chunks]),
            processed_signal_length=sizes,
            cache_last_channel=channels,
            cache_last_time=time,
            cache_last_channel_len=known,
            keep_all_outputs=True,
            drop_extra_pre_encoded=drop,
        )

    def _caches(self, chunks: list[_Chunk]) -> tuple[Any, Any, Any]:
        import torch

        if all(chunk.stream.caches is None for chunk in chunks):
            initial = self._encoder.get_initial_cache_state(len(chunks), self._parameter.dtype, self._parameter.device)
            return initial[0], initial[1], initial[2]
        channels, time, known = zip(*(chunk.stream.caches for chunk in chunks), strict=True)
        return torch.stack(channels, 1), torch.stack(time, 1), torch.stack(known)

    def _decode(self, streams: Sequence[Stream], encoded: Any, lengths: Any) -> tuple[list[tuple[list[int], list[int]]], list[Any]]:
        import torch

        before = [stream.decoder for stream in streams]
        begun = self._computer.merge_to_batched_state(before) if any(state is not None for state in before) else None
        trees = None
        if self._computer.per_stream_biasing_enabled:
            trees = torch.tensor([stream.tree.number if stream.tree else -1 for stream in streams], device=encoded.device)
        hypotheses, state = self._computer(x=encoded, out_len=lengths, prev_batched_state=begun, multi_biasing_ids=trees)
        counts, tokens, frames, *_ = (one.tolist() for one in hypotheses.get_data_without_blank()[:3])
        found = [(some[:count], at[:count]) for count, some, at in zip(counts, tokens, frames, strict=True)]
        return found, self._computer.split_batched_state(state)


def set_context(model: Any, chunk_ms: int) -> None:
    """Raises `SettingsError`, or `EngineFailed` for a model that is not cache-aware."""
    encoder = model.encoder
    frame_ms = round(1000 * model.cfg.preprocessor.window_stride * encoder.subsampling_factor)
    trained = [context for context in getattr(encoder, "att_context_size_all", ()) if len(context) == 2 and context[1] >= 0]
    if getattr(encoder, "att_context_style", "") != "chunked_limited" or not trained or min(context[0] for context in trained) < 0:
        raise EngineFailed(f"{type(model).__name__} is not cache-aware: it hears whole utterances (engine nemo-offline)")
    known = {(right + 1) * frame_ms: [left, right] for left, right in trained}
    if chunk_ms not in known:
        raise SettingsError(f"the model was not trained with chunks of {chunk_ms} ms; it was with {', '.join(map(str, sorted(known)))}")
    encoder.set_default_att_context_size(known[chunk_ms])
