"""That the documentation has every measure, each as it is, and how figures come to Ray."""

import re

import pytest

from serve_app.measures import DRAFTS, MEASURES, WAITS, Kind, Measure, Tally
from tests.real_server import ROOT

TABLE = re.findall(r"^\| `(sparkvox_\w+)` \| (\w+) \| ([^|]*) \|", (ROOT / "docs" / "observability.md").read_text(), re.MULTILINE)


def test_the_table_has_every_measure_and_no_other() -> None:
    assert [name for name, _, _ in TABLE] == [measure.name for measure in MEASURES]


@pytest.mark.parametrize(("measure", "row"), list(zip(MEASURES, TABLE, strict=False)), ids=[measure.name for measure in MEASURES])
def test_the_table_has_each_measure_as_it_is(measure: Measure, row: tuple[str, str, str]) -> None:
    name, kind, label = row
    said = f"{measure.label}: {', '.join(measure.values)}" if measure.label else ""
    assert (name, kind, label.replace("`", "").strip()) == (measure.name, measure.kind, said)


@pytest.mark.parametrize("measure", MEASURES, ids=[measure.name for measure in MEASURES])
def test_names_tell_what_is_counted_in_which_unit(measure: Measure) -> None:
    assert re.fullmatch(r"sparkvox_[a-z_]+", measure.name)
    assert measure.name.endswith("_total") is (measure.kind is Kind.COUNTER)
    assert not re.search(r"_(ms|minutes|kb|mb|gb|percent)(_|$)", measure.name)
    assert bool(measure.buckets) is (measure.kind is Kind.HISTOGRAM) and list(measure.buckets) == sorted(measure.buckets)
    assert len(measure.values) <= 7


def test_waits_are_told_apart_from_20_ms_to_20_s() -> None:
    assert (WAITS[0], WAITS[-1]) == (0.02, 20.0)
    assert all(later / earlier <= 2 for earlier, later in zip(WAITS, WAITS[1:], strict=False))


def test_a_label_has_no_value_that_is_not_declared() -> None:
    with pytest.raises(AssertionError, match="no outcome"):
        Tally().count(DRAFTS, of="perhaps")
