"""The bundled predictor on the photo that the start page offers: what is alive stands out."""

import numpy as np
import pytest

from model.clips.video import read_frame
from model.prediction.predictor import Predictor
from webapp.core.settings import FRONTEND

DOGS = ((198, 222, 336, 388), (300, 428, 428, 630))
"""Left, top, right and bottom of the two dogs, found by eye, in pixels."""


@pytest.mark.slow
def test_the_dogs_are_likelier_to_move_than_the_house():
    prediction = Predictor.load("predictor", "cpu").predict_all(
        read_frame(FRONTEND / "static" / "samples" / "two-dogs.jpg", 0)
    )
    x, y = prediction.tracks.points[0].T
    on_dogs = np.any([(x > a) & (x < c) & (y > b) & (y < d) for a, b, c, d in DOGS], axis=0)
    assert on_dogs.sum() > 10
    assert prediction.moving[on_dogs].mean() > 0.5
    assert prediction.moving[~on_dogs].mean() < 0.35
