"""What the decoder library does not say of a file: tags before its audio, and data that is cut."""

import os
import struct

ID3_HEADER_BYTES = 10
RIFF_HEADER_BYTES = 12
CHUNK_HEADER_BYTES = 8
MOST_CHUNKS = 1000  # looked at: a damaged file must not be walked through for ever
# Programs that write to a pipe know no size, and write this or more (sox), or 2**32 - 1 (ffmpeg).
UNDECLARED_BYTES = 0x7FFFF000


def leading_tag_bytes(descriptor: int) -> int:
    """Return the length of an ID3v2 tag at the start of an open file, 0 where there is none."""
    head = os.pread(descriptor, ID3_HEADER_BYTES, 0)
    if len(head) < ID3_HEADER_BYTES or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:  # seven bits each
        size = size << 7 | byte & 0x7F
    has_footer = bool(head[5] & 0x10)
    return ID3_HEADER_BYTES + size + ID3_HEADER_BYTES * has_footer


def missing_data_bytes(descriptor: int, num_bytes: int) -> int:
    """Return how many bytes of samples a WAV file declares and does not have, 0 for other files.

    libsndfile reads what is there and says nothing.

    Args:
        descriptor: An open file.
        num_bytes: Its size.
    """
    head = os.pread(descriptor, RIFF_HEADER_BYTES, 0)
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return 0
    place = RIFF_HEADER_BYTES
    for _ in range(MOST_CHUNKS):
        chunk = os.pread(descriptor, CHUNK_HEADER_BYTES, place)
        if len(chunk) < CHUNK_HEADER_BYTES:
            return 0
        name, size = struct.unpack("<4sI", chunk)
        place += CHUNK_HEADER_BYTES
        if name == b"data":
            return 0 if size >= UNDECLARED_BYTES else max(0, place + size - num_bytes)
        place += size + size % 2
    return 0
