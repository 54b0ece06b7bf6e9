from __future__ import annotations

import pickle

import numpy as np

from disk_images import write_images
from dmix.data.sets.dataset import FileSplit, Split, fingerprint
from dmix.data.sets.subset import subset

ROWS = np.array([7, 2, 19])


def test_chosen_files_are_those_of_the_whole_in_the_wanted_order(tmp_path):
    whole = write_images(tmp_path)
    some = pickle.loads(pickle.dumps(subset(whole, ROWS)))  # as a worker process gets it
    assert isinstance(some, FileSplit)
    assert some.files.names == ("07.jpg", "02.jpg", "19.jpg")
    assert some.labels.tolist() == whole.labels[ROWS].tolist()
    assert some.files.sizes().tolist() == whole.files.sizes()[ROWS].tolist()
    for place, row in enumerate(ROWS):
        assert np.array_equal(some.image(place), whole.image(int(row)))
    assert fingerprint({"x": some}) != fingerprint({"x": subset(whole, ROWS[::-1])})


def test_chosen_images_in_memory():
    rng = np.random.default_rng(0)
    whole = Split(rng.integers(0, 256, (20, 3, 4, 5), np.uint8), rng.integers(0, 9, 20))
    some = subset(whole, ROWS)
    assert isinstance(some, Split)
    assert np.array_equal(some.images, whole.images[ROWS])
    assert np.array_equal(some.labels, whole.labels[ROWS])
