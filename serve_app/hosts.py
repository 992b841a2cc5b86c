"""By which names the server may be called: the `Host` header of a request, held to a list.

A web page can have the name of its own site point at this machine (DNS rebinding). What it then asks for comes from this machine, has an
`Origin` that is the same as its `Host`, and would be answered like the server's own page. Only the name tells them apart: a browser always
sends the one that stands in its address bar. An address in numbers is never rebound.
"""

import re
from ipaddress import IPv6Address, ip_address

ANY = "*"
DEFAULT_PORTS = {"http": ":80", "https": ":443", "ws": ":80", "wss": ":443"}
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_-])?)\.?)(?::[0-9]*)?")
"""RFC 9110, 7.2: a name or an address, and perhaps a port."""


def host_name(header: str) -> str | None:
    """A `Host` header in lower case without its port and the dot that may end a name; None where it is no name and no address."""
    found = _HOST.fullmatch(header.strip().lower()) if header.isascii() else None
    if found is None:
        return None
    if found["ipv6"] is not None:
        return found["ipv6"] if is_address(found["ipv6"]) else None
    return found["name"]


def is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def allowed_name(given: str) -> str:
    """One entry of the setting, as `admission.known_host` compares it. Raises ValueError."""
    text = given.strip().lower()
    if text == ANY:
        return text
    wildcard = "*." if text.startswith("*.") else ""
    rest = text.removeprefix(wildcard)
    name = rest if is_address(rest) else host_name(rest)
    if name is None or (wildcard and is_address(name)):
        raise ValueError(f"{given!r} is no host name; write it as clients do between :// and the next slash, like voice.example.org")
    return f"{wildcard}{IPv6Address(name) if ':' in name else name}"


def same_origin(origin: str, host: str) -> bool:
    """Whether a page of `origin` was served under the name and port of this `Host` header. The default port may be written or not."""
    scheme, separator, place = origin.lower().partition("://")
    port = DEFAULT_PORTS.get(scheme, "")
    return bool(separator) and bool(port) and place.removesuffix(port) == host.strip().lower().removesuffix(port)
