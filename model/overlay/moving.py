"""How likely each point of a prediction is to move at all."""

import numpy as np
from numpy.typing import NDArray

from model.motion.prediction import MOVES, Prediction

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_STANDARD_DEVIATIONS = 1.645  # from the middle of a normal distribution to the end of its 90 % interval


def moving_probability(prediction: Prediction) -> NDArray[np.float32]:
    """Return the probability that each point moves by more than `MOVES` over the horizon: float32 `[N]`.

    The prediction's own `moving` where it has one. Else each hypothesis is a normal distribution around its
    end, with that part of the interval's spread that the distances between the hypotheses do not explain:
    P = sum_k w_k P(|m_k + sigma z| > MOVES).
    """
    if prediction.moving is not None:
        return prediction.moving
    tracks = prediction.tracks
    start = tracks.points[0]
    ways = (prediction.hypotheses[:, -1] - start).astype(np.float64)  # [K, N, 2]
    weights = prediction.weights[..., None]
    between = (weights * ways**2).sum(axis=0) - (weights * ways).sum(axis=0) ** 2
    half = (prediction.interval[1, -1] - prediction.interval[0, -1]) / 2
    sigma = np.sqrt(np.maximum(0, (half / _STANDARD_DEVIATIONS) ** 2 - between))
    # Every x of the quadrature with every y: [node, node, K, N].
    x = ways[..., 0] + sigma[:, 0] * _NODES[:, None, None]
    y = ways[..., 1] + sigma[:, 1] * _NODES[:, None, None]
    is_far = np.hypot(x[:, None], y[None]) > MOVES * tracks.size[0] / 256
    chance = np.einsum("a,b,abkn->kn", _WEIGHTS, _WEIGHTS, is_far) / _WEIGHTS.sum() ** 2
    return np.asarray((prediction.weights * chance).sum(axis=0).clip(0, 1), np.float32)
