"""The names of codecs that a master playlist must state (RFC 6381), and ADTS headers."""

from __future__ import annotations

from processors.media.errors import MediaError

AAC_LC = "mp4a.40.2"
_SEQUENCE_PARAMETER_SET = 7
_START_CODE = b"\x00\x00\x01"
_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_ADTS_HEADER_BYTES = 7


def avc_codec_string(annex_b: bytes) -> str:
    """Return ``avc1.PPCCLL`` from the sequence parameter set in an Annex B access unit.

    The three bytes after the NAL header are profile, constraint flags and level, which is what
    the codec string spells out in hexadecimal (ISO/IEC 14496-15, RFC 6381 section 3.3).
    """
    position = annex_b.find(_START_CODE)
    while position >= 0:
        header = position + len(_START_CODE)
        if annex_b[header] & 0x1F == _SEQUENCE_PARAMETER_SET:
            return f"avc1.{annex_b[header + 1 : header + 4].hex()}"
        position = annex_b.find(_START_CODE, header)
    raise MediaError("The encoder gave a key frame without its parameters.")


def adts_frame(payload: bytes, sample_rate: int, channels: int) -> bytes:
    """Return an AAC LC frame with the 7-byte ADTS header that MPEG-TS needs (ISO/IEC 13818-7)."""
    length = len(payload) + _ADTS_HEADER_BYTES
    rate_index = _ADTS_RATES.index(sample_rate)
    low_complexity = 1
    header = (
        (0xFFF1 << 40)
        | (low_complexity << 38)
        | (rate_index << 34)
        | (channels << 30)
        | (length << 13)
        | (0x7FF << 2)
    )
    return header.to_bytes(_ADTS_HEADER_BYTES, "big") + payload
