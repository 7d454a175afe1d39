"""A `python` that has the steps imported: a job is a fork of one process, not a start of its own.

`started` starts the process in a checkout, and jobs find its `python` first. What that `python` is
asked to run as `-m engram_audio.steps.<rule>` runs in a fork with the same arguments, variables,
folder and files. All else is the real Python's.
"""

import contextlib
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

STEPS = "engram_audio.steps."
# Asks the process; without site packages, so that it starts in a moment.
CLIENT = """#!{python} -ISB
import os, sys
words = sys.argv[1:]
if not (len(words) > 1 and words[0] == "-m" and words[1].startswith("engram_audio.steps.")):
    os.execv({python!r}, [{python!r}, *words])
import json, socket
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = json.dumps([words[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
server.sendall(asked)
code = server.recv(1)
sys.exit(code[0] if code else 137)
"""


@contextlib.contextmanager
def started(folder: Path, variables: dict[str, str]) -> Iterator[dict[str, str]]:
    """Start the process in `folder`; yield variables under which jobs are its forks."""
    with tempfile.TemporaryDirectory(prefix="warm-python-") as programs:
        address, client = f"{programs}/socket", Path(programs, "python")
        client.write_text(CLIENT.format(python=sys.executable, address=address), encoding="utf-8")
        client.chmod(0o755)
        command = [sys.executable, str(Path(__file__)), address]
        with subprocess.Popen(command, cwd=folder, env=variables) as process:
            try:
                while not os.path.exists(address) and process.poll() is None:
                    time.sleep(0.05)
                yield {**variables, "PATH": f"{programs}{os.pathsep}{variables['PATH']}"}
            finally:
                process.terminate()


def serve(address: str) -> None:
    """Import every step, then fork for each one that is asked for."""
    steps = importlib.import_module(STEPS.rstrip("."))
    for path in sorted(Path(*steps.__path__).glob("[a-z]*.py")):
        importlib.import_module(STEPS + path.stem)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address + ".new")
        listening.listen()
        os.rename(address + ".new", address)
        while True:
            asking, _ = listening.accept()
            reap()
            if os.fork() == 0:
                listening.close()
                answer(asking)
            asking.close()


def reap() -> None:
    """Take leave of the forks that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def answer(asking: socket.socket) -> None:
    """Run one step in this process, as its own program would, and say its exit code."""
    head, files, _, _ = socket.recv_fds(asking, 8, 3)
    text = b""
    while len(text) < int.from_bytes(head, "big"):
        text += asking.recv(1 << 16)
    words, variables, folder = json.loads(text)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    code = 1
    try:
        sys.argv = words
        sys.modules.pop(words[0], None)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        asking.send(bytes([code & 255]))
        os._exit(code & 255)


if __name__ == "__main__":
    serve(sys.argv[1])
