"""A view that can be reproduced: which picture, which models, which place; as a link's query or a small JSON file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import unquote, urlencode

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mtkd.data.examples import example
from mtkd.errors import UserError
from mtkd.images import MAX_PIXELS, UInt8Image, decode

FORMAT = 1
_LISTS = ("models", "region", "pair")
_PLACE = ("zoom", "cx", "cy", "layer", "mode", "focus", "pair", "baseline", "gain")


class SavedView(BaseModel):
    """One view of the Compare tab.

    ``example`` names a bundled image; another one is held as ``png``, base64, which only a file can carry, not a link.
    ``region`` is [top, left, height, width] in HR pixels; the fields of :meth:`place` are as in
    :class:`mtkd.explore.viewer.View`. ``tab`` is the tab of the page, Compare
    without; ``tour`` the stop of the tour.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    example: str | None = None
    png: str | None = None
    ground_truth: bool = True
    scale: Literal[2, 3, 4] = 4
    models: list[str] = Field(default_factory=list, max_length=200)
    zoom: float = Field(1, gt=0, le=20_000)
    cx: float = Field(0.5, ge=0, le=1)
    cy: float = Field(0.5, ge=0, le=1)
    layer: Literal["image", "closer", "error", "signed error", "difference", "wavelet error", "flip"] = "image"
    mode: Literal["grid", "swipe", "flicker"] = "grid"
    focus: str | None = None
    pair: tuple[str, str] | None = None
    baseline: str | None = None
    gain: int = Field(1, ge=1, le=16)
    region: tuple[int, int, int, int] | None = None
    tab: str | None = Field(None, max_length=40, pattern="^[a-z_-]+$")
    tour: int | None = Field(None, ge=1, le=9)

    @model_validator(mode="after")
    def _known(self) -> Self:
        names = [*self.models, *(self.pair or ()), self.focus or "", self.baseline or ""]
        "".join(names).encode()  # half a surrogate pair is no text
        if self.focus is not None and "mode" not in self.model_fields_set:
            self.mode = "flicker"  # a view of before there were modes
        if self.example is not None:
            example(self.example)
        return self

    @staticmethod
    def picture(example: str | None, image: UInt8Image) -> dict[str, str]:
        """The fields that say which picture it is: a bundled example by name, another image (H, W, 3) uint8 whole."""
        return {"example": example} if example is not None else {"png": _encoded(image)}

    def place(self) -> dict[str, Any]:
        """What the viewer is to look at: a :class:`mtkd.explore.viewer.View` without its region."""
        return self.model_dump(include=set(_PLACE), mode="json")

    def image(self) -> UInt8Image | None:
        """The picture, (H, W, 3) uint8; None where the view names none.

        Raises:
            UserError: the ``png`` is none, or too large.
        """
        if self.png is not None:
            try:
                return decode(io.BytesIO(base64.b64decode(self.png, validate=True)), "the view's image", MAX_PIXELS)
            except ValueError as error:
                raise UserError(f"the view's image is damaged ({error})") from error
        return None if self.example is None else example(self.example).read()

    def query(self) -> str:
        """The query of a link to this view: what differs from the default, without ``png``."""
        fields = self.model_dump(exclude={"png", "format"}, exclude_defaults=True)
        if self.pair:
            fields["pair"] = [name.replace("%", "%25").replace(",", "%2C") for name in self.pair]
        for key in _LISTS:
            if fields.get(key):
                fields[key] = ",".join(map(str, fields[key]))
        for key in ("zoom", "cx", "cy"):
            if key in fields:
                fields[key] = f"{fields[key]:.5g}"
        return urlencode(fields, safe=",@")

    def json(self) -> str:  # type: ignore[override]
        """The file's text."""
        return self.model_dump_json(indent=1, exclude_none=True) + "\n"


def _encoded(image: UInt8Image) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def from_query(query: Mapping[str, str]) -> SavedView | None:
    """The view that a link's query describes; keys of others are left alone. None where there is none of ours.

    Raises:
        UserError: a value of the wrong kind.
    """
    fields: dict[str, object] = {k: v for k, v in query.items() if k in SavedView.model_fields.keys() - {"png"}}
    if not fields:
        return None
    for key in _LISTS:
        if key in fields:
            fields[key] = str(fields[key]).split(",")
    if "pair" in fields:
        fields["pair"] = [unquote(name) for name in str(query["pair"]).split(",")]
    if "scale" in fields and str(fields["scale"]).isdecimal():
        fields["scale"] = int(str(fields["scale"]))
    return checked(fields, "the link")


def from_json(text: str) -> SavedView:
    """The view in a file.

    Raises:
        UserError: not such a file, or of a newer format.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"not a saved view: no JSON ({error})") from error
    if not isinstance(content, dict) or "format" not in content:
        raise UserError('not a saved view: it has no "format"')
    if content["format"] != FORMAT:
        raise UserError(f"a view of format {content['format']}; this version reads {FORMAT}. Update mtkd")
    return checked(content, "the file")


def checked(content: Mapping[str, object], where: str) -> SavedView:
    """A view from plain data; ``where`` it is from is told with what is wrong.

    Raises:
        UserError: a key or value that no view has.
    """
    try:
        return SavedView.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        if isinstance(cause := first.get("ctx", {}).get("error"), UserError):
            raise UserError(f"{where}: {cause}") from error
        raise UserError(f"{where} describes no view: {place}: {first['msg']}") from error
