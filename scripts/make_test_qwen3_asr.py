"""Makes the Qwen3-ASR of the tests (tests/qwen3_asr): its real architecture, 300 thousand parameters, taught the recordings of tests/audio.

    .venv/bin/python scripts/make_test_qwen3_asr.py tests/qwen3_asr

It knows those recordings and their beginnings by heart and nothing else; silence it knows as `language None`. That is enough to
see whether prompt, audio, prefix and answer are put together rightly. Letters are its tokens, as bytes.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3ASRConfig, Qwen3ASRForConditionalGeneration
from transformers.models.qwen3_asr import Qwen3ASRFeatureExtractor, Qwen3ASRProcessor

from deployments.engines.qwen3_prompt import prompt
from serve_app.engines import HEARING_RATE
from tests.recordings import BEST_OF_TIMES, EVERYTHING, Recording

TAUGHT = (
    BEST_OF_TIMES,
    EVERYTHING,
    Recording("capital_of_france.wav", "What is the capital of France?"),
    Recording("colour_of_the_sky.wav", "What colour is the sky?"),
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|audio_start|>", "<|audio_end|>", "<|audio_pad|>", "<timestamp>"]
STEPS = 1200
CONTEXTS = ("", "We talk about books.", "Paris and France")


def processor() -> Qwen3ASRProcessor:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokens.add_special_tokens(SPECIAL)
    # Not special in the real one either: it stays in what is decoded.
    tokens.add_tokens([AddedToken("<asr_text>", special=False, normalized=False)])
    marks = {"audio_token": "<|audio_pad|>", "audio_bos_token": "<|audio_start|>", "audio_eos_token": "<|audio_end|>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, eos_token="<|im_end|>", pad_token="<|endoftext|>", extra_special_tokens=marks
    )
    return Qwen3ASRProcessor(Qwen3ASRFeatureExtractor(feature_size=128), tokenizer)


def untaught(tokenizer: Any) -> Qwen3ASRForConditionalGeneration:
    torch.manual_seed(0)
    audio = {"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 128, "output_dim": 64}
    audio |= {"downsample_hidden_size": 16, "n_window": 50, "n_window_infer": 800}
    text = {"hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    text |= {"head_dim": 32, "vocab_size": len(tokenizer), "max_position_embeddings": 4096, "tie_word_embeddings": True}
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    return Qwen3ASRForConditionalGeneration(
        Qwen3ASRConfig(
            audio_config=audio,
            text_config={**text, **ends},
            audio_token_id=tokenizer.convert_tokens_to_ids("<|audio_pad|>"),
            timestamp_token_id=tokenizer.convert_tokens_to_ids("<timestamp>"),
            **ends,
        )
    )


@cache
def sound(file: str) -> np.ndarray:
    """At 16 kHz, in the range of int16."""
    samples, rate = soundfile.read(Path("tests/audio") / file)
    return soxr.resample(samples * 32768, rate, HEARING_RATE)


def lesson(made: Qwen3ASRProcessor, rng: np.random.Generator) -> Any:
    """One batch: recordings and silence, with and without a context and a forced language."""
    heard, texts, asked = [], [], []
    for recording in (*TAUGHT, None):
        share = rng.uniform(0.2, 1.0) if rng.random() < 0.5 else 1.0
        pcm = np.zeros(HEARING_RATE) if recording is None else sound(recording.file)
        words = "" if recording is None else recording.words
        # What was said of a recording that breaks off: near enough, for a model of this kind.
        if share < 1:
            pcm, words = pcm[: int(share * len(pcm))], _whole(words[: int(share * len(words))])
        quiet = rng.normal(0, rng.uniform(1, 20), len(pcm) + int(rng.integers(0, HEARING_RATE // 4)))
        start = int(rng.integers(0, len(quiet) - len(pcm) + 1))
        quiet[start : start + len(pcm)] += pcm * rng.uniform(0.5, 1.0)
        heard.append((quiet / 32768).astype(np.float32))
        forced = recording is not None and rng.random() < 0.5
        question = prompt(str(rng.choice(CONTEXTS)), "en" if forced else None)
        language = "" if forced else "language English<asr_text>" if recording else "language None<asr_text>"
        asked.append(question)
        texts.append(question + language + words + "<|im_end|>")
    batch = made(text=texts, audio=heard, return_tensors="pt", padding=True, text_kwargs={"padding_side": "right"})
    labels = batch["input_ids"].clone()
    for row, question in enumerate(asked):
        audio = int((batch["input_ids"][row] == made.audio_token_id).sum())
        labels[row, : len(made.tokenizer(question)["input_ids"]) + audio - 1] = -100
    labels[batch["attention_mask"] == 0] = -100
    batch["labels"] = labels
    return batch


def _whole(words: str) -> str:
    """Without the word that breaks off."""
    return words.rpartition(" ")[0].rstrip(",")


def teach(model: Qwen3ASRForConditionalGeneration, made: Qwen3ASRProcessor) -> None:
    rng = np.random.default_rng(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=STEPS)
    model.train()
    for step in range(STEPS):
        loss = model(**lesson(made, rng)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        rate.step()
        optimiser.zero_grad()
        if step % 50 == 0:
            sys.stderr.write(f"{step}: {loss.item():.4f}\n")
    model.eval()


def main(out: str) -> None:
    torch.set_num_threads(1)
    made = processor()
    model = untaught(made.tokenizer)
    teach(model, made)
    folder = Path(out)
    model.half().save_pretrained(folder)
    made.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
