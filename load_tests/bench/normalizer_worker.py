"""Reads texts with one normalizer, for text_normalizers.py, which starts it with the Python in which that normalizer is installed.

Arguments: its name, and the languages to read where that are not all. Standard input: JSON [[language, text], ...]. Standard output: JSON
{"languages": {language: [load seconds, peak MiB after it]}, "said": [[text, first call ms, later call ms], ...]}. A text that the
normalizer fails on is said as null.
"""

import importlib.util
import json
import os
import re
import resource
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

Read = Callable[[str], str]


def ours(language: str) -> Read:
    from serve_app.speech_text import clauses_in_words, prepare

    prepare(language)
    return lambda text: " ".join(clauses_in_words(text, language))


def nemo(language: str) -> Read:
    from nemo_text_processing.text_normalization.normalize import Normalizer

    # Its grammars take minutes to compile: a folder given here keeps them.
    normalizer = Normalizer(input_case="cased", lang=language, cache_dir=os.environ.get("GRAMMARS"))
    return lambda text: normalizer.normalize(text, punct_post_process=True)


def kitten(language: str) -> Read:
    import kitten_text_processing

    kitten_text_processing.warm(language)
    return lambda text: kitten_text_processing.normalize_text(text, language)


def wetext(language: str) -> Read:
    from wetext import Normalizer

    if language not in ("en", "zh", "ja"):
        raise LookupError(language)
    normalizer = Normalizer(lang=language, operator="tn")
    normalizer.normalize("1")
    return normalizer.normalize


def hibari(language: str) -> Read:
    """Its normalizer leaves plain numbers, shares and dollars to the lexicon that comes after it; they are read here as that does."""
    if language != "en":
        raise LookupError(language)
    spec = importlib.util.find_spec("hibari")
    assert spec and spec.origin
    folder = Path(spec.origin).parent
    # The package itself would load its speech models.
    for name, path in (("hibari", folder), ("hibari.g2p", folder / "g2p")):
        module = types.ModuleType(name)
        module.__path__ = [str(path)]
        sys.modules[name] = module
    from hibari.g2p import numbers
    from hibari.g2p.normalize import normalize

    def number(found: re.Match[str]) -> str:
        digits, _, fraction = found[0].replace(",", "").partition(".")
        if fraction:
            return f"{numbers.cardinal(int(digits))} point {' '.join(numbers.cardinal(int(digit)) for digit in fraction)}"
        return numbers.year(int(digits)) if len(found[0]) == 4 else numbers.cardinal(int(digits))

    def read(text: str) -> str:
        text = re.sub(r"([$£€])([\d,]+)(?:\.(\d\d))?", _money, normalize(text)).replace("%", " percent")
        text = re.sub(r"\b(\d+)(?:st|nd|rd|th)\b", lambda found: numbers.ordinal(int(found[1])), text)
        return re.sub(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?", number, text)

    return read


def _money(found: re.Match[str]) -> str:
    one, cent = {"$": ("dollar", "cents"), "£": ("pound", "pence"), "€": ("euro", "cents")}[found[1]]
    many = one if found[2] == "1" else one + "s"
    return f"{found[2]} {many}" + (f" and {found[3]} {cent}" if found[3] else "")


def _timed(read: Read, text: str) -> tuple[str | None, float]:
    began = time.process_time()
    try:
        said = read(text)
    except Exception:
        said = None
    return said, (time.process_time() - began) * 1000


def main() -> None:
    make, only = globals()[sys.argv[1]], sys.argv[2].split(",") if len(sys.argv) > 2 else ()
    readers: dict[str, Read | None] = {}
    languages, said = {}, []
    for language, text in json.load(sys.stdin):
        if language not in readers:
            began = time.perf_counter()
            try:
                if only and language not in only:
                    raise LookupError(language)
                readers[language] = make(language)
            except (LookupError, NotImplementedError, ValueError):
                readers[language] = None
            languages[language] = [time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]
        read = readers[language]
        if read is None:
            said.append([None, None, None])
            continue
        words, first_ms = _timed(read, text)
        said.append([words, first_ms, _timed(read, text)[1]])
    supported = {language: figures for language, figures in languages.items() if readers[language]}
    sys.stdout.write(json.dumps({"languages": supported, "said": said}))


if __name__ == "__main__":
    main()
