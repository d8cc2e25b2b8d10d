"""The composition of a worker that reacts: transcoding, moderation, verdicts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path

from infra.bootstrap.core import Core
from infra.bootstrap.models import model_files
from infra.kafka.bus import KafkaCommandBus
from infra.kafka.dead_letters import KafkaDeadLetters
from infra.kafka.sender import ReactionCommands
from infra.postgres.reaction_positions import PostgresReactionPositions
from infra.scratch import own_scratch
from processors.apply_verdicts import ApplyVerdicts
from processors.media.options import TranscodeOptions
from processors.moderate_comments import ModerateComments
from processors.moderate_on_upload import ModerateOnUpload
from processors.moderation.images import ImageModerator
from processors.moderation.text import TextModerator
from processors.moderation.verdict import Thresholds
from processors.moderation.video import VideoModerator
from processors.reactions import Reaction, ReactionReader
from processors.remove_deleted_media import RemoveDeletedMedia
from processors.transcode_on_upload import TranscodeOnUpload
from projections.batches import BatchReader

#: Reaction -> the kind of worker that does it.
REACTION_KINDS = {
    "transcode_on_upload": "transcode",
    "remove_deleted_media": "transcode",
    "moderate_on_upload": "moderate",
    "moderate_comments": "moderate",
    "apply_verdicts": "verdicts",
}


def reaction_named(name: str, core: Core, bus: KafkaCommandBus) -> Reaction:
    """Return one reaction, ready to react.

    Raises:
        KeyError: there is none of that name.
    """
    reactions = {each.name: each for each in _reactions(REACTION_KINDS[name], core, bus)}
    return reactions[name]


async def reaction_readers(
    core: Core, kinds: Collection[str], dead_letters: KafkaDeadLetters, stack: AsyncExitStack
) -> list[BatchReader]:
    """Return the readers of the reactions of some kinds, joined by one command bus."""
    bus = KafkaCommandBus(core.places.kafka, core.keys, core.settings.command_timeout_seconds)
    await bus.start()
    stack.push_async_callback(bus.stop)
    positions = PostgresReactionPositions(core.pool)
    readers = [
        ReactionReader(reaction, positions, core.keys, dead_letters)
        for kind in kinds
        for reaction in _reactions(kind, core, bus)
    ]
    for reader in readers:
        stack.push_async_callback(reader.stop)
    return list(readers)


def _reactions(kind: str, core: Core, bus: KafkaCommandBus) -> list[Reaction]:
    settings = core.settings
    scratch = own_scratch(settings.data_dir / "scratch")

    def sender(name: str) -> ReactionCommands:
        return ReactionCommands(bus, core.keys, name)

    match kind:
        case "transcode":
            rule = TranscodeOnUpload(
                core.storage,
                sender("transcode_on_upload"),
                TranscodeOptions(preset=settings.transcode_preset),
                scratch,
            )
            return [
                rule.reaction(settings.transcode_concurrency),
                RemoveDeletedMedia(core.storage).reaction(),
            ]
        case "moderate":
            return _moderation(core, sender, scratch)
        case "verdicts":
            return [ApplyVerdicts(sender("apply_verdicts")).reaction()]
        case _:
            raise ValueError(f"there are no reactions of the kind '{kind}'")


def _moderation(
    core: Core, sender: Callable[[str], ReactionCommands], scratch: Path
) -> list[Reaction]:
    settings, models = core.settings, model_files(core.settings)
    thresholds = Thresholds(
        block=settings.nsfw_block_threshold, review=settings.nsfw_review_threshold
    )
    videos = ModerateOnUpload(
        core.storage,
        sender("moderate_on_upload"),
        VideoModerator(ImageModerator(models.image_detector), thresholds),
        scratch,
    )
    comments = ModerateComments(
        sender("moderate_comments"),
        TextModerator(models.text_classifier),
        settings.toxicity_threshold,
    )
    return [videos.reaction(), comments.reaction()]
