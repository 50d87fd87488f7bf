"""The list of mutants fits the code: each can still be made, and its property still exists."""

import ast

import pytest

from tests.property.mutants import MUTANTS, ROOT, Mutant, source


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_made_of_the_code_as_it_is(mutant: Mutant) -> None:
    text = (ROOT / source(mutant)).read_text()

    assert text.count(mutant.old) == 1
    ast.parse(text.replace(mutant.old, mutant.new))


@pytest.mark.parametrize("killer", sorted({mutant.killer for mutant in MUTANTS}))
def test_the_property_that_must_fail_exists(killer: str) -> None:
    file, _, name = killer.partition("[")[0].partition("::")

    assert f"def {name}(" in (ROOT / "tests" / "property" / file).read_text()
