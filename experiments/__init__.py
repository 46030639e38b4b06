"""One file is one experiment: `python -m experiments.NAME`."""

import signal
import sys

# Python names no file yet while it looks for the module of -m. Until `main` is there to end a run in order, Ctrl-C
# shall end it silently, too, instead of with the traceback of an import.
if sys.argv[:1] == ["-m"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
