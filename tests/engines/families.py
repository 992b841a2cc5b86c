"""Small tokenizers of the kinds that language models have, trained here in a second, each with a chat template of its family."""

from functools import cache
from typing import Any

WORDS = [
    "You are a voice assistant. Answer in one short sentence. What is the capital of France? Paris is the capital of France.",
    "user assistant system tool user\nassistant\nsystem\n\n  two blanks, a line\n\n\nand three more  lines. It's 5 < 6. a > b | c",
    '{"name": "get_weather", "arguments": {"city": "Rome"}} <p>bold</p> im_start im_end end|> <| [INST] start_of_turn eot_id',
    "äöü ßéè 日本語のテスト 中文 हिन्दी 🙂 — “quotes” … 1234567890",
] * 20

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
QWEN = (
    "{% if tools %}{{ '<|im_start|>system\n# Tools\n<tools>' }}{% for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}"
    "{{ '\n</tools>\nUse <tool_call></tool_call>.<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}{{ '<|im_start|>' + ('user' if message.role == 'tool' else message.role) + '\n' }}"
    "{% if message.role == 'tool' %}{{ '<tool_response>\n' + message.content + '\n</tool_response>' }}"
    "{% else %}{{ message.content.strip() }}{% endif %}"
    '{% for call in message.tool_calls or [] %}{{ \'<tool_call>\n{"name": "\' + call.function.name + \'", "arguments": \' }}'
    "{{ call.function.arguments | tojson }}{{ '}\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
LLAMA2 = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] | trim + ' ' + eos_token }}"
    "{% else %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}{% endif %}{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + message['role'] + '\n'"
    " + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
PLAIN = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '</s>' }}{% endfor %}"


def _special(*texts: str, **how: Any) -> list[Any]:
    from tokenizers import AddedToken

    return [AddedToken(text, special=True, normalized=False, **how) for text in texts]


def _ordinary(*texts: str, **how: Any) -> list[Any]:
    from tokenizers import AddedToken

    return [AddedToken(text, special=False, **{"normalized": False, **how}) for text in texts]


def _byte_level(added: list[Any], ignore_merges: bool = False) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False))
    _add(tokenizer, added)
    return tokenizer


def _sentence_piece(added: list[Any], legacy: bool = False, prepend: str = "never") -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    special = ["<unk>", "<s>", "</s>", *bytes_]
    tokenizer.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False, max_token_length=12)
    )
    # Pieces for single bytes belong to the vocabulary and are no added tokens.
    import json

    form = json.loads(tokenizer.to_str())
    form["added_tokens"] = [token for token in form["added_tokens"] if token["content"] not in bytes_]
    tokenizer = Tokenizer.from_str(json.dumps(form))
    _add(tokenizer, added)
    return tokenizer


def _unigram(added: list[Any]) -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(WORDS, trainer)
    _add(tokenizer, added)
    return tokenizer


def _lower_case(added: list[Any]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(WORDS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"], show_progress=False))
    _add(tokenizer, added)
    return tokenizer


def _add(tokenizer: Any, added: list[Any]) -> None:
    for token in added:
        (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])


def _made(backend: Any, template: str, **names: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=template, **names)


@cache
def tokenizer(family: str) -> Any:
    match family:
        case "chatml":
            return _made(_byte_level(_special("<|endoftext|>", "<|im_start|>", "<|im_end|>")), CHATML)
        case "qwen":
            tags = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>", "<|fim_prefix|>")
            tokens = _special("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|image_pad|>") + _ordinary(*tags)
            return _made(_byte_level(tokens), QWEN)
        case "llama3":
            names = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>")
            return _made(_byte_level(_special(*names), ignore_merges=True), LLAMA3, bos_token="<|begin_of_text|>")
        case "llama2":
            return _made(_sentence_piece(_special("<s>", "</s>"), prepend="first"), LLAMA2, bos_token="<s>", eos_token="</s>")
        case "llama2-legacy":
            return _made(_sentence_piece(_special("<s>", "</s>"), legacy=True), LLAMA2, bos_token="<s>", eos_token="</s>")
        case "gemma":
            tokens = _special("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>") + _ordinary("\n\n", "\n\n\n", "<h1>", "▁▁")
            return _made(_sentence_piece(tokens), GEMMA, bos_token="<bos>")
        case "phi":
            turns = _ordinary("<|user|>", "<|system|>", "<|assistant|>", "<|tool|>", "<|end|>", rstrip=True)
            return _made(_sentence_piece(_special("<|endoftext|>") + turns, prepend="first"), PHI)
        case "unigram":
            return _made(_unigram(_special("<s>", "</s>")), PLAIN)
        case "lower-case":
            return _made(_lower_case(_ordinary("<|im_start|>", "<|im_end|>", normalized=True)), CHATML)
        case "smollm2":
            from transformers import AutoTokenizer

            from serve_app import models

            return AutoTokenizer.from_pretrained(models.ensure("smollm2-135m-instruct"))
    raise ValueError(family)


FAMILIES = ("chatml", "qwen", "llama3", "llama2", "llama2-legacy", "gemma", "phi", "unigram", "lower-case", "smollm2")
