"""Data and labels of any origin, turned into arrays and files of rows."""

from __future__ import annotations
