"""What a load test prints while it runs."""

import sys


def say(line: str) -> None:
    """At once, also where the output goes to a file."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
