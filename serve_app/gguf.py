"""A GGUF file turned into the safetensors folder that vLLM reads: `python -m serve_app.gguf FOLDER OUT`.

vLLM's own GGUF reader does not run on the CPU, so the quantised weights are unpacked once, to bfloat16. The chat template inside the file
comes along with the tokenizer.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def convert(gguf: Path, out: Path) -> None:
    """Writes config, tokenizer and weights of `gguf` to the folder `out`."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16)
    out.mkdir(parents=True)
    tokenizer.save_pretrained(out)
    model.generation_config.save_pretrained(out)
    config = model.config.to_dict()
    # The weights are plain now; with this entry left in, a loader would take them for quantised ones.
    config.pop("quantization_config", None)
    config.pop("_name_or_path", None)
    config |= {"dtype": "bfloat16", "architectures": [type(model).__name__]}
    (out / "config.json").write_text(json.dumps(config, indent=2, default=str))
    save_file(_own_tensors(model), out / "model.safetensors", metadata={"format": "pt"})


def _own_tensors(model: "torch.nn.Module") -> "dict[str, torch.Tensor]":
    """The state without second names of one tensor (tied embeddings), which safetensors refuses."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.to("cpu").contiguous()
    return tensors


def main(folder: str, out: str) -> None:
    (gguf,) = Path(folder).glob("*.gguf")
    convert(gguf, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
