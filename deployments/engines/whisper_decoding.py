"""How Whisper writes: greedily, a batch of clips at once, each with its own language and prompt (Radford et al. 2022, arXiv 2212.04356).

    <|startofprev|> prompt <|startoftranscript|> <|en|> <|transcribe|> <|notimestamps|> text <|endoftext|>

Prompts of different lengths are filled up at their front, which the attention mask hides; positions are counted without the filling.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.by_pieces import NOTHING, Heard
from deployments.engines.languages import likeliest, told
from deployments.engines.repetitions import cleaned, compression_ratio
from serve_app.engines import HEARING_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deployments.engines.whisper_weights import Loaded
    from serve_app.engines import Hints, Pcm

NO_SPEECH, UNSURE = 0.6, -1.0
"""Whisper's own thresholds: the probability that there is no speech, and the mean log probability of the tokens."""
COMPRESSION_RATIO = 2.4
MOST_REPEATED, LONGEST_REPEATED = 4, 60
"""In a text beyond that ratio."""
TOKENS_PER_S, MARGIN_TOKENS = 25, 20
"""No speaker needs more, even in scripts that take a token for each byte; a model that repeats itself does."""
CONTEXT = 448


class Decoder:
    def __init__(self, loaded: Loaded, tokenizer: Path, language: str = "") -> None:
        """`tokenizer`: the file tokenizer.json."""
        from tokenizers import Tokenizer
        from transformers import WhisperFeatureExtractor

        self._model = loaded.model
        self._loaded = loaded
        self._tokens = Tokenizer.from_file(str(tokenizer))
        self._features = WhisperFeatureExtractor(feature_size=loaded.model.config.num_mel_bins)
        self._language = language

    @cached_property
    def languages(self) -> dict[str, int]:
        """Tokens by language; none where the model knows English alone."""
        if self._model.config.vocab_size < 51865:
            return {}
        first, end = self._id("<|startoftranscript|>") + 1, self._id("<|translate|>")
        return {str(self._tokens.id_to_token(token))[2:-2]: token for token in range(first, end)}

    def transcribe(self, clips: Sequence[Pcm], hints: Sequence[Hints]) -> list[Heard]:
        """Each clip has at most 30 s."""
        import torch

        with torch.inference_mode():
            encoded = self._encoded(clips)
            languages = self._found(encoded, hints)
            prompts = [self._prompt(hint, language) for hint, language in zip(hints, languages, strict=True)]
            longest_s = max(len(clip) for clip in clips) / HEARING_RATE
            written, sure, silent = self._written(encoded, prompts, int(longest_s * TOKENS_PER_S) + MARGIN_TOKENS)
        empty = [silence > NO_SPEECH and likely < UNSURE for silence, likely in zip(silent, sure, strict=True)]
        return [NOTHING if empty[one] else self._heard(written[one], languages[one]) for one in range(len(clips))]

    # --- parts of it --------------------------------------------------------------------------------------------------------------------

    def _id(self, token: str) -> int:
        found = self._tokens.token_to_id(token)
        assert found is not None, token
        return int(found)

    def _encoded(self, clips: Sequence[Pcm]) -> Any:
        audio = [clip.astype(np.float32) / 32768.0 for clip in clips]
        features = self._features(audio, sampling_rate=HEARING_RATE, return_tensors="pt").input_features
        return self._model.model.encoder(features.to(self._model.device, self._model.dtype)).last_hidden_state

    def _found(self, encoded: Any, hints: Sequence[Hints]) -> list[str]:
        """The language of each clip: told, else the likeliest after the first token."""
        if not self.languages:
            return ["en"] * len(hints)
        known = [told(hint, self._language, self.languages) for hint in hints]
        if all(known):
            return [language for language in known if language]
        first = _Steps(self._model, encoded, [[self._id("<|startoftranscript|>")]] * len(hints)).first()
        scores = first[:, list(self.languages.values())].softmax(-1).tolist()
        found = [likeliest(dict(zip(self.languages, row, strict=True)), hint) for row, hint in zip(scores, hints, strict=True)]
        return [language or other for language, other in zip(known, found, strict=True)]

    def _prompt(self, hints: Hints, language: str) -> list[int]:
        before = " ".join(filter(None, [", ".join(hints.keywords), hints.prompt]))
        earlier = self._tokens.encode(" " + before, add_special_tokens=False).ids[-(CONTEXT // 2 - 1) :] if before else []
        start = [self._id("<|startofprev|>"), *earlier] if earlier else []
        task = [self.languages[language], self._id("<|transcribe|>")] if self.languages else []
        return [*start, self._id("<|startoftranscript|>"), *task, self._id("<|notimestamps|>")]

    def _written(self, encoded: Any, prompts: list[list[int]], most: int) -> tuple[list[list[int]], list[float], list[float]]:
        """Tokens of each, their mean log probability, and the probability that nothing is said."""
        import torch

        steps = _Steps(self._model, encoded, prompts)
        scores = steps.first()
        silent = steps.scores_at(self._id("<|startoftranscript|>")).softmax(-1)[:, self._id_of_silence].tolist()
        end = self._id("<|endoftext|>")
        written: list[list[int]] = [[] for _ in prompts]
        likely = torch.zeros(len(prompts), device=encoded.device)
        going = torch.ones(len(prompts), dtype=torch.bool, device=encoded.device)
        for number in range(min(most, CONTEXT - max(map(len, prompts)))):
            scores[:, self._loaded.suppressed + ([] if number else self._loaded.suppressed_first)] = -torch.inf
            best, tokens = scores.log_softmax(-1).max(-1)
            likely += best * going
            going &= tokens != end
            for one in going.nonzero()[:, 0].tolist():
                written[one].append(int(tokens[one]))
            if not going.any():
                break
            scores = steps.next(tokens)
        counts = torch.tensor([len(tokens) + 1 for tokens in written])
        return written, (likely.cpu() / counts).tolist(), silent

    @cached_property
    def _id_of_silence(self) -> int:
        # Called nospeech since the third large model.
        return int(self._tokens.token_to_id("<|nospeech|>") or self._id("<|nocaptions|>"))

    def _heard(self, tokens: list[int], language: str) -> Heard:
        text = self._tokens.decode(tokens).strip()
        if compression_ratio(text) > COMPRESSION_RATIO:
            text = cleaned(text, MOST_REPEATED, LONGEST_REPEATED)
        return Heard(text, (), language if text else None)


class _Steps:
    """The model's scores for what comes next, token after token."""

    def __init__(self, model: Any, encoded: Any, prompts: list[list[int]]) -> None:
        import torch

        self._model, self._encoded = model, encoded
        longest = max(map(len, prompts))
        filled = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
        hidden = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        self._tokens, self._mask = (torch.tensor(rows, device=encoded.device) for rows in (filled, hidden))
        self._at = (self._mask.cumsum(-1) - 1).clamp(min=0)
        self._states: Any = None
        self._cache: Any = None

    def first(self) -> Any:
        """After the prompts; shape [clips, vocabulary], float32, as from `next`."""
        self._run(self._tokens, self._at)
        return self._scores(self._states[:, -1])

    def next(self, tokens: Any) -> Any:
        """`tokens`: one for each clip."""
        import torch

        self._at = self._at[:, -1:] + 1
        self._mask = torch.cat((self._mask, torch.ones_like(self._mask[:, :1])), 1)
        self._run(tokens[:, None], self._at)
        return self._scores(self._states[:, -1])

    def scores_at(self, token: int) -> Any:
        """After this token of each prompt; before the first `next`."""
        return self._scores(self._states[self._tokens == token])

    def _run(self, tokens: Any, at: Any) -> None:
        out = self._model.model.decoder(
            input_ids=tokens,
            attention_mask=self._mask,
            encoder_hidden_states=self._encoded,
            past_key_values=self._cache,
            position_ids=at,
            use_cache=True,
        )
        self._states, self._cache = out.last_hidden_state, out.past_key_values

    def _scores(self, states: Any) -> Any:
        return self._model.proj_out(states).float()
