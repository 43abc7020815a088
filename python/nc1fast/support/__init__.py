"""What every room may use: checked arguments, IEEE arithmetic, extras, progress, warnings, threads and files."""

from __future__ import annotations
