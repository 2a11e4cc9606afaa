"""The picture of the architecture is what its script draws, and has every room in its layer."""

import re

import pytest

from scripts.draw_architecture import BOXES, HEIGHT, PICTURE, WIDTH, picture
from tests.test_layout import ROOMS


def test_the_picture_is_what_the_script_draws() -> None:
    now = picture(ROOMS)
    assert PICTURE.read_text(encoding="utf-8") == now, "run: python -m scripts.draw_architecture"


def test_every_room_is_in_it_with_its_layer() -> None:
    drawn = picture(ROOMS)
    for number, names in enumerate(reversed(ROOMS), 1):
        for name in names:
            assert re.search(rf">{number}</text>\n<text [^>]*>{name}<", drawn), f"{name} in layer {number}"


def test_a_room_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place for attic"):
        picture((*ROOMS, ("attic",)))


def test_no_box_lies_on_another_or_outside() -> None:
    for i, one in enumerate(BOXES):
        assert one.x >= 0
        assert one.x + one.width <= WIDTH
        assert one.y + one.height <= HEIGHT
        for other in BOXES[:i]:
            beside = one.x >= other.x + other.width or other.x >= one.x + one.width
            assert beside or one.y >= other.y + other.height or other.y >= one.y + one.height, (one, other)
