"""A fake driver library: built from a few lines of C, with environment variables that say what it answers."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
#include <stddef.h>
#include <stdlib.h>
static int said(const char *name) { const char *text = getenv(name); return text ? atoi(text) : 0; }
static int current;
int cuInit(unsigned flags) { return said("FAKE_INIT"); }
int cuDeviceGetCount(int *count) { *count = said("FAKE_GPUS"); return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return index < said("FAKE_GPUS") ? 0 : 101; }
int cuDevicePrimaryCtxRetain(void **context, int device) {
    *context = (void *)(size_t)(device + 1);
    return said("FAKE_CONTEXT");
}
int cuCtxSetCurrent(void *context) { current = (int)(size_t)context; return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = (size_t)(10 - current) << 33; /* more than 32 bits hold */
    *total = (size_t)1 << 40;
    return 0;
}
int cuGetErrorString(int error, const char **text) {
    *text = error == 805 ? "MPS client failed to connect to the MPS control daemon or the MPS server" : "no";
    return 0;
}
"""


def fake_driver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the library where a new process finds it; this one has to be told that it is there."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    (folder / "driver.c").write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libcuda.so.1"), str(folder / "driver.c")]
    subprocess.run(command, check=True, timeout=60)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    monkeypatch.setattr("harness.train.driver.is_installed", lambda: True)
    monkeypatch.setattr("harness.launch.memory.is_installed", lambda: True)
