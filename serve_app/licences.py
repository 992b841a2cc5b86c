"""The licence of what is about to be fetched: shown always; where it forbids commercial use, or binds whoever offers the server to others
(AGPL), fetched only after an explicit yes.

The yes names the licence, not the model: `models.accept_licences=cc-by-nc-4.0`, or the environment variable, which reaches every process.
"""

import logging
import os
import re

from serve_app.errors import ArtifactMissing

log = logging.getLogger(__name__)

ACCEPTED_VARIABLE = "SPARKVOX_ACCEPT_LICENCES"
"""Names of licences, with commas or spaces between them."""
NOT_STATED = "not stated"
_RESTRICTED = {
    r"(^|[^a-z])nc([^a-z]|$)|non-?commercial|research": "which forbids commercial use",
    r"agpl": "which makes whoever offers it over a network give away the source of what is built with it",
}


class LicenceNotAccepted(ArtifactMissing):
    """Nothing was fetched: `licence` needs a yes first."""

    def __init__(self, name: str, licence: str, reason: str) -> None:
        super().__init__(
            f"{name} is under {licence}, {reason}. If that suits you, say so: models.accept_licences={licence}, "
            f"or `sparkvox models fetch {name} --accept-licence {licence}`"
        )
        self.licence = licence


def show(name: str, licence: str) -> None:
    """Says the licence of what is fetched next. Raises `LicenceNotAccepted`."""
    if (reason := restriction(licence)) and licence.lower() not in accepted():
        raise LicenceNotAccepted(name, licence, reason)
    log.info("%s is fetched; its licence: %s", name, licence)


def restriction(licence: str) -> str:
    """Why this licence needs a yes; empty where it needs none."""
    return next((reason for pattern, reason in _RESTRICTED.items() if re.search(pattern, licence.lower())), "")


def accepted() -> set[str]:
    return {name.lower() for name in re.split(r"[,\s]+", os.environ.get(ACCEPTED_VARIABLE, "")) if name}


def accept(names: "tuple[str, ...] | list[str]") -> None:
    """For this process and those that it starts."""
    os.environ[ACCEPTED_VARIABLE] = ",".join(sorted(accepted() | {name.lower() for name in names}))
