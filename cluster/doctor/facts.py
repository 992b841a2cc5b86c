"""What is known of one machine. Everything may be unknown (None), because a machine need not have it, and may not tell.

Facts are data: no rule looks at the machine, and facts that were written to a file on another machine are judged like one's own.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict

from serve_app.errors import SparkvoxError


class FactsUnreadable(SparkvoxError):
    """A file does not hold what `sparkvox doctor --facts` writes."""


class Fact(BaseModel):
    # A newer version may know more: what is unknown here is left out, not refused.
    model_config = ConfigDict(frozen=True, extra="ignore")


class Trial(Fact):
    """Something that was done, and not only looked at."""

    works: bool
    reason: str = ""
    """Where it does not: the first line of what was said."""


class Machine(Fact):
    node: str
    """The host name."""
    architecture: str
    """As `uname -m` says it."""
    system: str = ""
    kernel: str = ""
    python: str
    product: str = ""
    """What the firmware calls the machine."""
    gathered_s: float
    """Unix time."""


class Memory(Fact):
    total: int
    """Bytes, as are all of these."""
    available: int
    swap_total: int
    swap_used: int
    pressure: bool
    """Whether the kernel tells how long work waits for memory (PSI)."""


class Gpu(Fact):
    name: str
    capability: str
    """12.1 for sm_121."""
    driver: str
    memory: int | None = None
    """Bytes of its own. None: it shares the machine's, and NVML says Not Supported."""


class Wheel(Fact):
    """An installed package."""

    version: str
    tags: tuple[str, ...] = ()
    """cp312-cp312-manylinux_2_28_aarch64 and the like."""
    foreign: str = ""
    """The processor that a library of it was made for, where that is another than this one."""
    cudart: tuple[int, ...] = ()
    """Versions of libcudart that its libraries were linked against."""


class Packages(Fact):
    installed: dict[str, Wheel]
    unmet: tuple[tuple[str, str, str], ...] = ()
    """Package, what it wants, and what is here (empty: nothing)."""
    cudart: tuple[int, ...] = ()
    """Versions of libcudart that can be found: beside the packages, by the loader, in the toolkit."""


class Torch(Fact):
    version: str
    cuda: str | None = None
    """The CUDA that it was built for. None: it was built without."""
    available: bool = False
    """Whether it sees the GPU."""
    architectures: tuple[str, ...] = ()
    """sm_80, sm_120, compute_120, ..."""
    reason: str = ""


class Ptxas(Fact):
    """The assembler that Triton takes for this chip."""

    path: str
    version: str
    variable: str
    """The environment variable that names another."""
    takes: Trial
    """Whether it knows this chip."""


class Interface(Fact):
    name: str
    driver: str = ""
    up: bool
    speed: int | None = None
    """Mbit/s."""
    mtu: int
    addresses: tuple[str, ...] = ()


class Rdma(Fact):
    name: str
    interface: str
    active: bool


class Network(Fact):
    interfaces: tuple[Interface, ...] = ()
    rdma: tuple[Rdma, ...] = ()
    listening: dict[int, str] = {}
    """Port: the name of the process, empty where it is not told."""
    locked_memory: int | None = None
    """Bytes that a process may lock. None: without limit."""


class Token(Fact):
    fingerprint: str
    """Of the secret that nodes of a Ray cluster show each other: enough to compare two, too little to guess one."""
    readable_by_others: bool = False


class Ray(Fact):
    running: bool
    nodes: int = 1
    environment: dict[str, str] = {}
    """RAY_, NCCL_ and VLLM_ variables of the raylet, or of this shell where none runs; no secrets."""
    token: Token | None = None


class Clock(Fact):
    synchronised: bool | None = None
    offset_s: float | None = None
    """How far it is ahead of the clock of the node that asked."""
    uncertain_s: float = 0.0


class Disk(Fact):
    cache: str
    """The folder of weights and kernels."""
    free: int
    """Bytes, as is the next."""
    kernels: int
    """What is cached for the installed versions and this chip."""


class Chosen(Fact):
    """What is to run here, of the settings."""

    profile: str
    engines: dict[str, str]
    """By the setting's section: vad, turn, stt, llm, tts."""
    lacking: dict[str, str] = {}
    """Engine: what it lacks here."""
    options: dict[str, dict[str, str]] = {}
    """The options that rules ask about, as text, by section."""
    weights_missing: tuple[str, ...] = ()
    refusal: str = ""
    """Why the memory plan refuses it."""
    gpu: bool = False
    """Whether an engine is to run on the GPU."""
    nodes: int = 1
    """That the engines are to be spread over."""


class Facts(Fact):
    machine: Machine
    memory: Memory | None = None
    gpus: tuple[Gpu, ...] = ()
    gpu_device: bool = False
    """Whether the driver's files are there, be the driver well or not."""
    packages: Packages
    torch: Torch | None = None
    operations: dict[str, Trial] = {}
    """What was computed on the GPU and compared with the CPU (patches/torch_capabilities.py); empty without a GPU."""
    nvrtc: tuple[int, ...] | None = None
    """Architectures that the NVRTC beside PyTorch compiles for: 120, 121, ..."""
    nvcc: str | None = None
    """Its version. None: there is none."""
    ptxas: Ptxas | None = None
    trials: dict[str, Trial] = {}
    """By name: triton, nccl, phonemes, audio files, importing torchaudio, ..."""
    network: Network = Network()
    ray: Ray = Ray(running=False)
    clock: Clock = Clock()
    disk: Disk | None = None
    chosen: Chosen | None = None
    environment: dict[str, str] = {}
    """Variables of this shell that libraries read."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises `FactsUnreadable`."""
        try:
            return cls.model_validate_json(text)
        except ValueError as error:
            raise FactsUnreadable(f"this is not what `sparkvox doctor --facts` writes: {str(error).splitlines()[0]}") from error

    @property
    def gpu(self) -> Gpu | None:
        return self.gpus[0] if self.gpus else None

    @property
    def wants_gpu(self) -> bool:
        """A machine whose GPU shares its memory was bought for that, whatever the settings say."""
        return self.unified or self.chosen is None or self.chosen.gpu

    @property
    def unified(self) -> bool:
        """Whether GPU and CPU share the memory, as on the GB10."""
        return self.gpu is not None and (self.gpu.memory is None or "GB10" in self.gpu.name)

    @property
    def stack(self) -> tuple[Interface, ...]:
        """The ConnectX interfaces that have a cable and a partner."""
        return tuple(one for one in self.connectx if one.up)

    @property
    def connectx(self) -> tuple[Interface, ...]:
        return tuple(one for one in self.network.interfaces if one.driver == "mlx5_core")
