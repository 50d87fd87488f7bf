"""Parameters that are obviously right by botocore's model, told in a tenth of the time that its own validator takes."""

from collections.abc import Callable
from typing import Any

from botocore.model import Shape

Check = Callable[[Any], bool]
"""True only for what botocore's validator has nothing to say about; False means that it has to be asked."""


class Checks:
    """For each shape of one service its check, made when it is first needed."""

    def __init__(self) -> None:
        self._made: dict[str, Check] = {}

    def of(self, shape: Shape) -> Check:
        """The check of a shape."""
        if shape.name not in self._made:
            # Values hold values: a shape must be known before its members are looked at.
            self._made[shape.name] = lambda value: made(value)
            made = self._made[shape.name] = self._make(shape)
        return self._made[shape.name]

    def _make(self, shape: Shape) -> Check:
        least = shape.metadata.get("min", 0)
        match shape.type_name:
            case "structure" if not shape.is_document_type:
                return self._structure(shape)
            case "map":
                key, inner = self.of(shape.key), self.of(shape.value)
                return lambda value: type(value) is dict and all(map(key, value)) and all(map(inner, value.values()))
            case "list":
                member = self.of(shape.member)
                return lambda value: type(value) is list and len(value) >= least and all(map(member, value))
            case "string":
                return lambda value: type(value) is str and len(value) >= least
            case "integer" | "long":
                return lambda value: type(value) is int and value >= least
            case "boolean":
                return lambda value: type(value) is bool
            case "blob":
                return lambda value: type(value) is bytes
        return lambda _: False

    def _structure(self, shape: Any) -> Check:
        required, is_union = shape.required_members, shape.is_tagged_union
        members = {name: self.of(member) for name, member in shape.members.items()}

        def check(value: Any) -> bool:
            if type(value) is not dict or (is_union and len(value) != 1):
                return False
            for name in required:
                if name not in value:
                    return False
            for name, inner in value.items():  # noqa: SIM110  # A generator would cost more than the loop itself.
                if name not in members or not members[name](inner):
                    return False
            return True

        return check
