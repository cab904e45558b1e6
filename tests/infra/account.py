"""A reader of synthesised templates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass
class Account:
    """The synthesised templates, read as one account."""

    folder: Path
    stacks: Mapping[str, Json]

    def resources(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every resource of a type as (logical id, whole resource)."""
        for template in self.stacks.values():
            for name, resource in template["Resources"].items():
                if resource["Type"] == kind:
                    yield name, resource

    def properties(self, kind: str) -> dict[str, Json]:
        return {name: resource["Properties"] for name, resource in self.resources(kind)}

    def one(self, kind: str, prefix: str) -> Json:
        """The properties of the one resource of a type whose logical id starts with a prefix."""
        found = [p for name, p in self.properties(kind).items() if name.startswith(prefix)]
        assert len(found) == 1, f"{kind} {prefix}*: {len(found)}"
        return found[0]

    def text(self, value: object) -> str:
        """A value with every reference replaced by the logical id it leads to, across stacks."""
        if not isinstance(value, dict):
            return str(value)
        (function, argument), *_ = value.items()
        if function == "Ref":
            return str(argument)
        if function == "Fn::Sub":
            return str(argument)
        if function == "Fn::GetAtt":
            return str(argument[0]) if argument[1] == "Arn" else ".".join(argument)
        if function == "Fn::Join":
            return str(argument[0]).join(self.text(part) for part in argument[1])
        if function == "Fn::ImportValue":
            return self.text(self._exports[argument])
        raise AssertionError(f"unexpected {function}")

    @cached_property
    def _exports(self) -> dict[str, Any]:
        outputs = [o for template in self.stacks.values() for o in template.get("Outputs", {}).values()]
        return {o["Export"]["Name"]: o["Value"] for o in outputs if "Export" in o}

    def statements(self, role: str) -> list[Json]:
        """Every statement that allows a role something; the role's logical id is a prefix."""
        found: list[Json] = []
        for policy in self.properties("AWS::IAM::Policy").values():
            if any(self.text(owner).startswith(role) for owner in policy["Roles"]):
                found += policy["PolicyDocument"]["Statement"]
        return found

    def allowed(self, role: str) -> set[tuple[str, str]]:
        """What a role may do as (action, resource)."""
        pairs: set[tuple[str, str]] = set()
        for statement in self.statements(role):
            assert statement["Effect"] == "Allow"
            for action in _many(statement["Action"]):
                pairs |= {(action, self.text(resource)) for resource in _many(statement["Resource"])}
        return pairs

    def who_may(self, action: str, resource: str) -> set[str]:
        """The roles (without their hash) that may do an action on a resource, by prefixes of both."""
        roles = [name for name, _ in self.resources("AWS::IAM::Role")]
        return {
            role[:-8]
            for role in roles
            for allowed, target in self.allowed(role)
            if allowed.startswith(action) and target.startswith(resource)
        }


def _many(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else [value]
