"""Tests mirror the modules of `upbit_ws`; helpers shared between them are modules of this package."""
