"""Phrase boosting for each stream (GPU-PB, NeMo's per-stream biasing): the phrases become a prefix tree over the model's tokens, and each
step of the decoder adds the tree's scores to those of the tokens that would continue a phrase. Which frames are blank is not touched, so a
phrase is preferred where something is said, not invented.

All trees live in one model of NeMo's, by number; a stream without phrases has none. A tree is made once for the same phrases, kept while a
stream uses it, and for the next `KEPT` after that.
"""

from __future__ import annotations

import re
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_app.engines import Hints

KEPT = 64
"""Trees without a stream: the same sessions begin utterance after utterance."""
MOST_PHRASES, LONGEST_PHRASE = 500, 100
"""Of one stream, and characters of one; what is beyond is left out. 500 phrases take 60 ms, once."""
PHRASE_WORDS = 6
"""A longer item of a prompt is a sentence, not a phrase."""
NAMES = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'-]*(?:\s+[A-Z][\w'-]*)*")
"""Words with a capital inside a sentence."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Tree:
    number: int


class Boosting:
    """Not safe for threads: all calls come from the recogniser's worker."""

    def __init__(self, tokenizer: Any, trees: Any, weight: float = 1.0) -> None:
        """`trees`: NeMo's `GPUBiasingMultiModel`. `weight`: of the trees' scores against the decoder's."""
        self._tokenizer = tokenizer
        self._trees = trees
        self._weight = weight
        self._used: OrderedDict[tuple[str, ...], Tree] = OrderedDict()
        self._alive: weakref.WeakValueDictionary[tuple[str, ...], Tree] = weakref.WeakValueDictionary()
        self._gone: deque[int] = deque()
        self.built = 0
        """Trees made so far."""

    def tree(self, phrases: tuple[str, ...]) -> Tree | None:
        """None where there is nothing to boost. Raises `EngineFailed`."""
        self._remove_gone()
        if not (spelt := self._spelt(phrases)):
            return None
        if (tree := self._alive.get(phrases)) is None:
            tree = self._build(spelt)
            self._alive[phrases] = tree
        self._used[phrases] = tree
        self._used.move_to_end(phrases)
        if len(self._used) > KEPT:
            self._used.popitem(last=False)
        return tree

    def _spelt(self, phrases: tuple[str, ...]) -> list[str]:
        """Those that the model has letters for."""
        return [phrase for phrase in phrases if (tokens := self._tokenizer.text_to_ids(phrase)) and 0 not in tokens]

    def _build(self, phrases: list[str]) -> Tree:
        import torch
        from nemo.collections.asr.parts.context_biasing.boosting_graph_batched import BoostingTreeModelConfig, GPUBoostingTreeModel
        from nemo.core.utils.optional_libs import TRITON_AVAILABLE

        config = BoostingTreeModelConfig(key_phrases_list=phrases, use_triton=TRITON_AVAILABLE)
        try:
            with torch.inference_mode(mode=False):
                number = self._trees.add_model(GPUBoostingTreeModel.from_config(config, tokenizer=self._tokenizer), alpha=self._weight)
        except Exception as error:
            raise EngineFailed(f"the phrases cannot be boosted: {error}") from error
        self.built += 1
        tree = Tree(number)
        # The last stream may let go of it in any thread; it is taken out in ours.
        weakref.finalize(tree, self._gone.append, number).atexit = False
        return tree

    def _remove_gone(self) -> None:
        import torch

        while self._gone:
            with torch.inference_mode(mode=False):
                self._trees.remove_model(self._gone.popleft())


def phrases_of(hints: Hints, standing: Iterable[str] = ()) -> tuple[str, ...]:
    """What to boost: standing phrases, the keywords, and of the prompt the items of a list or, where it is prose, its names.

    Each also with a capital, for it may begin a sentence.
    """
    given = [*standing, *hints.keywords, *_in_prompt(hints.prompt)]
    clean = [" ".join(phrase.split())[:LONGEST_PHRASE] for phrase in given]
    both = [form for phrase in clean if phrase for form in (phrase, phrase[0].upper() + phrase[1:])]
    return tuple(dict.fromkeys(both))[:MOST_PHRASES]


def _in_prompt(prompt: str) -> list[str]:
    found = []
    for item in re.split(r"[,;\n]", prompt.rpartition(":")[2]):
        if 0 < len(item.split()) <= PHRASE_WORDS and not re.search(r"[.!?]\s*$", item):
            found.append(item)
        else:
            found += NAMES.findall(item.strip())
    return found
