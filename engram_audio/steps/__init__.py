"""One entry point per rule: a step parses, loads, calls and saves.

Every step fails with one line where an input is missing, damaged, or made by other settings or
code than are planned now. A step that trains fails where its loss is not finite. None leaves a
half-written output. The docstring of a step says when it fails besides.
"""

import gc
import sys

# Python names a process "-m" while it looks for the module of `python -m`: a step is starting.
# Its imports make half a million objects and free none, so looking for garbage among them is waste:
# a fifth of the start of a step that loads torch. `_cli.run` collects again.
if sys.argv[:1] == ["-m"]:
    gc.disable()
