import colorsys

import numpy as np
import pytest

from dmix.data.embedded import procedural


def draw(labels, seed=0, size=32, classes=100):
    rng = np.random.Generator(np.random.PCG64(seed))
    return procedural.render(np.asarray(labels, np.int64), size, classes, rng)


def test_a_seed_decides_everything():
    labels = np.arange(100)
    images, masks = draw(labels)
    again, masks_again = draw(labels)
    other, _ = draw(labels, seed=1)
    assert images.shape == (100, 3, 32, 32)
    assert masks.shape == (100, 32, 32)
    np.testing.assert_array_equal(images, again)
    np.testing.assert_array_equal(masks, masks_again)
    assert (images != other).mean() > 0.5


def test_the_label_changes_pixels_only_inside_the_masks():
    """So the mask holds every pixel that knows the class."""
    one, mask_one = draw(np.zeros(200))
    two, mask_two = draw(np.random.default_rng(0).integers(0, 100, 200))
    changed = (one != two).any(axis=1)
    assert not (changed & ~(mask_one | mask_two)).any()
    # ... and where the shapes differ, what is painted does nearly always differ from the background
    assert changed[mask_one ^ mask_two].mean() > 0.97


def test_inside_the_mask_is_the_hue_of_the_class():
    labels = np.random.default_rng(0).integers(0, 100, 300)
    images, masks = draw(labels)
    inside = [image[:, mask].mean(axis=1) / 255 for image, mask in zip(images, masks, strict=True)]
    hue = np.array([colorsys.rgb_to_hsv(*colour)[0] for colour in inside])
    off = abs((hue - labels // 10 / 10 + 0.5) % 1 - 0.5)
    assert off.max() < procedural.HUE_JITTER + 0.02
    assert off.max() > procedural.HUE_JITTER - 0.02


def test_foreground_share_is_about_the_same_for_every_shape():
    labels = np.repeat(np.arange(10), 100)
    _, masks = draw(labels)
    share = masks.mean(axis=(1, 2))
    assert share.min() > 0.08
    assert share.max() < 0.26
    by_shape = share.reshape(10, 100).mean(axis=1)
    assert by_shape.min() > 0.15
    assert by_shape.max() < 0.19


@pytest.mark.parametrize(("size", "classes"), [(16, 10), (24, 2), (64, 200), (16, 1000)])
def test_other_sizes_and_class_counts(size, classes):
    labels = np.linspace(0, classes - 1, 12).astype(np.int64)
    images, masks = draw(labels, size=size, classes=classes)
    assert images.shape == (12, 3, size, size)
    assert masks.any(axis=(1, 2)).all()


def test_stripes_tell_classes_apart_from_the_hundredth_on():
    plain, mask = draw([0], classes=200)
    striped, same_mask = draw([100], classes=200)
    np.testing.assert_array_equal(mask, same_mask)
    assert 0.2 < (plain != striped).any(axis=1)[mask].mean() < 0.9


def test_all_classes_have_their_own_name():
    assert len({procedural.class_name(label) for label in range(1000)}) == 1000


def test_images_past_the_first_chunk_and_none_at_all():
    count = procedural.CHUNK + 3
    images, _ = draw(np.zeros(count), size=8)
    first, _ = draw(np.zeros(procedural.CHUNK), size=8)
    np.testing.assert_array_equal(images[: procedural.CHUNK], first)
    assert len(np.unique(images.reshape(count, -1), axis=0)) == count
    assert draw([])[0].shape == (0, 3, 32, 32)


def test_what_is_out_of_range_is_refused():
    with pytest.raises(ValueError, match="classes"):
        draw([0], classes=1001)
    with pytest.raises(ValueError, match="labels"):
        draw([100])
    with pytest.raises(ValueError, match="labels"):
        draw([-1])
