"""Small clips, and what PyAV (FFmpeg) reads from them.

    pip install av==18.1.0
    python tests/reference/clips.py        # writes tests/golden/clips/

A red, a green and a blue square on grey, of which one moves. `clips.json` has, for each clip, the size as it is displayed,
the time of every frame, and the colours at some places of some frames.
"""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "clips"
WIDTH, HEIGHT = 96, 64
COLORS = {"red": [200, 30, 40], "green": [40, 180, 60], "blue": [30, 50, 210], "grey": [120, 120, 120]}


def picture(number: int) -> numpy.ndarray:
    """As it is stored: 16 pixels of red at the upper left, green at the lower left, blue going right along the top."""
    pixels = numpy.full((HEIGHT, WIDTH, 3), COLORS["grey"], numpy.uint8)
    pixels[0:16, 0:16] = COLORS["red"]
    pixels[48:64, 0:16] = COLORS["green"]
    left = 16 + 4 * number
    pixels[16:32, left : left + 16] = COLORS["blue"]
    return pixels


def write(path: Path, times: list[Fraction], base: Fraction, space: str, codec: str = "libx264", aspect: Fraction | None = None) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=Fraction(30000, 1001), options={"crf": "10", "preset": "veryslow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = base
        stream.codec_context.colorspace = {"bt709": 1, "smpte170m": 6}[space]
        stream.codec_context.color_range = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number), "rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace={"bt709": 1, "smpte170m": 5}[space])
            frame.pts, frame.time_base = int(time / base), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def turn(path: Path, matrix: list[int]) -> None:
    """Sets the display matrix of the track (ISO/IEC 14496-12, 8.3.2: `tkhd`)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    one = 1 << 16
    assert int.from_bytes(data[at : at + 4], "big") == one
    a, b, c, d = (value * one for value in matrix)
    for index, value in enumerate([a, b, 0, c, d, 0, 0, 0, 1 << 30]):
        data[at + 4 * index : at + 4 * index + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def read(path: Path) -> list[tuple[float, numpy.ndarray]]:
    frames = []
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            rgb = frame.to_ndarray(format="rgb24")
            frames.append((float(frame.time), rgb))
    return frames


def main() -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    steady = [Fraction(1001 * n, 30000) for n in range(12)]
    uneven = [Fraction(n, 1000) for n in [0, 40, 80, 200, 210, 400, 433, 470]]
    # Clockwise turns as displayed: EXIF 6 for 90 degrees, 3 for 180, 8 for 270.
    cases = [
        ("plain.mp4", steady, Fraction(1, 30000), "smpte170m", "libx264", None, None),
        ("hd-colours.mp4", steady, Fraction(1, 30000), "bt709", "libx264", None, None),
        ("uneven.mkv", uneven, Fraction(1, 1000), "smpte170m", "libx264", None, None),
        ("late.ts", [time + 1 for time in steady], Fraction(1, 90000), "smpte170m", "libx264", None, None),
        ("right.mp4", steady[:3], Fraction(1, 30000), "smpte170m", "libx264", [0, 1, -1, 0], None),
        ("over.mp4", steady[:3], Fraction(1, 30000), "smpte170m", "libx264", [-1, 0, 0, -1], None),
        ("left.mp4", steady[:3], Fraction(1, 30000), "smpte170m", "libx264", [0, -1, 1, 0], None),
        ("wide.mp4", steady[:3], Fraction(1, 30000), "smpte170m", "libx264", None, Fraction(3, 2)),
    ]
    listed = []
    for name, times, base, space, codec, matrix, aspect in cases:
        path = GOLDEN / name
        write(path, times, base, space, codec, aspect)
        if matrix:
            turn(path, matrix)
        frames = read(path)
        assert len(frames) == len(times), (name, len(frames))
        first = frames[0][0]
        got = [time - first for time, _ in frames]
        error = max(abs(a - float(b - times[0])) for a, b in zip(got, times))
        assert error < 1e-3, (name, error)
        # Where the squares are after the turn, in the displayed picture.
        def shown(x, y):
            w, h = WIDTH, HEIGHT
            if matrix == [0, 1, -1, 0]:
                return h - y, x
            if matrix == [-1, 0, 0, -1]:
                return w - x, h - y
            if matrix == [0, -1, 1, 0]:
                return y, w - x
            return float(x * (aspect or 1)), y

        size = (HEIGHT, WIDTH) if matrix in ([0, 1, -1, 0], [0, -1, 1, 0]) else (round(WIDTH * (aspect or 1)), HEIGHT)
        places = [
            {"frame": n, "at": shown(x, y), "color": COLORS[color]}
            for n in (0, len(times) - 1)
            for x, y, color in [(8, 8, "red"), (8, 56, "green"), (24 + 4 * n, 24, "blue"), (88, 56, "grey")]
        ]
        listed.append({"name": name, "size": size, "times": [round(t, 6) for t in got], "places": places})
        print(name, path.stat().st_size, "bytes", size, got[-1])
    (GOLDEN / "clips.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in listed) + "\n]\n")


if __name__ == "__main__":
    main()
