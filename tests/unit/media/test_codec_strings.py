"""Codec names and ADTS headers, against values known from the standards."""

from __future__ import annotations

import pytest

from processors.media.codec_strings import adts_frame, avc_codec_string
from processors.media.errors import MediaError


def test_the_codec_string_comes_from_the_sequence_parameters() -> None:
    delimiter = b"\x00\x00\x00\x01\x09\xf0"
    parameters = b"\x00\x00\x00\x01\x67\x4d\x40\x1e\xec\xa0"
    assert avc_codec_string(delimiter + parameters) == "avc1.4d401e"


def test_data_without_sequence_parameters_is_refused() -> None:
    with pytest.raises(MediaError):
        avc_codec_string(b"\x00\x00\x01\x65\x88\x84")


def test_an_adts_header_names_profile_rate_channels_and_length() -> None:
    frame = adts_frame(b"\x21" * 100, 48_000, 2)
    assert frame[:7].hex() == "fff14c800d7ffc"
    assert frame[7:] == b"\x21" * 100
