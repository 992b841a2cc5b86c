"""Makes the small speech-to-text model of the tests: nothing but this repository and Kokoro's weights (Apache-2.0) go into it.

    PYTHONPATH=. .venv/bin/python scripts/make_test_asr.py WORK OUT.nemo

WORK keeps the synthesised speech, and the model after each stage of its training. The seeds are fixed and one thread does the work, but
another processor or version of a library rounds differently: what is made anew is another model of the same kind, and its hash goes into
serve_app/artifacts.py.
"""

import argparse
import hashlib
import logging
from pathlib import Path
from typing import Any

from test_asr import model, speech, training

log = logging.getLogger("make_test_asr")


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    corpus, tokenizer = arguments.work / "speech", arguments.work / "tokenizer"
    speech.synthesise(corpus)
    model.write_tokenizer(tokenizer)
    clips = training.examples(corpus)
    logging.getLogger("nemo_logger").setLevel(logging.ERROR)
    made = model.build(tokenizer)
    log.info("%d clips, %.0f s, %d parameters", len(clips), sum(len(clip.pcm) for clip in clips) / 16000, made.num_weights)
    training.centre(made, clips)
    for number, stage in enumerate(training.STAGES):
        kept = arguments.work / f"stage{number}.nemo"
        if arguments.resume and kept.exists():
            _take_over(made, kept)
            continue
        training.train(made, clips, stage)
        model.save(made, kept)
    model.save(made, arguments.out)
    file = arguments.out.read_bytes()
    log.info("%s: %d bytes, sha256 %s", arguments.out, len(file), hashlib.sha256(file).hexdigest())


def _take_over(made: Any, kept: Path) -> None:
    log.info("%s was made before", kept)
    made.load_state_dict(made.restore_from(str(kept), map_location="cpu").state_dict())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--resume", action="store_true", help="do the stages only whose model is not in WORK")
    return parser.parse_args()


if __name__ == "__main__":
    main()
