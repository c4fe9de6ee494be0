"""Image files as other programs write them, with the pixels that must be read from them.

    python generate.py             writes the files beside this script and index.jsonl, which crates/data's tests read
    python generate.py --all DIR   writes many more, every combination that tifffile can write, into DIR

Needs numpy, tifffile, imagecodecs and Pillow. Each line of index.jsonl: the file, how it is read ("image", "mask" or "colours"
with options), and what must come: size, channels and the CRC-32 of the pixels ("near": the pixels in hex, for lossy
compression, to be met within "within"), or a part of the error.
"""

import io
import itertools
import json
import pathlib
import struct
import sys
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

H, W = 18, 27
y, x = np.mgrid[0:H, 0:W]
GREY = ((x * 9 + y * 5) % 256).astype(np.uint8)
RGB = np.stack([GREY, (x * 3 + y * 11) % 256, (255 - x * 7 + y) % 256], -1).astype(np.uint8)
MASK = ((x // 7 + y // 5) % 4).astype(np.uint8)
DEEP = (GREY.astype(np.uint16) * 257) ^ 1
SMOOTH = (40 + x * 4 + y * 3).astype(np.uint8)

lines = []
folder = pathlib.Path(__file__).parent


def write(name, data, kind, expect, **options):
    (folder / name).write_bytes(data)
    also(name, kind, expect, **options)


def also(name, kind, expect, **options):
    lines.append({"file": name, "kind": kind, "options": options, **expect})


def pixels(array):
    array = np.asarray(array)
    assert array.dtype == np.uint8, array.dtype
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] == 3 and (array == array[..., :1]).all():
        array = array[..., :1]
    height, width, channels = array.shape
    return {"size": [width, height], "channels": channels, "crc": zlib.crc32(np.ascontiguousarray(array).tobytes())}


def near(array, within=3):
    return {**pixels(array), "near": np.ascontiguousarray(array).tobytes().hex(), "within": within}


def error(text):
    return {"error": text}


def tif(array, **how):
    out = io.BytesIO()
    how.setdefault("metadata", None)
    tifffile.imwrite(out, array, **how)
    return out.getvalue()


def pages(*parts):
    """Several pages: (array, keywords of imwrite) each."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for array, how in parts:
            writer.write(array, metadata=None, **how)
    return out.getvalue()


def pil(image, format, **how):
    out = io.BytesIO()
    image.save(out, format, **how)
    return out.getvalue()


def eight(deep):
    """16 bits to 8, rounded."""
    return ((deep.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def retag(data, tag, value, kind=3):
    """The little-endian tif `data` with one value of a tag replaced in its first directory."""
    data = bytearray(data)
    at = struct.unpack_from("<I", data, 4)[0]
    for i in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * i
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HHII", data, entry, tag, kind, 1, value)
            return bytes(data)
    raise KeyError(tag)


def rename(data, tag, other):
    """The little-endian tif `data` with another number for a tag of its first directory."""
    at = data.index(struct.pack("<HHI", tag, 3, 1))
    return data[:at] + struct.pack("<H", other) + data[at + 2:]


def turned(array, orientation):
    """As `array` is stored so that it is to be seen as it is."""
    return {
        1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1], 5: array.swapaxes(0, 1),
        6: np.rot90(array, 1), 7: np.rot90(array, 2).swapaxes(0, 1), 8: np.rot90(array, 3),
    }[orientation]


def exif(orientation):
    return b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + struct.pack(">HHI", orientation, 0, 0)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def committed():
    # Orientation.
    for o in range(2, 9):
        stored = np.ascontiguousarray(turned(GREY, o))
        write(f"turned{o}.tif", tif(stored, extratags=[(274, 3, 1, o, True)]), "image", pixels(GREY))
        write(f"turned{o}.jpg", pil(Image.fromarray(np.ascontiguousarray(turned(SMOOTH, o))), "JPEG", quality=98, exif=b"Exif\0\0" + exif(o)),
              "image", near(SMOOTH))
        png = pil(Image.fromarray(np.ascontiguousarray(turned(RGB, o))), "PNG")
        end = png.index(b"IEND") - 4
        where = 33 if o % 2 else end  # in front of the pixels, or behind them
        write(f"turned{o}.png", png[:where] + png_chunk(b"eXIf", exif(o)) + png[where:], "image", pixels(RGB))
    # Where programs wrote the orientation before png had a chunk for it, and where some write it alone.
    stored = pil(Image.fromarray(np.ascontiguousarray(turned(GREY, 3))), "PNG")
    profile = b"\nexif\n%8d\n" % (6 + len(exif(3))) + (b"Exif\0\0" + exif(3)).hex().encode() + b"\n"
    chunk = png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile))
    write("turned_profile.png", stored[:33] + chunk + stored[33:], "image", pixels(GREY))
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    write("turned_xmp.jpg", pil(Image.fromarray(np.ascontiguousarray(turned(SMOOTH, 3))), "JPEG", quality=98, xmp=xmp), "image",
          error("its XMP metadata say that it is turned (orientation 3), its EXIF do not"))
    write("turned_mask.tif", tif(np.ascontiguousarray(turned(MASK, 6)), extratags=[(274, 3, 1, 6, True)]), "mask", pixels(MASK))
    mask = pil(Image.fromarray(np.ascontiguousarray(turned(MASK, 8))), "PNG", exif=b"Exif\0\0" + exif(8))
    write("turned_mask.png", mask, "mask", pixels(MASK))

    # Pages.
    small = np.ascontiguousarray(GREY[::2, ::2])
    write("thumbnail_first.tif", pages((small, {"subfiletype": 1}), (GREY, {})), "image", pixels(GREY))
    also("thumbnail_first.tif", "mask", pixels(GREY))
    also("thumbnail_first.tif", "image", error("a tif of 1 page, and `page` is 2"), page=2)
    old = bytearray(pages((small, {"subfiletype": 1}), (GREY, {})))
    at = struct.unpack_from("<I", old, 4)[0] + 2
    assert struct.unpack_from("<H", old, at)[0] == 254
    struct.pack_into("<HHIHH", old, at, 255, 3, 1, 2, 0)
    write("thumbnail_first_old.tif", bytes(old), "image", pixels(GREY))
    out = io.BytesIO()
    with tifffile.TiffWriter(out, ome=True) as writer:
        writer.write(GREY, subifds=1, tile=(16, 16))
        writer.write(small, subfiletype=1, tile=(16, 16))
    write("pyramid.ome.tif", out.getvalue(), "image", pixels(GREY))
    three = np.stack([GREY, 255 - GREY, MASK])
    write("three_pages.tif", tif(three, photometric="minisblack"), "image",
          error("a tif of 3 pages; set `page = 1` (or up to 3) for the data set"))
    also("three_pages.tif", "mask", error("a tif of 3 pages"))
    also("three_pages.tif", "image", pixels(255 - GREY), page=2)
    also("three_pages.tif", "mask", pixels(MASK), page=3)
    also("three_pages.tif", "image", error("a tif of 3 pages, and `page` is 4; correct the data set's `page`"), page=4)
    stack = tif(three[:1], description="ImageJ=1.54f\nimages=3\nslices=3\nloop=false\n") + three[1:].tobytes()
    write("imagej_stack.tif", stack, "image", error("a tif of 3 pages, a stack behind one directory"))
    for n in (1, 2, 3):
        also("imagej_stack.tif", "image", pixels(three[n - 1]), page=n)
    also("imagej_stack.tif", "mask", error("a tif of 3 pages"))
    write("imagej_stack_cut.tif", stack[:-9], "image", error("damaged or cut short (a stack of 3 images"))
    write("imagej_one_of_stack.tif", tif(GREY, description="ImageJ=1.54f\nimages=3\nslices=3\n"), "image", pixels(GREY))
    write("shaped_stack.tif", tif(three, photometric="minisblack", metadata={}, truncate=True), "image", error("a tif of 3 pages"))
    also("shaped_stack.tif", "image", pixels(three[2]), page=3)
    write("ome_planes.ome.tif", tif(three, photometric="minisblack", ome=True, metadata={"axes": "ZYX"}), "image",
          error("a tif of 3 pages"))

    # Bits in the other order.
    for name, array in (("8", GREY), ("16", DEEP)):
        data = rename(tif(array, extratags=[(65000, 3, 1, 2, True)]), 65000, 266)
        at = data.index(array.tobytes())
        flipped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in array.tobytes())
        data = data[:at] + flipped + data[at + len(flipped):]
        write(f"fill_order_{name}.tif", data, "image", pixels(array if name == "8" else eight(array)))
    data = rename(tif(GREY, compression="lzw", extratags=[(65000, 3, 1, 2, True)]), 65000, 266)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        at, count = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    flipped = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data[at:at + count])
    write("fill_order_lzw.tif", data[:at] + flipped + data[at + count:], "mask", pixels(GREY))

    # Masks with lossy compression.
    write("mask_jpeg.tif", tif(MASK, compression="jpeg"), "mask", error("a mask compressed by JPEG in a tif, which changes the values"))
    write("mask_jpeg2000.tif", tif(MASK, compression="jpeg2000"), "mask", error("a mask compressed by JPEG 2000 in a tif"))
    write("mask_webp.tif", tif(RGB, compression="webp"), "mask", error("a mask compressed by WebP in a tif"))
    also("mask_webp.tif", "image", error("a tif compressed by WebP, which is not read"))
    write("mask_jpegxl.tif", tif(MASK, compression="jpegxl"), "mask", error("a mask compressed by JPEG XL in a tif"))
    write("mask_old_jpeg.tif", retag(tif(MASK), 259, 6), "mask", error("a mask compressed by old-style JPEG in a tif"))
    also("mask_old_jpeg.tif", "image", error("a tif compressed by old-style JPEG, which is not read"))
    write("mask.jpg", pil(Image.fromarray(MASK), "JPEG"), "mask", error("a mask stored as jpg"))
    also("mask.jpg", "colours", error("a mask stored as jpg"))
    also("mask_jpeg.tif", "colours", error("a mask compressed by JPEG in a tif"))

    # JPEG in tifs, for images.
    write("jpeg_grey.tif", tif(SMOOTH, compression="jpeg", compressionargs={"level": 98}), "image", near(SMOOTH))
    write("jpeg_tiles.tif", tif(SMOOTH, compression="jpeg", compressionargs={"level": 98}, tile=(16, 16)), "image", near(SMOOTH))
    soft = np.stack([SMOOTH, 200 - SMOOTH, SMOOTH // 2], -1)
    write("jpeg_ycbcr.tif", tif(soft, photometric="rgb", compression="jpeg", compressionargs={"level": 98}), "image", near(soft, 6))
    write("jpeg_rgb.tif", tif(soft, photometric="rgb", compression="jpeg", compressionargs={"level": 98, "outcolorspace": "rgb"}),
          "image", near(soft, 6))

    # Planes, tiles, BigTIFF.
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    write("planar_tiles.tif", tif(planes, photometric="rgb", planarconfig="separate", tile=(16, 16)), "image", pixels(RGB))
    write("planar_strips.tif", tif(planes, photometric="rgb", planarconfig="separate", rowsperstrip=5), "image", pixels(RGB))
    deep = planes.astype(np.uint16) * 257
    write("planar_tiles_16_big.tif",
          tif(deep, photometric="rgb", planarconfig="separate", tile=(16, 16), bigtiff=True, byteorder=">", compression="zlib",
              predictor=True), "image", pixels(RGB))
    write("big_tiff.tif", tif(GREY, bigtiff=True), "image", pixels(GREY))
    write("big_tiff_mask.tif", tif(MASK, bigtiff=True, compression="lzw", predictor=True), "mask", pixels(MASK))

    # Palettes.
    ramp = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :4] = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 255]]).T * 257
    shown = (colours[:, MASK].transpose(1, 2, 0) >> 8).astype(np.uint8)
    write("ramp_palette.tif", tif(GREY, photometric="palette", colormap=ramp), "image", pixels(GREY))
    write("ramp_palette_lzw.tif", tif(GREY, photometric="palette", colormap=ramp[:, ::-1], compression="lzw", predictor=True),
          "image", pixels(255 - GREY))
    also("ramp_palette_lzw.tif", "mask", pixels(GREY))
    write("palette_mask.tif", tif(MASK, photometric="palette", colormap=colours), "mask", pixels(MASK))
    also("palette_mask.tif", "image", pixels(shown))
    also("palette_mask.tif", "colours", pixels(shown))
    indexed = Image.fromarray(MASK, "P")
    indexed.putpalette((colours[:, :4].T >> 8).astype(np.uint8).tobytes())
    for bits in (1, 4, 8):
        index = MASK % 2 if bits == 1 else MASK
        image = Image.fromarray(index, "P")
        image.putpalette((colours[:, :4].T >> 8).astype(np.uint8).tobytes())
        if bits == 8:
            data = pil(image, "BMP")
        else:
            row = [imagecodecs.packints_encode(line, bits) for line in index[::-1]]
            row = [line + bytes(-len(line) % 4) for line in row]
            table = b"".join(bytes(int(v) >> 8 for v in colours[::-1, i]) + b"\0" for i in range(4))[: 4 * min(4, 2**bits)]
            start = 54 + len(table)
            data = b"BM" + struct.pack("<IIIIiiHHIIiiII", start + sum(map(len, row)), 0, start, 40, W, H, 1, bits, 0, 0, 0, 0,
                                       len(table) // 4, 0) + table + b"".join(row)
        seen = (colours[:, index].transpose(1, 2, 0) >> 8).astype(np.uint8)
        write(f"palette{bits}.bmp", data, "mask", pixels(index))
        also(f"palette{bits}.bmp", "image", pixels(seen))
    runs = b"".join(b"".join(bytes([len(list(run)), int(value)]) for value, run in itertools.groupby(line)) + b"\0\0" for line in MASK[::-1])
    table = b"".join(bytes(int(v) >> 8 for v in colours[::-1, i]) + b"\0" for i in range(256))
    write("palette_rle.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 1078 + len(runs) + 2, 0, 1078, 40, W, H, 1, 8, 1, len(runs) + 2, 0, 0, 256, 0)
          + table + runs + b"\0\1", "mask", pixels(MASK))
    also("palette_rle.bmp", "image", pixels(shown))
    write("palette.png", pil(indexed, "PNG"), "mask", pixels(MASK))
    also("palette.png", "image", pixels(shown))
    write("palette_transparent.png", pil(indexed, "PNG", transparency=1), "mask", pixels(MASK))
    also("palette_transparent.png", "image", error("has an alpha channel with transparent pixels"))

    # Depths.
    for bits in (1, 2, 4):
        small = (GREY >> (8 - bits)).astype(np.uint8)
        rows = b"".join(imagecodecs.packints_encode(line, bits) for line in small)
        data = tif(np.frombuffer(rows, np.uint8).reshape(H, -1))
        data = retag(retag(data, 258, bits), 256, W, 4)
        full = 2**bits - 1
        write(f"bits{bits}.tif", data, "image", pixels(((small.astype(int) * 255 + full // 2) // full).astype(np.uint8)))
        also(f"bits{bits}.tif", "mask", pixels(small))
    twelve = GREY.astype(np.uint16) * 16
    rows = b"".join(imagecodecs.packints_encode(line, 12) for line in twelve)
    data = retag(retag(tif(np.frombuffer(rows, np.uint8).reshape(H, -1)), 258, 12), 256, W, 4)
    write("bits12.tif", data, "image", pixels(((twelve.astype(int) * 255 + 2047) // 4095).astype(np.uint8)))
    write("deep.tif", tif(DEEP), "image", pixels(eight(DEEP)))
    also("deep.tif", "mask", error("a 16-bit mask with the value"))
    also("deep.tif", "image", pixels(np.clip(np.rint((DEEP - 1000.0) / 29000 * 255), 0, 255).astype(np.uint8)), range=[1000, 30000])
    write("int16.tif", tif((DEEP // 2).astype(np.int16)), "image",
          pixels(((DEEP // 2).astype(int) * 255 + 16383).__floordiv__(32767).astype(np.uint8)), bits=15)
    negative = GREY.astype(np.int16) - 5
    write("int16_negative.tif", tif(negative), "image",
          error("16 bits a value, some of them negative, from -5 to "))
    also("int16_negative.tif", "image", pixels(np.clip(negative, 0, 255).astype(np.uint8)), range=[0, 255])
    also("int16_negative.tif", "mask", error("a 16-bit mask with the value -5"))
    write("uint32.tif", tif(MASK.astype(np.uint32), compression="zlib", predictor=True), "mask", pixels(MASK))
    also("uint32.tif", "image", error("32 bits a value, from 0 to 3"))
    write("int32.tif", tif(MASK.astype(np.int32), byteorder=">"), "mask", pixels(MASK))
    write("uint32_large.tif", tif(MASK.astype(np.uint32) * 100), "mask", error("a 32-bit mask with the value 300; save label values from 0 to 255"))
    real = (GREY / 255).astype(np.float32)
    write("float32.tif", tif(real), "image", error("floating point (32 bits a value), from 0 to 1: what is black and what is white"))
    also("float32.tif", "image", pixels(GREY), range=[0, 1])
    also("float32.tif", "image", pixels(np.clip(np.rint(real.astype(float) / 0.5 * 255), 0, 255).astype(np.uint8)), range=[0, 0.5])
    also("float32.tif", "mask", error("a floating-point mask with the value 0.0"))
    write("float32_predictor.tif", tif(real, compression="zlib", predictor=3, byteorder=">", tile=(16, 16)), "image", pixels(GREY), range=[0, 1])
    write("float16.tif", tif(real.astype(np.float16)), "image", pixels(np.rint(real.astype(np.float16).astype(float) * 255).astype(np.uint8)), range=[0, 1])
    write("float64.tif", tif(real.astype(float) - 0.5), "image", pixels(np.rint(real.astype(float) * 255).astype(np.uint8)), range=[-0.5, 0.5])
    hole = real.copy()
    hole[3, 4] = np.nan
    write("float_nan.tif", tif(hole), "image", error("holds values that are no numbers (NaN or infinite)"), range=[0, 1])
    write("float_mask.tif", tif(MASK.astype(np.float32)), "mask", pixels(MASK))
    write("complex.tif", tif(GREY.astype(np.complex64)), "image", error("a tif of complex numbers, which is not read"))

    # Channels.
    two = np.stack([GREY, 255 - GREY], -1)
    opaque = np.stack([GREY, np.full_like(GREY, 255)], -1)
    write("grey_alpha.tif", tif(opaque, photometric="minisblack", extrasamples=["unassalpha"]), "image", pixels(GREY))
    write("grey_alpha_mask.tif", tif(np.stack([MASK, np.full_like(MASK, 255)], -1), photometric="minisblack", extrasamples=["assocalpha"]), "mask", pixels(MASK))
    write("grey_alpha_seen.tif", tif(two, photometric="minisblack", extrasamples=["unassalpha"]), "image", error("has an alpha channel with transparent pixels"))
    also("grey_alpha_seen.tif", "image", pixels(GREY), channels=[0])
    write("two_channels.tif", tif(two, photometric="minisblack", planarconfig="contig"), "image",
          error("2 channels, which are neither grey nor RGB; set `channels` for the data set, e.g. `channels = [0]`"))
    also("two_channels.tif", "image", pixels(255 - GREY), channels=[1])
    also("two_channels.tif", "image", error("2 channels, and `channels` names channel 2"), channels=[2])
    five = np.ascontiguousarray(np.stack([RGB[..., 0], RGB[..., 1], RGB[..., 2], MASK, 255 - GREY]))
    write("five_channels.tif", tif(five, photometric="minisblack", planarconfig="separate", tile=(16, 16), compression="lzw"), "image",
          error("5 channels, which are neither grey nor RGB"))
    also("five_channels.tif", "image", pixels(five[[4, 0, 2]].transpose(1, 2, 0)), channels=[4, 0, 2])
    rgba = np.concatenate([RGB, np.full((H, W, 1), 255, np.uint8)], -1)
    write("rgba16.png", imagecodecs.png_encode(rgba.astype(np.uint16) * 257), "image", pixels(RGB))
    write("rgba.tif", tif(rgba, photometric="rgb", extrasamples=["unassalpha"]), "image", pixels(RGB))
    write("grey_alpha16.png", imagecodecs.png_encode(np.stack([MASK.astype(np.uint16), np.full((H, W), 65535, np.uint16)], -1)), "mask", pixels(MASK))
    write("one_channel_of_rgb.png", pil(Image.fromarray(RGB), "PNG"), "image", pixels(RGB[..., 1]), channels=[1])

    # Colours and compressions that are refused by name.
    cmyk = np.concatenate([RGB, GREY[..., None]], -1)
    write("cmyk.tif", tif(cmyk, photometric="separated"), "image", error("a tif in CMYK (8 bits, no compression), which is not read"))
    write("lab.tif", tif(RGB, photometric="cielab"), "image", error("a tif in CIE L*a*b*"))
    write("ycbcr.tif", retag(tif(RGB, photometric="rgb"), 262, 6), "image", error("a tif in YCbCr (8 bits, no compression)"))
    write("zstd.tif", tif(GREY, compression="zstd"), "image", error("a tif compressed by zstd, which is not read; save it as png, or as tif without compression"))
    write("lerc.tif", tif(GREY, compression="lerc"), "image", error("a tif compressed by LERC"))
    write("lzma.tif", tif(GREY, compression="lzma"), "image", error("a tif compressed by LZMA"))
    also("mask_jpeg2000.tif", "image", error("a tif compressed by JPEG 2000"))
    for name, number in (("huffman", 2), ("group3", 3)):
        write(f"ccitt_{name}.tif", retag(tif(GREY), 259, number), "image", error("a tif compressed by CCITT"))
    fax = pil(Image.fromarray(MASK > 1), "TIFF", compression="group4")
    write("ccitt_group4.tif", fax, "image", pixels(np.where(MASK > 1, 255, 0).astype(np.uint8)))

    # JPEG.
    write("cmyk.jpg", pil(Image.fromarray(cmyk, "CMYK"), "JPEG"), "image", error("a JPEG in CMYK (27×18), which is made for printing"))
    write("rgb.jpg", pil(Image.fromarray(soft), "JPEG", quality=98, subsampling=0), "image", near(soft, 6))
    write("rgb_kept.jpg", imagecodecs.jpeg8_encode(soft, 98, colorspace="rgb", outcolorspace="rgb"), "image", near(soft, 6))
    write("progressive.jpg", pil(Image.fromarray(SMOOTH), "JPEG", quality=98, progressive=True), "image", near(SMOOTH))
    write("lossless.jpg", imagecodecs.ljpeg_encode(DEEP, bitspersample=16), "image", error("a lossless JPEG (16 bits, 27×18), which is not read; save it as png"))
    twelve = (SMOOTH.astype(np.uint16) * 16)
    write("twelve.jpg", imagecodecs.jpeg_encode(twelve, bitspersample=12), "image", error("a 12-bit JPEG (27×18), which is not read"))
    arithmetic = bytearray(pil(Image.fromarray(SMOOTH), "JPEG"))
    arithmetic[arithmetic.index(b"\xff\xc0") + 1] = 0xC9
    write("arithmetic.jpg", bytes(arithmetic), "image", error("an arithmetic-coded JPEG (8 bits, 27×18)"))
    write("jpeg_ls.jpg", imagecodecs.jpegls_encode(GREY), "image", error("a JPEG-LS file (8 bits, 27×18), which is not read"))

    # png.
    write("interlaced.png", png_interlaced(), "image", pixels(GREY[:5, :5]))
    write("grey_transparent.png", pil(Image.fromarray(GREY), "PNG", transparency=9), "image", error("has an alpha channel with transparent pixels"))
    write("rgb_transparent.png", pil(Image.fromarray(RGB), "PNG", transparency=(1, 2, 3)), "image", pixels(RGB))
    seen = tuple(int(v) for v in RGB[2, 3])
    write("rgb_transparent_seen.png", pil(Image.fromarray(RGB), "PNG", transparency=seen), "image", error("has an alpha channel with transparent pixels"))
    write("animated.png", pil(Image.fromarray(GREY), "PNG", save_all=True, append_images=[Image.fromarray(255 - GREY)]), "image",
          error("an animated png of 2 frames; save the frame that is meant as a png of its own"))

    # No images.
    lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    write("lfs.png", lfs, "image", error("a Git LFS pointer, not the image; run `git lfs pull`"))
    also("lfs.png", "mask", error("a Git LFS pointer"))
    write("annex.tif", b"/annex/objects/SHA256E-s6391--0aa4.tif\n", "image", error("a git-annex pointer, not the image; run `git annex get`"))
    write("page.png", b"<!DOCTYPE html>\n<html><body>404</body></html>", "image", error("a web page, not the image; download the file again"))
    write("empty.png", b"", "image", error("an empty file"))
    write("zeros.png", bytes(100), "image", error("a file of zeros"))
    write("archive.png", b"PK\x03\x04 and so on", "image", error("a zip archive; unpack it"))
    write("is_gif.png", pil(Image.fromarray(MASK), "GIF"), "mask", error("a gif; save it as png or tif"))
    write("is_webp.png", pil(Image.fromarray(MASK), "WEBP"), "mask", error("a webp; save it as png or tif"))
    write("is_jp2.tif", imagecodecs.jpeg2k_encode(GREY, codecformat="jp2"), "image", error("a JPEG 2000 file"))
    write("is_avif.png", b"\0\0\0\x1cftypavif" + bytes(30), "image", error("a heic, avif or video file"))


def png_interlaced():
    """5×5 grey pixels in Adam7's order."""
    data = b""
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        part = GREY[:5, :5][y0::dy, x0::dx]
        if part.size:
            data += b"".join(b"\0" + row.tobytes() for row in part)
    head = struct.pack(">IIBBBBB", 5, 5, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(data)) + png_chunk(b"IEND", b"")


def combinations():
    """Everything that tifffile writes of these kinds."""
    number = 0
    types = ["u1", "u2", "u4", "i2", "i4", "f2", "f4", "f8"]
    for dtype, colour, planar, tile, compression, predictor, order, big in itertools.product(
        types, ("grey", "white", "rgb", "rgba", "palette"), ("contig", "separate"), (None, (16, 16), (32, 48)), (None, "lzw", "zlib", "packbits"),
        (False, True), "<>", (False, True),
    ):
        kind = np.dtype(dtype)
        if colour == "palette" and dtype != "u1" or predictor and compression in (None, "packbits"):
            continue
        if (colour in ("grey", "white", "palette")) and planar == "separate":
            continue
        seen = RGB if colour in ("rgb", "rgba") else GREY
        base = seen if colour != "rgba" else np.concatenate([RGB, np.full((H, W, 1), 255, np.uint8)], -1)
        options = {}
        if dtype == "u1":
            array = base
        elif dtype == "u2":
            array = base.astype(kind) * 257
        elif dtype in ("u4", "i4", "i2"):
            array, options = base.astype(kind), {"range": [0, 255]}
        else:
            array, options = base.astype(kind), {"range": [0, 255]}
            if colour == "rgba":
                array[..., 3] = 1
        if dtype in ("u4", "i2", "i4") and colour == "rgba":
            continue
        if planar == "separate":
            array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
        how = {"photometric": {"grey": "minisblack", "white": "miniswhite", "palette": "palette"}.get(colour, "rgb")}
        if colour == "palette":
            how["colormap"] = np.stack([np.arange(256, dtype=np.uint16)[::-1] * 257] * 3)
        if colour in ("rgb", "rgba"):
            how["planarconfig"] = planar
        if colour == "rgba":
            how["extrasamples"] = ["unassalpha"]
        if tile:
            how["tile"] = tile
        else:
            how["rowsperstrip"] = (5, H)[number % 2]
        if predictor:
            how["predictor"] = 3 if kind.kind == "f" and number % 2 else True
        number += 1
        expected = 255 - seen if colour in ("white", "palette") else seen
        try:
            data = tif(array, compression=compression, byteorder=order, bigtiff=big, **how)
        except (ValueError, NotImplementedError, TypeError) as reason:
            print("not written:", dtype, colour, planar, tile, compression, predictor, reason)
            continue
        name = f"{number}_{dtype}_{colour}_{planar}_{'tile' if tile else 'strip'}_{compression}_{how.get('predictor')}_{order}_{big}.tif".replace("<", "le").replace(">", "be")
        (folder / name).write_bytes(data)
        again = tifffile.imread(folder / name)
        assert (again == array).all(), name
        also(name, "image", pixels(expected), **options)
        if colour in ("grey", "white", "palette") and dtype != "u2":
            also(name, "mask", pixels(seen))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--all"]:
        folder = pathlib.Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        combinations()
    else:
        committed()
    (folder / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(len(lines), "readings of", len({line["file"] for line in lines}), "files,", size, "bytes")
