"""Take a picture of a page of results: python docs/screenshot.py PAGE PICTURE [--width 1280] [--address ...].

Needs Chromium (apt-get install --no-install-recommends chromium), and playwright of the dependency group
`test`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from dmix.errors import DmixError
from dmix.files import atomic_write

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
RATIO = 4 / 5  # height of a picture in units of its width, on a wide screen
PHONE, PHONE_RATIO = 640, 2.0


def browser() -> str:
    """Return the path of a browser of the Chromium family.

    Raises
    ------
    DmixError: there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise DmixError(
            "there is no Chromium to take a picture with",
            "apt-get install --no-install-recommends chromium",
            exit_code=1,
        )
    return found


def screenshot(
    page: Path, picture: Path, width: int = 1280, address: str = "", *, dark: bool = False
) -> None:
    """Write a PNG of what a window of `width` pixels shows of an HTML file first.

    Parameters
    ----------
    address: part of the page to show, such as table1 or table1/cifar100/resnet18/mixup/dm_ce.

    Raises
    ------
    DmixError: there is no Chromium, or the picture cannot be written.
    """
    from playwright.sync_api import sync_playwright

    ratio = PHONE_RATIO if width < PHONE else RATIO
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser())
        window = chromium.new_page(
            viewport={"width": width, "height": round(width * ratio)},
            color_scheme="dark" if dark else "light",
        )
        window.goto(f"{page.resolve().as_uri()}{f'#{address}' if address else ''}")
        content = window.screenshot(animations="disabled")
        chromium.close()
    with atomic_write(picture) as stream:
        stream.write(content)


def main() -> int:
    """Take the picture that the command line asks for."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("page", type=Path)
    asked.add_argument("picture", type=Path)
    asked.add_argument("--width", type=int, default=1280, metavar="PIXELS")
    asked.add_argument("--address", default="", help="part of the page, such as table1")
    asked.add_argument("--dark", action="store_true")
    given = asked.parse_args()
    try:
        screenshot(given.page, given.picture, given.width, given.address, dark=given.dark)
    except DmixError as error:
        print(f"screenshot: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
