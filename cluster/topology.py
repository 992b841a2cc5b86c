"""The nodes of each topology; what runs on them are defaults of the settings (serve_app/profiles.py), which `topology=NAME` brings in."""

from dataclasses import dataclass

from serve_app.profiles import ROLE, TopologyName

GB = 10**9

SPARK_BYTES = 121 * GB
"""What software can use of a DGX Spark's 128 GB."""


@dataclass(frozen=True, slots=True)
class Node:
    name: str
    role: str = ""
    """What it is preferred for: the value of the label `ROLE`. Empty: nothing in particular."""
    usable_bytes: int | None = SPARK_BYTES
    """Of memory, shared by CPU and GPU. None: whatever the machine has."""
    gpu: bool = True

    @property
    def labels(self) -> dict[str, str]:
        """For `ray start --labels`."""
        return {ROLE: self.role} if self.role else {}


@dataclass(frozen=True, slots=True)
class Topology:
    name: TopologyName
    about: str
    nodes: tuple[Node, ...]
    """The first is Ray's head."""


TOPOLOGIES: dict[TopologyName, Topology] = {
    topology.name: topology
    for topology in (
        Topology(TopologyName.LAPTOP, "one machine without a GPU", (Node("laptop", usable_bytes=None, gpu=False),)),
        Topology(TopologyName.ONE_SPARK, "everything on one Spark", (Node("spark-1"),)),
        Topology(TopologyName.TWO_SPARKS, "everything on both Sparks", (Node("spark-1"), Node("spark-2"))),
        Topology(
            TopologyName.TWO_SPARKS_SPLIT,
            "speech on one Spark, the language model alone on the other",
            (Node("spark-1", "speech"), Node("spark-2", "language")),
        ),
        Topology(
            TopologyName.TWO_SPARKS_TP,
            "one language model over both Sparks (tensor parallel), speech on the first",
            (Node("spark-1", "speech"), Node("spark-2")),
        ),
    )
}
