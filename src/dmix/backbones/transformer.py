"""What the settings of every vision transformer must satisfy."""

from __future__ import annotations

from dmix.errors import DmixError


def patches_per_side(image_size: int, patch_size: int) -> int:
    """Return how many patches of `patch_size` pixels lie along a side of a square image.

    Raises
    ------
    DmixError: it is not a whole number; pixels at the border would be lost without a word.
    """
    side, rest = divmod(image_size, patch_size)
    if rest:
        raise DmixError(
            f"backbone.image_size: patches of {patch_size} px do not tile an image of {image_size} px",
            "set it to a multiple of backbone.patch_size",
        )
    return side


def check_heads(channels: int, heads: int) -> None:
    """Check that heads of attention share the channels evenly.

    Raises
    ------
    DmixError: they do not.
    """
    if channels % heads:
        raise DmixError(
            f"backbone.heads: {heads} heads of attention cannot share {channels} channels evenly",
            f"set it to a divisor of {channels}",
        )
