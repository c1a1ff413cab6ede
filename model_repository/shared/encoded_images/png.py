"""Takes the animation out of a PNG before OpenCV sees it.

OpenCV 4.11 reads APNG, and reads it badly: a damaged frame ends the process with a segmentation fault, and the size
that a frame's header declares is believed, whatever the picture's own is, so that 100 bytes cost gigabytes. The picture
itself, in IDAT, is the first frame or what is shown where animations are not: it is all that is wanted here.
"""

ANIMATION = (b"acTL", b"fcTL", b"fdAT")
SIGNATURE = 8
# A chunk's length, its kind and, behind its data, its checksum.
AROUND = 12


class BrokenOff(Exception):
    """The file ends within a chunk, or before the last one."""


def still(content: bytes) -> bytes:
    """The same picture without animation, and without what follows its end.

    Raises:
        BrokenOff: its chunks do not lead to its end.
    """
    kept = [content[:SIGNATURE]]
    place = SIGNATURE
    while place + AROUND <= len(content):
        kind = content[place + 4 : place + 8]
        end = place + AROUND + int.from_bytes(content[place : place + 4], "big")
        if end > len(content):
            break
        if kind not in ANIMATION:
            kept.append(content[place:end])
        if kind == b"IEND":
            return b"".join(kept)
        place = end
    raise BrokenOff
