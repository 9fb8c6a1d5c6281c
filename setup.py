"""The one thing that cannot stand in setup.cfg: the inner loops in C, which are optional."""

from glob import glob

from setuptools import Extension, setup

LOOPS = "upbit_ws/protocol/speedups"

setup(
    ext_modules=[
        # Without a compiler the installation goes on without it, and the same loops run in Python.
        Extension("_upbit_ws_speedups", [f"{LOOPS}/module.c"], depends=glob(f"{LOOPS}/*.h"), optional=True)
    ]
)
