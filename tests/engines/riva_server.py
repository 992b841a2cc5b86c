"""A small Riva: its own gRPC services and messages (nvidia-riva-client), over nothing. On a port of this machine, in threads of its own."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
from riva.client.proto import riva_asr_pb2 as asr
from riva.client.proto import riva_tts_pb2 as tts
from riva.client.proto.riva_asr_pb2_grpc import RivaSpeechRecognitionServicer, add_RivaSpeechRecognitionServicer_to_server
from riva.client.proto.riva_tts_pb2_grpc import RivaSpeechSynthesisServicer, add_RivaSpeechSynthesisServicer_to_server

RATE = 16_000
S_PER_CHARACTER = 0.06
VOICES = {"Magpie.EN-US": "af_heart:0,af_bella:1"}


class Recognition(RivaSpeechRecognitionServicer):
    """Says how much was heard: a partial for each half second, a final for each `piece_s`."""

    def __init__(self, piece_s: float = 1e9) -> None:
        self.configs: list[Any] = []
        self.metadata: list[dict[str, str]] = []
        self.cancelled = 0
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        self._piece_s = piece_s

    def StreamingRecognize(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        if self.refusal is not None:
            # gRPC's client loses the reason when it is still writing.
            list(request_iterator)
            context.abort(*self.refusal)
        self.configs.append(next(request_iterator).streaming_config)
        self.metadata.append(dict(context.invocation_metadata()))
        samples, told, begun = 0, 0, 0
        for request in request_iterator:
            samples += len(request.audio_content) // 2
            if samples - begun >= self._piece_s * RATE:
                yield _result(begun, samples, final=True)
                begun = told = samples
            elif samples - told >= RATE // 2:
                told = samples
                yield _result(begun, samples, final=False)
        if not context.is_active():
            self.cancelled += 1
        elif samples > begun:
            yield _result(begun, samples, final=True)


def _result(start: int, end: int, final: bool) -> Any:
    text = f"heard {(end - start) / RATE:.2f} seconds"
    words = [asr.WordInfo(word="heard", start_time=1000 * start // RATE, end_time=1000 * end // RATE)] if final else []
    said = asr.SpeechRecognitionAlternative(transcript=f"{text} ", words=words)
    return asr.StreamingRecognizeResponse(results=[asr.StreamingRecognitionResult(alternatives=[said], is_final=final)])


class Synthesis(RivaSpeechSynthesisServicer):
    """A tone of its own for each voice, as long as the text."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.endless = False

    def GetRivaSynthesisConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = tts.RivaSynthesisConfigResponse()
        for family, members in VOICES.items():
            model = answer.model_config.add()
            model.parameters["voice_name"], model.parameters["subvoices"] = family, members
        return answer

    def SynthesizeOnline(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        (request,) = request_iterator
        self.requests.append(request)
        hertz = 220 + sum(request.voice_name.encode())
        at = np.arange(int(_length_s(request.text) * request.sample_rate_hz)) / request.sample_rate_hz
        sound = (8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2").tobytes()
        while self.endless and context.is_active():
            yield tts.SynthesizeSpeechResponse(audio=sound[:2000])
        for start in range(0, len(sound), 3001):
            yield tts.SynthesizeSpeechResponse(audio=sound[start : start + 3001])


def _length_s(text: str) -> float:
    rate = re.search(r'<prosody rate="(\d+)%">', text)
    return len(re.sub("<.*?>", "", text)) * S_PER_CHARACTER * (100 / int(rate[1]) if rate else 1)


class RivaServer:
    def __init__(self, recognition: Recognition | None = None) -> None:
        self.recognition = recognition or Recognition()
        self.synthesis = Synthesis()
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_RivaSpeechRecognitionServicer_to_server(self.recognition, self._server)
        add_RivaSpeechSynthesisServicer_to_server(self.synthesis, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> "RivaServer":
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()
