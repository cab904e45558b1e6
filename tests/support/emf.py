"""Lines of CloudWatch's embedded metric format, checked against its specification."""

import json
from dataclasses import dataclass
from typing import Any

_UNITS = {"Count", "Seconds"}


@dataclass(frozen=True)
class Line:
    """What one line says."""

    namespace: str
    dimensions: dict[str, str]
    values: dict[str, list[float]]
    units: dict[str, str]


def lines(text: str) -> list[Line]:
    """Return the metric lines of an output; other lines are passed over.

    The rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    found = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return [_line(each) for each in found if "_aws" in each]


def _line(root: dict[str, Any]) -> Line:
    assert isinstance(root["_aws"]["Timestamp"], int)
    (directive,) = root["_aws"]["CloudWatchMetrics"]
    assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
    (names,) = directive["Dimensions"]
    assert 1 <= len(names) <= 30 and set(names) <= set(root)
    dimensions = {name: root[name] for name in names}
    assert all(isinstance(value, str) and 1 <= len(value) <= 1024 for value in dimensions.values())
    assert 1 <= len(directive["Metrics"]) <= 100
    values, units = {}, {}
    for metric in directive["Metrics"]:
        assert set(metric) == {"Name", "Unit"} and metric["Unit"] in _UNITS
        said = root[metric["Name"]]
        numbers = said if isinstance(said, list) else [said]
        assert 1 <= len(numbers) <= 100 and all(isinstance(number, int | float) for number in numbers)
        values[metric["Name"]], units[metric["Name"]] = numbers, metric["Unit"]
    # Nothing else: what is no metric and no dimension would be a property that anybody can search for.
    assert set(root) == {"_aws", *dimensions, *values}
    return Line(directive["Namespace"], dimensions, values, units)
