"""What is on the screen, asked at places in the image."""

import io

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from tests.browser.steps import until

_PLACE = """([x, y]) => {
    const point = document.querySelector('.pane [data-marks]').getScreenCTM();
    return [point.a * x + point.c * y + point.e, point.b * x + point.d * y + point.f];
}"""


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a place in the image is, in columns and rows from its top left corner."""
    left, top = page.evaluate(_PLACE, [x, y])
    return left, top


def shown(page: Page, *places: tuple[float, float]) -> list[int]:
    """Return the grey levels on the screen at places in the image."""
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(scale="css"))).convert("L"))
    found = [on_screen(page, *place) for place in places]
    return [int(pixels[round(y), round(x)]) for x, y in found]


def expect_shown(page: Page, places: list[tuple[float, float]], wanted: list[int]) -> None:
    """Wait until the grey levels at places in the image are those wanted: words are there before the pixels."""

    def near() -> bool:
        levels = shown(page, *places)
        return all(abs(level - want) <= 3 for level, want in zip(levels, wanted, strict=True))

    until(page, near, f"grey levels {wanted}")
