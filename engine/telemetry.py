"""Telemetry of ONNX Runtime, switched off before anything imports it.

Its official wheels for Linux and macOS keep a device id in the home folder and report the process
to Microsoft since version 1.29, unless ``ORT_DISABLE_TELEMETRY=1`` is in the environment when they
are imported; ``onnxruntime.disable_telemetry_events()`` comes too late for the first event
(github.com/microsoft/onnxruntime/pull/27379). So this variable is set when this package is
imported. A value that the user has set stays. Builds for Windows hand events to the event tracing
of Windows instead, which this variable does not govern.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings

VARIABLE = "ORT_DISABLE_TELEMETRY"

IMPORTED_EARLIER = "onnxruntime" in sys.modules and VARIABLE not in os.environ
"""True if this process had imported onnxruntime with its telemetry on before this package."""

os.environ.setdefault(VARIABLE, "1")

_REMEDY = f"set {VARIABLE}=1 in the environment, or import emotion2vec_edge.engine first"


def problem(version: str) -> str | None:
    """Reason why this version of ONNX Runtime may send telemetry from this process, if any."""
    if not sends(version):
        return None
    if IMPORTED_EARLIER:
        return f"onnxruntime {version} was imported before {VARIABLE} was set; {_REMEDY}"
    if os.environ.get(VARIABLE) != "1":
        return f"{VARIABLE}={os.environ.get(VARIABLE)}, where 1 switches it off"
    if sys.platform == "win32":
        return "ONNX Runtime hands events to the event tracing of Windows"
    return None


def sends(version: str) -> bool:
    """True if official wheels of this version send telemetry by default."""
    if sys.platform == "win32":
        return True
    parts = [int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]]
    return parts >= [1, 29]


@functools.cache
def warn_once(version: str) -> None:
    """Warn if onnxruntime was imported with its telemetry on before this package."""
    if IMPORTED_EARLIER and sends(version):
        warnings.warn(f"telemetry may be sent: {problem(version)}", stacklevel=3)
