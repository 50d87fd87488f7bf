"""What JMESPath computes of numbers, exactly. A number is a Decimal, or a `HugeNumber` that no Decimal can hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from functools import cmp_to_key, reduce
from typing import TypeGuard

from .exact_json import HugeNumber, spelled_number
from .items import MAX_DIGITS, Rejected

Number = Decimal | HugeNumber

MAX_SUM_DIGITS = 5_000
"""Between the first digit of a sum and its last; the numbers that DynamoDB takes need 256."""
MAX_EXPONENT_DIGITS = 1_000

_json_number = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII).fullmatch  # RFC 8259
_quotient = Context(prec=MAX_DIGITS, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, Decimal | HugeNumber)


def compare(one: Number, other: Number) -> int:
    """Below, at or above 0, as `one` is below, at or above `other`. Raises `Rejected` for an absurd exponent."""
    if isinstance(one, Decimal) and isinstance(other, Decimal):
        return (one > other) - (one < other)
    (sign, *size), (other_sign, *other_size) = _order(one), _order(other)
    if sign != other_sign:
        return sign - other_sign
    return sign * ((size > other_size) - (size < other_size))


ascending = cmp_to_key(compare)
"""The key by which numbers sort."""


def total(numbers: Sequence[Number]) -> Decimal:
    """The exact sum. Raises `Rejected` where its digits are more than anybody can store or compute."""
    if any(isinstance(number, HugeNumber) for number in numbers):
        raise _too_far_apart()
    added = [number for number in numbers if isinstance(number, Decimal) and number]
    if not added:
        return Decimal(0)
    first = max(number.adjusted() for number in added)
    last = min(_exponent(number) for number in added)
    digits = first - min(last, 0) + 1 + len(str(len(added)))
    if digits > MAX_SUM_DIGITS:
        raise _too_far_apart()
    return reduce(Context(prec=digits, Emin=MIN_EMIN, Emax=MAX_EMAX).add, added, Decimal(0))


def average(numbers: Sequence[Number]) -> Decimal:
    """Exact where 38 digits can say it, else rounded half even to 38: as many as DynamoDB keeps."""
    return _quotient.divide(total(numbers), Decimal(len(numbers)))


def absolute(number: Number) -> Number:
    if isinstance(number, HugeNumber):
        return HugeNumber(number.text.lstrip("-"))
    return number.copy_abs() if number.is_signed() else number


def ceiling(number: Number) -> Number:
    return _whole(number, ROUND_CEILING)


def floor(number: Number) -> Number:
    return _whole(number, ROUND_FLOOR)


def number_in(text: str) -> Number | None:
    """The number that is written in a text as JSON writes numbers; None where there is another text."""
    return spelled_number(text) if _json_number(text) else None


def _whole(number: Number, rounding: str) -> Number:
    if isinstance(number, HugeNumber):
        sign, exponent, _ = _order(number)
        if exponent > 0:
            return number
        return Decimal(sign if (sign > 0) == (rounding == ROUND_CEILING) else 0)
    return number.to_integral_value(rounding) or Decimal(0)  # Not -0.


def _order(number: Number) -> tuple[int, int, str]:
    """Sign (-1, 0 or 1), power of ten of the first digit, and the digits: of two sizes the larger is the larger."""
    mantissa, _, exponent = str(number).lower().partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return 0, 0, ""
    if len(exponent) > MAX_EXPONENT_DIGITS:
        raise Rejected("InvalidNumber", f"an exponent of {len(exponent):,} digits is out of range")
    power = int(exponent or 0) - len(fraction) + len(digits) - 1
    return (-1 if mantissa.startswith("-") else 1), power, digits.rstrip("0")


def _exponent(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent


def _too_far_apart() -> Rejected:
    return Rejected("InvalidNumber", f"a sum of more than {MAX_SUM_DIGITS:,} digits")
