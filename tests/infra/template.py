"""A CloudFormation template with the questions that tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import reading
from sluice.message.settings import Settings
from tests.infra import cdk

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Template:
    """A synthesised stack."""

    content: dict[str, Any]
    acknowledged: Mapping[str, str]
    """cdk-nag's rule → why it does not fit a construct of this stack."""

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

    def allowed(self, kind: str, document: str = "PolicyDocument") -> Iterator[dict[str, Any]]:
        """Every statement that allows something, of all policies of one type."""
        for properties in self.all(kind).values():
            for statement in resolved(properties[document]["Statement"]):
                if statement["Effect"] == "Allow":
                    yield statement


def synthesise(directory: Path, context: Mapping[str, Any], *, is_validated: bool = False) -> Template:
    """Synthesise with these settings as `cdk synth` does, cdk-nag and cdk.json's flags included, package excluded.

    Only where `is_validated` with CDK's own check of templates, which takes each process seconds to load.
    """
    config = reading.from_context(context)
    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(directory), context={**flags, "aws:cdk:bundling-stacks": []})
    cdk.SluiceStack(app, config)
    cdk.nag.add_checks(app)
    if is_validated:
        cdk.Validations.of(app).add_plugins(cdk.CloudFormationValidatePlugin())
    app.synth()
    return Template(
        content=json.loads((directory / f"{config.full_name}.template.json").read_text()),
        acknowledged=_acknowledged(json.loads((directory / f"{config.full_name}.metadata.json").read_text())),
    )


def _acknowledged(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        rule.removeprefix("Annotation::"): reason
        for entries in metadata.values()
        for entry in entries
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for rule, reason in entry["data"].items()
    }


def resolved(value: Any) -> Any:
    """The value with `Fn::Join`, `Ref` and `Fn::GetAtt` as text; a resource is its logical id."""
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


def functions_settings(template: Template) -> Settings:
    """The settings that the function reads from its environment; logical ids stand for queue and tables."""
    environ = resolved(template.only("AWS::Lambda::Function")["Environment"]["Variables"])
    return Settings.from_environ({**environ, "DEAD_LETTER_QUEUE_URL": f"https://{environ['DEAD_LETTER_QUEUE_URL']}"})
