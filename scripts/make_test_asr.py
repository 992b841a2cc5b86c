"""Makes the small speech-to-text model of the tests: nothing but this repository and Kokoro's weights (Apache-2.0) go into it.

    PYTHONPATH=. .venv/bin/python scripts/make_test_asr.py WORK OUT.nemo [--steps 1600]

WORK keeps the synthesised speech. The seeds are fixed and one thread does the work, but another processor or version of a library rounds
differently: what is made anew is another model of the same kind, and its hash goes into serve_app/artifacts.py.
"""

import argparse
import logging
from dataclasses import replace
from pathlib import Path

from test_asr import model, speech, training

log = logging.getLogger("make_test_asr")


def main() -> None:
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    corpus, tokenizer = arguments.work / "speech", arguments.work / "tokenizer"
    if not arguments.no_speech:
        speech.synthesise(corpus)
    model.write_tokenizer(tokenizer)
    clips = training.examples(corpus)
    logging.getLogger("nemo_logger").setLevel(logging.ERROR)
    made = model.build(tokenizer)
    plan = training.Plan(arguments.steps, arguments.rate)
    if arguments.start:
        made.load_state_dict(made.restore_from(str(arguments.start), map_location="cpu").state_dict())
        plan = replace(plan, spread_alone=0, spread_until=0)
    else:
        training.centre(made, clips)
    log.info("%d clips, %.0f s, %d parameters", len(clips), sum(len(clip.pcm) for clip in clips) / 16000, made.num_weights)
    training.train(made, clips, plan, arguments.out)
    made.save_to(str(arguments.out))
    log.info("%s: %d bytes", arguments.out, arguments.out.stat().st_size)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    parser.add_argument("--start", type=Path, help="a model made before, to go on from")
    parser.add_argument("--no-speech", action="store_true", help="use the clips that are there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
