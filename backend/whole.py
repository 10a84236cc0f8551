"""Files that are there whole or not at all, whatever ends the writing: the door to `cache.files` for this floor.

Owns nothing. Refuses to say what a failure means: the OSError is the caller's.
"""

from __future__ import annotations

from cache.files import whole

__all__ = ["whole"]
