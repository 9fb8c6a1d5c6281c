"""The one thing that cannot stand in setup.cfg: the inner loops in C, which are optional."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        # Without a compiler the installation goes on without it, and the same loops run in Python.
        Extension("_upbit_ws_speedups", ["upbit_ws/protocol/_speedups.c"], optional=True)
    ]
)
