"""torchvision's published weights, downloaded and checked, and its 21 classes."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from model.core.errors import BadInput
from model.overlay.arrows import class_colours, draw_classes
from model.prediction import pretrained as published
from model.prediction.backbones import BACKBONES
from model.prediction.network import normalise
from model.prediction.segment import CLASSES, Segmenter
from model.weights.registry import WeightsEntry

SMALL = "lraspp_mobilenet_v3_large"


def serve(site: str, folder: Path, network: torch.nn.Module) -> WeightsEntry:
    """Offer a network's weights under torchvision's name for them, with their own digits."""
    torch.save(network.state_dict(), folder / "any.pth")
    sha256 = hashlib.sha256((folder / "any.pth").read_bytes()).hexdigest()
    name = f"network-{sha256[:8]}.pth"
    (folder / "any.pth").rename(folder / name)
    entry = published.published_entry(BACKBONES[SMALL].segmentation)
    return dataclasses.replace(entry, file=name, sha256=sha256[:8], url=f"{site}/{name}")


def test_published_weights_are_described_by_torchvisions_enums():
    entry = published.published_entry(BACKBONES["fcn_resnet50"].segmentation)
    assert entry.url == "https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth"
    assert (entry.sha256, entry.kind) == ("1167a1af", "segmentation")
    assert published.published_entry(BACKBONES["fcn_resnet50"].imagenet).kind == "backbone"
    assert tuple(_torchvisions_classes()) == CLASSES


def _torchvisions_classes() -> list[str]:
    names = BACKBONES["fcn_resnet50"].segmentation.meta["categories"]
    return ["background" if name == "__background__" else name for name in names]


def test_segmentation_is_torchvisions_with_downloaded_weights(site, tmp_path):
    torch.manual_seed(3)
    theirs = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        theirs.classifier.high_classifier.bias.copy_(torch.linspace(0, 0.001, 21))
    entry = serve(site, tmp_path / "served", theirs)
    stages = []
    segmenter = Segmenter.load(SMALL, "cpu", entry=entry, progress=lambda report: stages.append(report.stage))
    assert "downloading" in stages
    image = np.random.default_rng(0).integers(0, 256, (520, 600, 3), dtype=np.uint8)
    found = segmenter.segment(image)
    with torch.no_grad():
        logits = theirs(normalise(torch.from_numpy(image).permute(2, 0, 1)[None]))["out"]
    assert np.array_equal(found.labels, logits[0].argmax(dim=0).numpy())
    assert sum(found.shares.values()) == pytest.approx(1)
    offline = dataclasses.replace(entry, url="http://127.0.0.1:9/gone.pth")
    again = Segmenter.load(SMALL, "cpu", entry=offline)  # from the cache
    assert np.array_equal(again.segment(image[:64, :64]).labels.shape, (64, 64))


def test_published_weights_that_cannot_be_had_are_one_sentence(site, tmp_path):
    entry = serve(site, tmp_path / "served", torch.nn.Linear(2, 2))
    with pytest.raises(BadInput, match="could not be downloaded"):
        Segmenter.load(SMALL, "cpu", entry=dataclasses.replace(entry, url="http://127.0.0.1:9/gone.pth"))
    with pytest.raises(BadInput, match="has the sha256"):
        Segmenter.load(SMALL, "cpu", entry=dataclasses.replace(entry, sha256="00000000"))
    with pytest.raises(BadInput, match="does not fit this network"):
        Segmenter.load(SMALL, "cpu", entry=entry)
    with pytest.raises(BadInput, match="There is no network"):
        Segmenter.load("unet", "cpu")


def test_classes_have_pascals_colours_and_a_legend():
    # As published with the challenge: aeroplane, person, tvmonitor.
    colours = class_colours(21)
    assert colours[[1, 15, 20]].tolist() == [[128, 0, 0], [192, 128, 128], [0, 64, 128]]
    labels = np.zeros((480, 500), np.uint8)
    labels[:, 250:] = 15
    image = np.full((480, 500, 3), 200, np.uint8)
    page = draw_classes(image, labels, CLASSES, {"background": 0.5, "person": 0.5})
    assert page.shape[0] == 480
    assert page.shape[1] > 700
    assert page[100, 100].tolist() == [200, 200, 200]
    expected = 0.45 * 200 + 0.55 * np.array([192, 128, 128])
    assert page[100, 400] == pytest.approx(expected, abs=1)
