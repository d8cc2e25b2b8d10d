"""Our transcode against one FFmpeg command with the same ladder and the same x264 settings.

    python -m benchmarks.transcode.compare --json result.json

Both run as processes of their own, in turns, on the same clip. ``--scaling chain`` (the default)
has FFmpeg scale each rendition from the next larger one, as we do; ``split`` has it scale each
from the source, as commands on the web do. Ratios under 1 mean that ours is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from processors.media.clips import ClipOptions, make_clip
from processors.media.ladder import Rendition, choose_renditions
from processors.media.options import TranscodeOptions
from processors.media.probe import probe_video
from processors.media.transcoding import transcode

Scaling = Literal["chain", "split"]


@dataclass(frozen=True)
class Run:
    """One run: seconds on the wall and on the processors, peak memory, bytes of the segments."""

    wall_s: float
    cpu_s: float
    memory_mib: float
    segment_bytes: int


def main() -> None:
    arguments = _arguments()
    if arguments.only_ours:
        _transcode(arguments)
        return
    with tempfile.TemporaryDirectory(prefix="transcode-benchmark-") as name:
        folder = Path(name)
        source = arguments.source or _make_source(folder, arguments)
        report = _compare(source, folder, arguments)
    print(_summary(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    defaults = TranscodeOptions()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, help="a film; without it a 1080p clip is made")
    parser.add_argument("--seconds", type=float, default=10, help="length of the clip that is made")
    parser.add_argument("--pattern", choices=["pan", "noise"], default="pan", help="of that clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default=defaults.preset)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--scaling", choices=["chain", "split"], default="chain")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--only-ours", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    return parser.parse_args()


def _transcode(arguments: argparse.Namespace) -> None:
    options = TranscodeOptions(preset=arguments.preset, threads=arguments.threads)
    transcode(arguments.source, arguments.only_ours, options, lambda _: None, lambda: False)


def _make_source(folder: Path, arguments: argparse.Namespace) -> Path:
    path = folder / "source.mp4"
    encoder = (("preset", "veryfast"), ("crf", "18"))
    options = ClipOptions(pattern=arguments.pattern, encoder_options=encoder)
    make_clip(path, arguments.seconds, 1920, 1080, fps=30, options=options)
    return path


def _compare(source: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    if shutil.which("ffmpeg") is None:
        raise SystemExit("ffmpeg is not installed: there is nothing to compare with.")
    info = probe_video(source)
    renditions = choose_renditions(info.width, info.height)
    out_dir = folder / "out"
    commands = {
        "ours": _our_command(source, out_dir, arguments),
        "ffmpeg": ffmpeg_command(source, out_dir, renditions, arguments.preset, arguments.scaling),
    }
    runs: dict[str, list[Run]] = {"ours": [], "ffmpeg": []}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            runs[name].append(_measure(command, out_dir))
    return _report(runs, info.duration_s, arguments)


def _our_command(source: Path, out_dir: Path, arguments: argparse.Namespace) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.transcode.compare", "--source", str(source)]
    command += ["--only-ours", str(out_dir), "--preset", arguments.preset]
    return [*command, "--threads", str(arguments.threads)]


def ffmpeg_command(
    source: Path,
    out_dir: Path,
    renditions: tuple[Rendition, ...],
    preset: str,
    scaling: Scaling,
) -> list[str]:
    """Return the command that makes the same ladder in one pass."""
    largest_first = renditions[::-1]
    graph = _chain(largest_first) if scaling == "chain" else _split(largest_first)
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-filter_complex", graph]
    for rendition in renditions:
        command += _output(rendition, out_dir, preset)
    return command


def _chain(largest_first: tuple[Rendition, ...]) -> str:
    steps, source = [], "0:v"
    for rendition in largest_first[:-1]:
        name = rendition.rung.name
        steps.append(f"[{source}]{_scale(rendition)},split=2[{name}][from{name}]")
        source = f"from{name}"
    last = largest_first[-1]
    return ";".join([*steps, f"[{source}]{_scale(last)}[{last.rung.name}]"])


def _split(largest_first: tuple[Rendition, ...]) -> str:
    names = [rendition.rung.name for rendition in largest_first]
    copies = "".join(f"[copy{name}]" for name in names)
    scales = [
        f"[copy{name}]{_scale(rendition)}[{name}]"
        for name, rendition in zip(names, largest_first, strict=True)
    ]
    return ";".join([f"[0:v]split={len(names)}{copies}", *scales])


def _scale(rendition: Rendition) -> str:
    return f"scale={rendition.width}:{rendition.height}:flags=bicubic,format=yuv420p"


def _output(rendition: Rendition, out_dir: Path, preset: str) -> list[str]:
    rung, options = rendition.rung, TranscodeOptions()
    group = str(options.group_of_pictures_max)
    video = ["-c:v", "libx264", "-preset", preset, "-profile:v", "main"]
    video += ["-crf", str(options.constant_rate_factor), "-maxrate", str(rung.peak_bits_per_second)]
    video += ["-bufsize", str(rung.buffer_bits), "-g", group, "-keyint_min", group]
    video += ["-sc_threshold", "0", "-forced-idr", "1"]
    video += ["-force_key_frames", "expr:gte(t,n_forced*4)"]
    audio = ["-c:a", "aac", "-b:a", str(options.audio_bits_per_second), "-ar", "48000", "-ac", "2"]
    hls = ["-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_filename"]
    hls += [str(out_dir / f"{rung.name}_%03d.ts"), str(out_dir / f"{rung.name}.m3u8")]
    return ["-map", f"[{rung.name}]", "-map", "0:a:0?", *video, *audio, *hls]


def _measure(command: list[str], out_dir: Path) -> Run:
    """Run a command into a fresh folder, with the resources of just that process."""
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir()
    started = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(command)}")
    size = sum(path.stat().st_size for path in out_dir.glob("*.ts"))
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, size)


def _report(
    runs: dict[str, list[Run]], duration_s: float, arguments: argparse.Namespace
) -> dict[str, object]:
    ratios = [
        ours.wall_s / theirs.wall_s
        for ours, theirs in zip(runs["ours"], runs["ffmpeg"], strict=True)
    ]
    return {
        "source_seconds": duration_s,
        "preset": arguments.preset,
        "scaling": arguments.scaling,
        "processors": len(os.sched_getaffinity(0)),
        "machine": platform.platform(),
        "runs": {name: [asdict(run) for run in each] for name, each in runs.items()},
        "times_realtime": {
            name: duration_s / statistics.median(run.wall_s for run in each)
            for name, each in runs.items()
        },
        "wall_ratio": {
            "median": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        },
        "cpu_ratio": statistics.median(run.cpu_s for run in runs["ours"])
        / statistics.median(run.cpu_s for run in runs["ffmpeg"]),
    }


def _summary(report: dict[str, object]) -> str:
    return json.dumps({key: report[key] for key in report if key != "machine"}, indent=2)


if __name__ == "__main__":
    main()
