"""The dashboard as a file: that Grafana can import it, and that it shows what there is. Its queries are asked in test_prometheus.py."""

import json
import re
from itertools import combinations
from typing import Any

from serve_app.measures import MEASURES
from tests.real_server import ROOT

TEXT = (ROOT / "cluster" / "dashboards" / "sparkvox.json").read_text()
DASHBOARD: dict[str, Any] = json.loads(TEXT)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def test_the_data_source_is_chosen_by_a_variable_and_named_nowhere() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("datasource", "datasource", "prometheus")
    shown = [panel for panel in PANELS if panel["type"] != "row"]
    sources = [one["datasource"] for panel in shown for one in (panel, *panel["targets"])]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_an_import_is_given_ids_by_grafana_and_keeps_its_own_address() -> None:
    assert "id" not in DASHBOARD and DASHBOARD["uid"] == "sparkvox" and DASHBOARD["schemaVersion"] >= 36
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_no_two_panels_lie_over_each_other_and_none_beyond_the_edge() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above, (one, other)


def test_every_measure_is_on_it() -> None:
    asked = {re.sub("_(bucket|count)$", "", name) for query in QUERIES for name in re.findall(r"ray_(sparkvox_\w+)", query)}
    assert asked == {measure.name for measure in MEASURES}


def test_no_query_stands_where_it_is_not_asked() -> None:
    """In a folded row, an annotation or a variable."""
    assert TEXT.count('"expr"') == len(QUERIES) and not DASHBOARD["annotations"]["list"]


def test_every_panel_says_what_it_is() -> None:
    assert all(panel["title"] and ("description" in panel or panel["type"] == "row") for panel in PANELS)
