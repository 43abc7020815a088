"""Checksums of the files of this package: they tell damage, not intent."""

from __future__ import annotations

import hashlib
from typing import Any

_DIGEST = 16  # bytes


def checksum(*parts: Any) -> str:
    """The BLAKE2b digest of bytes, or of anything that has a buffer: 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
