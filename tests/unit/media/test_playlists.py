"""The text of playlists and the rates in them."""

from __future__ import annotations

from fractions import Fraction

from processors.media.playlists import (
    Segment,
    Variant,
    average_bits_per_second,
    master_playlist,
    media_playlist,
    peak_bits_per_second,
    target_duration_s,
)


def segments(*entries: tuple[str, int]) -> list[Segment]:
    return [
        Segment(f"360p_{index:03d}.ts", Fraction(duration), size)
        for index, (duration, size) in enumerate(entries)
    ]


def test_a_media_playlist_lists_each_segment_with_its_exact_duration() -> None:
    text = media_playlist(segments(("4", 10), ("2502/1000", 10)))
    assert text == (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:0\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4.000000,\n360p_000.ts\n#EXTINF:2.502000,\n"
        "360p_001.ts\n#EXT-X-ENDLIST\n"
    )


def test_a_master_playlist_states_rates_size_codecs_and_frame_rate() -> None:
    variant = Variant(
        "360p.m3u8", 900_000, 800_000, 640, 360, "avc1.4d401e,mp4a.40.2", Fraction(30_000, 1001)
    )
    assert master_playlist([variant]) == (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,RESOLUTION=640x360,"
        'CODECS="avc1.4d401e,mp4a.40.2",FRAME-RATE=29.970\n360p.m3u8\n'
    )


def test_the_target_is_the_longest_duration_rounded() -> None:
    assert target_duration_s(segments(("4", 1), ("445/100", 1))) == 4
    assert target_duration_s(segments(("1/10", 1))) == 1


def test_a_very_short_last_segment_is_no_peak() -> None:
    run = segments(("4", 4000), ("4", 2000), ("1/10", 1000))
    assert peak_bits_per_second(run) == 8000
    assert average_bits_per_second(run) == 6914


def test_the_peak_may_lie_in_two_neighbours() -> None:
    assert peak_bits_per_second(segments(("4", 1000), ("1", 3000))) == 6400


def test_a_film_too_short_for_a_run_has_its_average_as_peak() -> None:
    assert peak_bits_per_second(segments(("1/10", 1000))) == 80_000
