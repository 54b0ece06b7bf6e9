"""Checks of settings that vision transformers share."""

from __future__ import annotations

from dmix.errors import DmixError


def patches_per_side(image_size: int, patch_size: int) -> int:
    """Return the number of patches of `patch_size` pixels along a side of a square image.

    Raises
    ------
    DmixError: it is not a whole number; pixels at the border would be ignored.
    """
    side, rest = divmod(image_size, patch_size)
    if rest:
        raise DmixError(
            f"backbone.image_size: patches of {patch_size} px do not tile an image of {image_size} px",
            "set it to a multiple of backbone.patch_size",
        )
    return side


def check_heads(channels: int, heads: int) -> None:
    """Check that the number of attention heads divides the number of channels.

    Raises
    ------
    DmixError: it does not.
    """
    if channels % heads:
        raise DmixError(
            f"backbone.heads: {heads} heads of attention cannot share {channels} channels evenly",
            f"set it to a divisor of {channels}",
        )
