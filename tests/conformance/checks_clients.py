"""What stock clients ask for first: models, voices and a turn detection that may be none of the server's."""

from typing import Any

from tests.conformance.checks_session import TOOL
from tests.conformance.line import expect
from tests.conformance.suite import Suite, add

_FIRST_UPDATES: dict[str, dict[str, Any]] = {
    "openai-agents-python": {
        "model": "gpt-realtime-2.1", "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000}, "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash"},
        },
    },
    "livekit": {
        "model": "gpt-realtime", "output_modalities": ["audio"], "tool_choice": "auto", "max_output_tokens": "inf", "tracing": None,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000}, "noise_reduction": None,
                "transcription": {"model": "gpt-4o-mini-transcribe"},
                "turn_detection": {"type": "semantic_vad", "eagerness": "medium", "create_response": True, "interrupt_response": True},
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
    },
    "pipecat": {
        "instructions": "You are helpful.", "tools": [TOOL],
        "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": {"type": "semantic_vad"}}},
    },
}  # fmt: skip


def _first_update(client: str, session: dict[str, Any]) -> None:
    async def run(suite: Suite) -> None:
        async with suite.line() as line:
            detection = (await line.update(**session))["audio"]["input"]["turn_detection"]
            expect(detection["interrupt_response"] is True, f"interrupt_response is {detection['interrupt_response']!r}")

    add(f"clients.first update of {client}", f"what {client} asks for first is taken; interrupt_response is echoed true", run)


for _client, _session in _FIRST_UPDATES.items():
    _first_update(_client, _session)
