"""All checks, in the order of a report: importing their modules adds them."""

from importlib import import_module

from tests.conformance.suite import CHECKS as CHECKS

GROUPS = ("session", "clients", "turns", "hearing", "detection", "interruption", "items", "responses", "tools", "errors", "access")
for _group in GROUPS:
    import_module(f"tests.conformance.checks_{_group}")
CHECKS.sort(key=lambda one: GROUPS.index(one.group))
