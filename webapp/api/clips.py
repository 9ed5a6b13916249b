"""/api/v1/clips: the videos and images that are there; /api/v1/samples: those that come with Stillmotion."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Response, abort, request, send_file, url_for
from flask_smorest import Blueprint

from webapp.actions.backend import app_backend
from webapp.actions.history import change, order, remove, wanted
from webapp.actions.lookups import find, find_sample
from webapp.actions.samples import list_samples, store_sample
from webapp.actions.starting import prepare_segmentation
from webapp.actions.uploads import store_clip, uploaded_files
from webapp.api.answers import kept
from webapp.api.job_schemas import JobSchema, SegmentationBody, job_json
from webapp.api.problems import can_fail
from webapp.api.schemas import ClipChange, ClipListQuery, ClipListSchema, ClipSchema, SampleListSchema
from webapp.core.audit import note_request
from webapp.files.pictures import clip_picture
from webapp.rows.records import Clip

PICTURE_SECONDS = 7 * 24 * 3600
"""How long a browser may keep a sample's picture; it changes with an update only."""

Json = dict[str, Any]

clips = Blueprint("clips", __name__, url_prefix="/api/v1/clips", description="Videos and images")
samples = Blueprint("samples", __name__, url_prefix="/api/v1/samples", description="Clips that are there")

UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "one video, GIF, image or zip of images; or several images, one clip",
                    }
                },
            }
        }
    },
}


@clips.route("", methods=["POST"])
@clips.doc(requestBody=UPLOAD_BODY)
@clips.response(201, ClipSchema)
@clips.alt_response(200, schema=ClipSchema, description="The same bytes are there already", success=True)
@can_fail(413, 415, 422, 503, 507)
def upload() -> tuple[Clip, int, dict[str, str]]:
    """Upload a clip."""
    if request.mimetype != "multipart/form-data":
        abort(415, description="Send the file as multipart/form-data in the field “file”.")
    backend = app_backend()
    largest = backend.settings.max_upload_bytes
    backend.storage.require_room(min(request.content_length or 0, largest))  # more is too large anyway
    clip, is_new = store_clip(backend, uploaded_files(request, largest))
    address = url_for("clips.clip", clip_id=clip.id)
    return clip, 201 if is_new else 200, {"Location": address}


@clips.route("", methods=["GET"])
@clips.arguments(ClipListQuery, location="query")
@clips.response(200, ClipListSchema)
def list_clips(query: Mapping[str, Any]) -> Json:
    """List clips, those in the bin apart."""
    found, total = app_backend().database.page(
        Clip, query["limit"], query["offset"], wanted(Clip, query), order(Clip, query["sort"])
    )
    return {"items": found, "total": total}


@clips.route("/<clip_id>", methods=["GET"])
@clips.response(200, ClipSchema)
@can_fail(404)
def clip(clip_id: str) -> Clip:
    """Show a clip."""
    return find(Clip, clip_id)


@clips.route("/<clip_id>", methods=["PATCH"])
@clips.arguments(ClipChange)
@clips.response(200, ClipSchema)
@can_fail(404)
def change_clip(values: Mapping[str, Any], clip_id: str) -> Clip:
    """Rename or tag a clip, put it into the bin with its runs, or take it back; it is there for some days."""
    change(app_backend().queue, find(Clip, clip_id), values)
    if values.get("deleted"):
        note_request(app_backend().settings, "binned")
    return find(Clip, clip_id)


@clips.route("/<clip_id>", methods=["DELETE"])
@clips.response(204)
@can_fail(404)
def delete_clip(clip_id: str) -> None:
    """Remove a clip for good, with its runs and their results; unfinished runs are cancelled."""
    remove(app_backend().queue, find(Clip, clip_id))
    note_request(app_backend().settings)


@clips.route("/<clip_id>/segment", methods=["POST"])
@clips.arguments(SegmentationBody)
@clips.response(202, JobSchema)
@can_fail(404, 422, 429, 503, 507)
def segment_frame(body: Mapping[str, int], clip_id: str) -> tuple[Json, int]:
    """Begin to tell the 21 classes of Pascal VOC apart in a frame."""
    backend = app_backend()
    job = backend.queue.submit(prepare_segmentation(find(Clip, clip_id), body["frame"]))
    return job_json(backend, job), 202


@clips.route("/<clip_id>/frames/<int:index>.jpg", methods=["GET"])
@clips.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@can_fail(404)
def clip_frame(clip_id: str, index: int) -> Response:
    """Show one frame of a clip, at most 1280 pixels a side; frames count from 0."""
    found = find(Clip, clip_id)
    if index >= found.frames:
        abort(404, description=f"The clip has the frames 0 to {found.frames - 1}, but no frame {index}.")
    with app_backend().storage.local_copy(found.key) as path:
        picture = clip_picture(path, index, app_backend().decoding)
    return kept(send_file(BytesIO(picture), "image/jpeg"))


@samples.route("", methods=["GET"])
@samples.response(200, SampleListSchema)
def list_all_samples() -> Json:
    """List the sample clips."""
    items = [
        {
            **vars(sample),
            "has_truth": sample.has_truth,
            "picture": url_for("samples.sample_picture", name=sample.name),
        }
        for sample in list_samples(app_backend().settings.samples)
    ]
    return {"items": items}


@samples.route("/<name>", methods=["POST"])
@samples.response(201, ClipSchema)
@samples.alt_response(200, schema=ClipSchema, description="It is a clip already", success=True)
@can_fail(404, 503, 507)
def use_sample(name: str) -> tuple[Clip, int, dict[str, str]]:
    """Make a sample a clip, as if it had been uploaded."""
    clip, is_new = store_sample(app_backend(), find_sample(name))
    address = url_for("clips.clip", clip_id=clip.id)
    return clip, 201 if is_new else 200, {"Location": address}


@samples.route("/<name>/picture.jpg", methods=["GET"])
@samples.response(200, {"type": "string", "format": "binary"}, content_type="image/jpeg")
@can_fail(404)
def sample_picture(name: str) -> Response:
    """Show a sample's first frame."""
    picture = clip_picture(find_sample(name).path, 0, app_backend().decoding)
    return send_file(BytesIO(picture), "image/jpeg", max_age=PICTURE_SECONDS)
