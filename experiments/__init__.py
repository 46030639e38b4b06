"""One file is one experiment: `python -m experiments.NAME`."""

import os
import re
import signal
import sys

# Python names no file yet while it looks for the module of -m. Until `main` is there to end a run in order, Ctrl-C
# shall end it silently, too, instead of with the traceback of an import.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

# JAX reads it while it is imported, with a traceback for what is no number; 0 fails when it first computes.
simulated = os.environ.get("JAX_NUM_CPU_DEVICES", "1")
if not simulated:  # As a shell's `JAX_NUM_CPU_DEVICES= command` takes a setting back.
    simulated = "1"
    del os.environ["JAX_NUM_CPU_DEVICES"]
if sys.argv[:1] == ["-m"] and not re.fullmatch("0*[1-9][0-9]{0,4}", simulated):
    print(
        f"Expected JAX_NUM_CPU_DEVICES to be a number from 1 to 99999, found {simulated!r}: "
        "unset it, or say how many devices to simulate.",
        file=sys.stderr,
    )
    raise SystemExit(2)
