"""The life of a video that tests speak of."""

from __future__ import annotations

from events.videos import Rendition, UploadRequested, VideoCreated, VideoReady, Visibility
from tests.unit.events.known import ADA, LATER, VIDEO

REQUESTED = UploadRequested(
    video_id=VIDEO,
    owner_id=ADA,
    filename="harbour.mp4",
    content_type="video/mp4",
    size=5_000,
    source_key="uploads/harbour/source",
    expires_at=LATER,
)
CREATED = VideoCreated(
    video_id=VIDEO,
    creator_id=ADA,
    title="The harbour",
    description="At dawn",
    tags=("boats",),
    category="travel",
    visibility=Visibility.PUBLIC,
    source_key="uploads/harbour/source",
)
RENDITIONS = (
    Rendition(
        quality="360p",
        width=640,
        height=360,
        bitrate=800_000,
        file_size=1_000,
        playlist_key="videos/harbour/360p.m3u8",
    ),
)
READY = {
    "duration_seconds": 12.5,
    "width": 1280,
    "height": 720,
    "codec": "h264",
    "bitrate": 3_000_000,
    "format": "mp4",
    "file_size": 5_000,
    "master_key": "videos/harbour/master.m3u8",
    "thumbnail_key": "videos/harbour/thumbnail.jpg",
    "renditions": RENDITIONS,
}


def ready() -> VideoReady:
    """Return the fact that the video can be played."""
    return VideoReady.model_validate({"video_id": VIDEO, "creator_id": ADA, **READY})
