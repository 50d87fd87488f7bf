"""A CloudFormation template as tests ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.config import Config
from infra.stack import SluiceStack

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Template:
    """A synthesised stack."""

    content: dict[str, Any]

    def ids(self, kind: str) -> set[str]:
        """Logical ids of the resources of one type, such as `AWS::SQS::Queue`."""
        return {name for name, resource in self.content["Resources"].items() if resource["Type"] == kind}

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Logical id → properties, of the resources of one type."""
        return {name: self.content["Resources"][name].get("Properties", {}) for name in self.ids(kind)}

    def only(self, kind: str) -> dict[str, Any]:
        """The properties of the one resource of this type."""
        (properties,) = self.all(kind).values()
        return properties

    def resource(self, name: str) -> dict[str, Any]:
        resource: dict[str, Any] = self.content["Resources"][name]
        return resource


def synthesise(directory: Path, config: Config) -> Template:
    """Synthesise as `cdk synth` does, with the feature flags of cdk.json, but without the function's package."""
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = App(outdir=str(directory), context={**flags, "aws:cdk:bundling-stacks": []})
    SluiceStack(app, config)
    app.synth()
    return Template(json.loads((directory / f"{config.stack_name}.template.json").read_text()))


def resolved(value: Any) -> Any:
    """`Fn::Join`, `Ref` and `Fn::GetAtt` made into text, a resource by its logical id."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return separator.join(resolved(part) for part in parts)
        case {"Ref": name}:
            return name
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case dict():
            return {key: resolved(content) for key, content in value.items()}
        case list():
            return [resolved(content) for content in value]
        case _:
            return value
