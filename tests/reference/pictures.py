"""Small picture files of every kind that is read, and their pixels as Pillow has them, in tests/golden/pictures/.

Files are written by Pillow, or by OpenCV where Pillow cannot (16-bit colour, float colour, HDR). `expected.safetensors`
has for each file `NAME` its pixels, uint8 (rows, columns, 3), and `NAME:alpha`, uint8 (rows, columns), where it has
opacity. Pixels are `Image.convert("RGB")` of the file (`ImageOps.exif_transpose` first), except where Pillow cuts depth
down in its own way: 16 bits are round(v / 257), floats are linear light through the sRGB curve.

    python tests/reference/pictures.py
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from safetensors.numpy import save_file

OUT = Path(__file__).resolve().parents[1] / "golden" / "pictures"
WIDTH, HEIGHT = 35, 21
ORIENTATION = 0x0112
FOCAL_LENGTH_35MM = 0xA405

expected: dict[str, np.ndarray] = {}


def scene(mode: str = "RGB") -> Image.Image:
    """Slopes of colour with a dark disc and a bright bar: smooth enough for JPEG, and no symmetry."""
    x, y = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    rgb = np.stack([40 + 200 * x, 220 - 180 * y, 60 + 120 * x * y], axis=-1)
    image = Image.fromarray(np.round(rgb).astype(np.uint8), "RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse((4, 3, 13, 12), fill=(30, 50, 90))
    draw.rectangle((20, 14, 33, 17), fill=(240, 230, 200))
    return image.convert(mode)


def opacity() -> np.ndarray:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.clip(x * 9 - y * 4, 0, 255).astype(np.uint8)


def with_alpha(mode: str) -> Image.Image:
    image = scene("RGB" if mode == "RGBA" else "L")
    image.putalpha(Image.fromarray(opacity()))
    return image


def sixteen(channels: int) -> np.ndarray:
    """Values of 16 bits whose low bytes matter."""
    random = np.random.default_rng(16)
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    values = random.integers(0, 65536, shape, dtype=np.uint16)
    values.flat[:6] = [0, 128, 129, 65406, 65407, 65535]
    return values


def eight_of_sixteen(values: np.ndarray) -> np.ndarray:
    return np.floor(values / 257.0 + 0.5).astype(np.uint8)


def floats(channels: int, largest: float) -> np.ndarray:
    random = np.random.default_rng(32)
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return (random.random(shape) ** 2 * largest).astype(np.float32)


def eight_of_linear(values: np.ndarray) -> np.ndarray:
    """Divided by the 99th percentile of the brightest channel where that is above 1; IEC 61966-2-1."""
    values = values.astype(np.float64)
    brightest = np.sort((values if values.ndim == 2 else values.max(axis=-1)).ravel())
    white = max(1.0, brightest[(brightest.size - 1) * 99 // 100])
    light = np.clip(values / white, 0.0, 1.0)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.round(255.0 * curve).astype(np.uint8)


def colour(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.repeat(values[..., None], 3, axis=-1) if values.ndim == 2 else values[..., :3])


def read_back(name: str) -> None:
    """What Pillow reads is expected."""
    image = Image.open(OUT / name)
    image.seek(0)
    has_alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    image = ImageOps.exif_transpose(image)
    if has_alpha:
        expected[f"{name}:alpha"] = np.asarray(image.convert("RGBA").getchannel("A")).copy()
        # Not convert("RGB"): a transparent palette entry would become opaque in some versions only.
        expected[name] = np.asarray(image.convert("RGBA"))[..., :3].copy()
    else:
        expected[name] = np.asarray(image.convert("RGB")).copy()


def save(name: str, image: Image.Image, **options) -> None:
    image.save(OUT / name, **options)
    read_back(name)


def write(name: str, data: bytes) -> None:
    (OUT / name).write_bytes(data)
    read_back(name)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    tags.get_ifd(0x8769)[FOCAL_LENGTH_35MM] = 28
    return tags


def jpegs() -> None:
    save("colour.jpg", scene(), quality=92)
    save("444.jpg", scene(), quality=92, subsampling=0)
    save("progressive.jpg", scene(), quality=92, progressive=True)
    save("grey.jpg", scene("L"), quality=92)
    inks = Image.merge("CMYK", [*scene("CMYK").split()[:3], Image.fromarray(opacity() // 2)])
    save("cmyk.jpg", inks, quality=95)
    data = (OUT / "cmyk.jpg").read_bytes()
    adobe = data.index(b"\xff\xee")
    length = 2 + int.from_bytes(data[adobe + 2 : adobe + 4])
    write("cmyk_without_adobe.jpg", data[:adobe] + data[adobe + length :])
    transform = adobe + length - 1
    write("ycck.jpg", data[:transform] + b"\x02" + data[transform + 1 :])
    for orientation in range(1, 9):
        save(f"orientation_{orientation}.jpg", scene(), quality=92, exif=exif(orientation))


def pngs() -> None:
    save("colour.png", scene())
    save("alpha.png", with_alpha("RGBA"))
    save("grey.png", scene("L"))
    save("grey_alpha.png", with_alpha("LA"))
    save("bilevel.png", scene("1"))
    for colours in (2, 4, 16, 200):
        save(f"palette_{colours}.png", scene().quantize(colours))
    save("palette_transparent.png", scene().quantize(16), transparency=bytes([0, 80, 255]))
    save("colour_key.png", scene(), transparency=(240, 230, 200))
    save("oriented.png", with_alpha("RGBA"), exif=exif(6))
    turned = scene().transpose(Image.Transpose.ROTATE_180)
    save("animated.png", scene(), save_all=True, append_images=[turned], duration=100)
    for name, channels in (("grey16.png", 1), ("rgb16.png", 3), ("rgba16.png", 4)):
        values = sixteen(channels)
        swapped = values if channels == 1 else values[..., [2, 1, 0, 3][:channels]]
        cv2.imwrite(str(OUT / name), swapped)
        expected[name] = colour(eight_of_sixteen(values))
        if channels == 4:
            expected[f"{name}:alpha"] = np.ascontiguousarray(eight_of_sixteen(values)[..., 3])


def webps() -> None:
    save("lossless.webp", scene(), lossless=True)
    save("lossy.webp", scene(), quality=90)
    save("alpha.webp", with_alpha("RGBA"), quality=90)
    save("oriented.webp", scene(), lossless=True, exif=exif(8))
    turned = scene().transpose(Image.Transpose.ROTATE_180)
    save("animated.webp", scene(), save_all=True, append_images=[turned, scene()], lossless=True)


def tiffs() -> None:
    for name, compression in (
        ("raw", "raw"), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits"),
        ("jpeg", "jpeg"),
    ):
        save(f"{name}.tif", scene(), compression=compression)
    save("alpha.tif", with_alpha("RGBA"), compression="tiff_lzw")
    save("grey.tif", scene("L"))
    save("bilevel.tif", scene("1"), compression="group4")
    save("bilevel_raw.tif", scene("1"))
    save("cmyk.tif", scene("CMYK"), compression="tiff_lzw")
    save("pages.tif", scene(), save_all=True, append_images=[scene("L"), scene()], compression="tiff_lzw")
    tags = ImageFileDirectory_v2()
    tags[ORIENTATION] = 5
    save("oriented.tif", scene(), tiffinfo=tags, compression="tiff_lzw")
    values = sixteen(1)
    Image.fromarray(values).save(OUT / "grey16.tif")
    expected["grey16.tif"] = colour(eight_of_sixteen(values))
    values = sixteen(3)
    cv2.imwrite(str(OUT / "rgb16.tif"), values[..., ::-1])
    expected["rgb16.tif"] = eight_of_sixteen(values)
    values = floats(1, 1.0)
    Image.fromarray(values).save(OUT / "grey32f.tif")
    expected["grey32f.tif"] = colour(eight_of_linear(values))
    values = floats(3, 5.0)
    cv2.imwrite(str(OUT / "rgb32f.tif"), values[..., ::-1])
    expected["rgb32f.tif"] = eight_of_linear(values)
    # The tiff crate knows no palettes: it must be refused by name.
    scene().quantize(16).save(OUT / "palette.tif")


def others() -> None:
    save("colour.bmp", scene())
    save("palette.bmp", scene().quantize(100))
    save("bilevel.bmp", scene("1"))
    save("still.gif", scene().quantize(64))
    save("transparent.gif", scene().quantize(16), transparency=3)
    turned = scene().transpose(Image.Transpose.ROTATE_180)
    save("animated.gif", scene().quantize(64), save_all=True, append_images=[turned, scene("L")])
    save("colour.ppm", scene())
    save("grey.pgm", scene("L"))
    save("bilevel.pbm", scene("1"))
    write("ascii.ppm", b"P3\n# few colours\n3 2\n15\n15 0 0  0 15 0  0 0 15\n7 7 7  1 2 3  15 15 15\n")
    values = sixteen(1)
    data = b"P5 %d %d 65535\n" % (WIDTH, HEIGHT) + values.astype(">u2").tobytes()
    (OUT / "grey16.pgm").write_bytes(data)
    expected["grey16.pgm"] = colour(eight_of_sixteen(values))
    for name, largest in (("dim.hdr", 1.0), ("bright.hdr", 900.0)):
        cv2.imwrite(str(OUT / name), floats(3, largest)[..., ::-1])
        values = cv2.imread(str(OUT / name), cv2.IMREAD_UNCHANGED)[..., ::-1]
        expected[name] = eight_of_linear(values)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    jpegs()
    pngs()
    webps()
    tiffs()
    others()
    save_file({name: np.ascontiguousarray(value) for name, value in sorted(expected.items())},
              OUT / "expected.safetensors")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(expected)} arrays, {total / 1000:.0f} kB in all")


if __name__ == "__main__":
    main()
