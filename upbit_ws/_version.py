"""The version, in a module that imports nothing: the build reads it without loading the package."""

from __future__ import annotations

__version__ = "0.1.0"
