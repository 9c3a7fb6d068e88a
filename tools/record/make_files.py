"""Writes the generated files of the recordings' web site into a folder, the same on every machine:
make_files.py FOLDER"""
import pathlib
import random
import struct
import sys
import zlib


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side):
    """A wave: two colours, so that the file is small and still a picture."""
    rows = bytearray()
    for y in range(side):
        rows.append(0)
        for x in range(side):
            sea = y > side / 2 + side / 8 * ((x // 4) % 2)
            rows += bytes((11, 85, 102) if sea else (244, 236, 220))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
            + png_chunk(b"IDAT", zlib.compress(bytes(rows), 9)) + png_chunk(b"IEND", b""))


def tides(byte_count):
    """A table in text, with lines that tell where they are."""
    source = random.Random(7)
    lines = ["minute;level_cm;station\n"]
    size = len(lines[0])
    while size < byte_count:
        lines.append(f"{len(lines):05};{source.randrange(-250, 250):+04};Helgoland\n")
        size += len(lines[-1])
    return "".join(lines)[:byte_count].encode()


def noise(byte_count, seed):
    return random.Random(seed).randbytes(byte_count)


def main():
    folder = pathlib.Path(sys.argv[1])
    (folder / "logo.png").write_bytes(png(32))
    (folder / "tides.csv").write_bytes(tides(24_000))
    (folder / "photo.bin").write_bytes(noise(60_000, 1))
    (folder / "archive.bin").write_bytes(noise(1 << 20, 2))
    (folder / "upload.bin").write_bytes(noise(30_000, 3))


main()
