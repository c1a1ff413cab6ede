"""Where a JPEG ends, by its own structure: what follows, such as a phone's video, is no part of the picture.

A marker is FF and a byte that is neither 00 nor FF. Segments have their length behind it, so thumbnails and comments
inside them are stepped over. In the compressed data behind a scan's header, FF is followed by 00 or by a restart.
"""

import re

# The next marker, over fill bytes, compressed data and restarts. It begins with one literal byte: found with memchr.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
END, SCAN = 0xD9, 0xDA
# Frame headers, tables, scans, application data and comments. Others do not occur in a sound picture of one frame.
WITH_LENGTH = frozenset({*range(0xC0, 0xD0), *range(0xDA, 0xE0), *range(0xE0, 0xF0), 0xFE})


def end_of(content: bytes) -> int | None:
    """Bytes up to the end marker behind the last scan; None: its segments do not lead to one."""
    place, scans = 2, 0
    while found := MARKER.search(content, place):
        place = found.end()
        marker = content[place - 1]
        if marker == END:
            return place if scans else None
        if marker not in WITH_LENGTH:
            return None
        scans += marker == SCAN
        place += int.from_bytes(content[place : place + 2], "big")
    return None
