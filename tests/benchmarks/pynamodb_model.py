"""The records as a PynamoDB model: every attribute declared, as its tutorial does."""

# mypy: disable-error-code="misc, no-untyped-call, import-not-found, no-any-return"
# PynamoDB is only in .venv-bench: to mypy its classes are Any.
from __future__ import annotations

import os
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NullAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.models import Model

from tests.benchmarks.records import TABLE


class Address(MapAttribute):
    city = UnicodeAttribute()
    zip = NumberAttribute()


class Position(MapAttribute):
    lat = NumberAttribute()
    lon = NumberAttribute()


class Line(MapAttribute):
    sku = UnicodeAttribute()
    quantity = NumberAttribute()
    price = NumberAttribute()
    name = UnicodeAttribute()


class Order(Model):
    class Meta:
        table_name = TABLE
        host = os.environ["AWS_ENDPOINT_URL_DYNAMODB"]
        region = os.environ["AWS_REGION"]

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    quantity = NumberAttribute()
    total = NumberAttribute()
    paid = BooleanAttribute()
    address = Address()
    position = Position()
    tags = ListAttribute()
    note = UnicodeAttribute()
    email = UnicodeAttribute(null=True)
    trace = UnicodeAttribute(null=True)
    weight = NumberAttribute(null=True)
    balance = NumberAttribute(null=True)
    coupon = NullAttribute(null=True)
    express = BooleanAttribute(null=True)
    warehouse = UnicodeAttribute(null=True)
    lines = ListAttribute(of=Line, null=True)


def from_json(record: dict[str, Any]) -> Order:
    record["address"] = Address(**record["address"])
    record["position"] = Position(**record["position"])
    if "lines" in record:
        record["lines"] = [Line(**line) for line in record["lines"]]
    return Order(**record)
