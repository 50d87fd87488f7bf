"""Every lane, what it is compared with, how far ahead it is to be, and what the peer leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.benchmarks.lanes.bodies import VERSION
from tests.benchmarks.processes import KEY
from tests.benchmarks.records import MEDIUM, SMALL, TABLE, Load
from tests.benchmarks.rounds import Scale

SIZES = {SMALL: "300 B", MEDIUM: "1 KB"}
PACKINGS = {1: "one a message", 100: "100 a message"}
VERSIONED = {"TABLES": json.dumps([{"alias": "orders", "name": TABLE, **KEY, "version": VERSION}])}
BATCHES = "checks of items, which message failed"
SINGLE = "checks of items, which message failed, several at once"


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the matrix."""

    name: str
    form: str
    """Of the messages; see bodies.py."""
    peer: str
    goal: float
    aim: float
    leaves_out: str
    record_bytes: int = SMALL
    per_message: int = 1
    environ: Mapping[str, str] = field(default_factory=dict)
    """What is set for the function beside what Lambda sets."""
    peers_form: str = ""
    """Where the peer gets the same records in other messages."""
    share: int = 1
    """Of the usual records of an event, one in so many."""
    peers_share: int = 1
    records: int | None = None
    """Of an event, whatever is usual."""

    def load(self, scale: Scale) -> Load:
        return self._load(scale, self.share, self.form)

    def peers_load(self, scale: Scale) -> Load:
        return self._load(scale, self.peers_share, self.peers_form or self.form)

    def _load(self, scale: Scale, share: int, form: str) -> Load:
        return Load(self.records or scale.records // share, self.record_bytes, self.per_message, form)


def _puts_and_deletes() -> Iterator[Lane]:
    for form, plain in (("put", "put"), ("delete", "delete"), ("native put", "put"), ("native delete", "delete")):
        for size in SIZES if plain == "put" else [SMALL]:
            for packing in PACKINGS:
                named = f"{form if form != plain else f'plain {plain}'}s"
                sized = f", {SIZES[size]}" if plain == "put" else ""
                out = BATCHES if form == plain else f"DynamoDB JSON (it gets plain JSON), {BATCHES}"
                yield Lane(
                    f"{named}{sized}, {PACKINGS[packing]}",
                    form,
                    "json.loads + batch_writer",
                    goal=12,
                    aim=16,
                    leaves_out=out,
                    record_bytes=size,
                    per_message=packing,
                    peers_form=plain,
                )


def _single_writes() -> Iterator[Lane]:
    """The peer's cost of a record does not depend on how many there are: it gets few."""

    def lane(
        name: str, form: str, peer: str, out: str = SINGLE, size: int = SMALL, environ: Mapping[str, str] | None = None
    ) -> Lane:
        return Lane(name, form, peer, 12, 20, out, record_bytes=size, environ=environ or {}, share=2, peers_share=10)

    for size, named in SIZES.items():
        out = f"attempts of unknown outcome, {SINGLE}"
        yield lane(
            f"puts on a table with a version, {named}", "put", "boto3 put_item, newest wins", out, size, VERSIONED
        )
    for form in ("conditional put", "conditional delete"):
        yield lane(f"{form}s", form, "boto3 put_item or delete_item")
    yield lane("updates", "update", "boto3 update_item")
    out = f"several operations a message (its token is the message's id), {SINGLE}"
    yield lane("updates once", "update", "boto3 transact_write_items", out, environ={"UPDATE_ONCE": "true"})


def _envelopes() -> Iterator[Lane]:
    def lane(name: str, form: str, peer: str, out: str, **environ: str) -> Lane:
        return Lane(name, form, peer, 8, 12, f"{out}{BATCHES}", environ=environ)

    yield lane(
        "SNS envelope",
        "sns",
        "Powertools + batch_writer, SNS",
        "the way from floats to decimals (`powertools_json` makes floats, which boto3 refuses: Powertools opens "
        "`Message`, and json.loads keeps the digits), ",
        RECORD_EXPRESSION="powertools_json(Message)",
    )
    yield lane(
        "EventBridge `detail`",
        "eventbridge",
        "Powertools + batch_writer, EventBridge",
        "",
        RECORD_EXPRESSION="detail",
        RECORD_FORMAT="item",
    )
    yield lane(
        "`recordFormat=item`",
        "item",
        "json.loads + batch_writer, items",
        "Powertools (there is no envelope to open), ",
        RECORD_FORMAT="item",
    )


def _unusual() -> Iterator[Lane]:
    yield Lane(
        "plain puts, no two written alike, 300 B, one a message",
        "odd put",
        "json.loads + batch_writer",
        goal=12,
        aim=16,
        leaves_out=BATCHES,
    )
    yield Lane(
        "an embedding of 1,024 signed floats",
        "embedding",
        "json.loads + batch_writer",
        goal=12,
        aim=20,
        leaves_out=BATCHES,
        share=20,
        peers_share=20,
    )
    for form in ("sets", "binary", "deep maps"):
        yield Lane(
            f"{form} in DynamoDB JSON",
            form,
            "batch_writer, values made before",
            goal=8,
            aim=12,
            leaves_out=f"the way from DynamoDB JSON to Python values (they are made before), {BATCHES}",
        )

    # Ten messages are the most that Lambda gives a function of a FIFO queue.
    out = f"order of groups (it sends all in one batch), {BATCHES}"
    yield Lane("a FIFO batch of ten", "fifo", "json.loads + batch_writer", 4, 8, out, records=10)


LANES = (*_puts_and_deletes(), *_single_writes(), *_envelopes(), *_unusual())
