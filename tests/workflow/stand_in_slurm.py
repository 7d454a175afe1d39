"""SLURM's commands as far as Snakemake's plugin needs them: a submitted job is done at once."""

import sys
from pathlib import Path

from tests.workflow.many_shards import with_tools

# Prints a job's number and writes the output of every job that the call names. The plugin packs
# all members of an array but the first: compressed, written in hexadecimal, in JSON, in base64.
SBATCH = r"""
import base64, fcntl, json, os, re, sys, zlib
folder = os.environ["STAND_IN_SLURM"]
words = " ".join(sys.argv[1:])
packed = re.search(r"--slurm-jobstep-array-execs=(\S+)", words)
members = json.loads(base64.b64decode(packed[1])) if packed else {}
commands = [words, *(zlib.decompress(bytes.fromhex(text)).decode() for text in members.values())]
for command in commands:
    open(re.search(r"shard=(\d+)", command)[1] + ".made", "w").close()
file = os.open(os.path.join(folder, "submitted"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
fcntl.flock(file, fcntl.LOCK_EX)  # the plugin submits from two threads
number = os.fstat(file).st_size + 1
names = [f"{number}_{place}" for place in range(1, len(commands) + 1)] if packed else [str(number)]
os.write(file, "".join(name + "\n" for name in names).encode())
print(number)
"""
SQUEUE = r"""
import os
path = os.path.join(os.environ["STAND_IN_SLURM"], "submitted")
for name in open(path).read().split() if os.path.exists(path) else ():
    print(name + "|COMPLETED")
"""
SCONTROL = 'print("MinJobAge = 3600 sec\\nMaxArraySize = 1001")'
COMMANDS = {"sbatch": SBATCH, "squeue": SQUEUE, "scontrol": SCONTROL, "sinfo": "", "sacct": "",
            "scancel": ""}  # fmt: skip


def install(folder: Path) -> dict[str, str]:
    """Write the commands into a folder; return the variables under which they are found."""
    folder.mkdir()
    for name, text in COMMANDS.items():
        (folder / name).write_text(f"#!{sys.executable} -IS\n{text}", encoding="utf-8")
        (folder / name).chmod(0o755)
    return {**with_tools(folder), "STAND_IN_SLURM": str(folder)}


def submitted(folder: Path) -> list[str]:
    """SLURM numbers of all jobs so far, a member of an array as `7_2`."""
    path = folder / "submitted"
    return path.read_text(encoding="utf-8").split() if path.is_file() else []
