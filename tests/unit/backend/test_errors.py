"""An error says what, why and what instead, at every door the same, and crosses them as what it is."""

from __future__ import annotations

import pytest

from backend.errors import BY_CODE, BadInput, HNeuronsError, ModelError, Stopped, StoreError, Unknown, in_tree
from cache import errors as ground


@pytest.mark.parametrize("kind", BY_CODE.values())
def test_an_error_comes_back_from_json_as_its_own_class(kind: type[HNeuronsError]) -> None:
    error = kind("It is too long", "it has 9 and 5 are read", "shorten it")
    again = HNeuronsError.from_json(error.to_json())
    assert type(again) is kind
    assert again.to_json() == error.to_json()
    assert str(again) == "It is too long: it has 9 and 5 are read; shorten it."


def test_no_two_kinds_share_a_code() -> None:
    def below(kind: type[HNeuronsError]) -> list[type[HNeuronsError]]:
        return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]

    kinds = below(HNeuronsError)
    assert len({kind.code for kind in kinds}) == len(kinds) == len(BY_CODE)


def test_an_unknown_code_is_still_an_error_with_its_three_parts() -> None:
    again = HNeuronsError.from_json({"code": "newer", "what": "A", "why": "b", "instead": "c"})
    assert type(again) is HNeuronsError
    assert again.sentence == "A: b; c."


@pytest.mark.parametrize(
    "kind", [kind for kind in BY_CODE.values() if issubclass(kind, (BadInput, ModelError, Unknown))]
)
def test_input_that_cannot_be_honoured_ends_with_status_two(kind: type[HNeuronsError]) -> None:
    assert kind.exit_status == 2
    assert 400 <= kind.http_status < 500


def test_stop_explains_itself() -> None:
    assert str(Stopped()) == "The run was stopped: Stop was pressed; press Run to start it again."


def below(kind: type[ground.ExpectedError]) -> list[type[ground.ExpectedError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in below(child))]


@pytest.mark.parametrize("kind", below(ground.StoreProblem))
def test_every_error_of_the_ground_floor_has_the_three_parts_and_its_place_in_the_tree(
    kind: type[ground.ExpectedError],
) -> None:
    error = kind("It is too long", "it has 9 and 5 are read", "shorten it")
    assert str(error) == error.sentence == "It is too long: it has 9 and 5 are read; shorten it."
    assert in_tree(error).sentence == error.sentence
    assert type(in_tree(error)) is (BadInput if kind is ground.BadKey else StoreError)


def test_an_error_of_the_tree_is_itself() -> None:
    error = Stopped()
    assert in_tree(error) is error and isinstance(error, ground.ExpectedError)


def test_no_expected_error_stands_beside_the_base() -> None:
    assert {kind.__name__ for kind in ground.ExpectedError.__subclasses__()} == {"StoreProblem", "HNeuronsError"}
