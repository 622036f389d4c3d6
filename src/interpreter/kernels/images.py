"""Pictures of PIL are shown as results: there is no screen to show them on."""

from __future__ import annotations

from typing import Any

from IPython.display import display
from PIL import Image, ImageShow


class ResultViewer(ImageShow.Viewer):
    def show(self, image: Image.Image, **options: Any) -> int:
        display(image)
        return 1


def install() -> None:
    """One that is saved under a name is shown too, as E2B does."""
    ImageShow.register(ResultViewer, 0)
    write = Image.Image.save

    def save(self: Image.Image, fp: Any, format: str | None = None, **params: Any) -> None:
        write(self, fp, format, **params)
        if isinstance(fp, str):
            display(self)

    Image.Image.save = save
