"""ONNX Runtime sessions, opened the same way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path


class OnnxSession:
    """One model file on the CPU. Safe to run from several threads at once."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """`threads`: for the work inside one run. Raises `EngineFailed` when the file cannot be loaded."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that wait by spinning would take the cores from the other engines of a small machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise EngineFailed(f"{path.name} cannot be loaded: {error}") from error
        self._name = path.name
        self.inputs = tuple(one.name for one in self._session.get_inputs())
        self.outputs = tuple(one.name for one in self._session.get_outputs())

    def run(self, **inputs: Any) -> list[Any]:
        """All outputs, in the model's order. Raises `EngineFailed`."""
        return self.run_named(inputs)

    def run_named(self, inputs: dict[str, Any]) -> list[Any]:
        """As `run`, for inputs whose names are no identifiers."""
        try:
            return list(self._session.run(None, inputs))
        except Exception as error:
            raise EngineFailed(f"{self._name}: {error}") from error
