"""Predictors that were trained in the app: where they lie, and how predictions choose them."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from model.tracking.methods import MethodOffer, available_methods
from webapp.core.settings import Settings


def predictor_path(settings: Settings, name: str) -> Path:
    """Return where the weights of a training lie once it has some."""
    return settings.predictors / name / f"{name}.safetensors"


def own_predictors(settings: Settings) -> Mapping[str, Path]:
    """Return the weights that were trained here, by their file names."""
    folder = settings.predictors
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    paths = [predictor_path(settings, name) for name in names]
    return {path.name: path for path in paths if path.is_file()}


def offered_methods(settings: Settings) -> tuple[MethodOffer, ...]:
    """List the methods for the app; what predicts can be run with what was trained here, too."""
    own = tuple(own_predictors(settings))
    offers = available_methods(settings.weights)
    return tuple(
        replace(offer, weights=offer.weights + own) if offer.from_one_image else offer for offer in offers
    )
