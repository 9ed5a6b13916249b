"""The classes in a frame: what a worker does, by the functions of `python -m model segment`."""

from model.clips.video import read_frame
from model.core.errors import BadInput
from model.core.progress import Progress
from model.overlay.arrows import class_colours, colour_classes, write_png
from model.prediction.backbones import find_backbone
from model.prediction.pretrained import published_entry
from model.prediction.segment import CLASSES, Segmenter
from model.weights.registry import weights_file
from webapp.jobs.execution import JobContext
from webapp.rows.records import Clip, Job

NETWORK = "fcn_resnet50"


def segment(context: JobContext[Job]) -> None:
    """Store a frame with its classes coloured; the job's result says which there are."""
    clip = context.database.find(Clip, context.work.settings["clip"])
    if clip is None:
        raise BadInput("The clip was deleted.")
    entry = published_entry(find_backbone(NETWORK).segmentation)
    try:
        weights_file(entry, progress=context.report)
    except BadInput as error:
        raise BadInput(
            "The published weights of the segmentation network are not on the server and could not be "
            f"downloaded; who runs it may put {entry.file} into the cache folder of weights "
            "(STILLMOTION_CACHE)."
        ) from error
    with context.storage.local_copy(clip.key) as path:
        image = read_frame(path, context.work.settings["frame"])
    context.report(Progress("segmenting", 0, 1))
    found = Segmenter.load(NETWORK, context.settings.device).segment(image)
    picture = context.scratch / "picture.png"
    write_png(picture, colour_classes(image, found.labels, len(CLASSES)))
    context.storage.move_in(picture, context.work.picture_key)
    colours = dict(zip(CLASSES, class_colours(len(CLASSES)).tolist(), strict=True))
    classes = [
        {"name": name, "share": share, "colour": colours[name]} for name, share in found.shares.items()
    ]
    context.database.update_running(context.work, result={"classes": classes})
