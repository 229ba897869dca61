"""Writes send.svg, the terminal of a real run of `stowrs send`: `make picture-send`.

The service is that of `make run`, with its ports, and a bucket in a temporary folder. The files are copies of the samples with other SOP
Instance UIDs, a text, and a file that was cut off. The state, which the program writes again and again into one line, is shown as it was at the middle one of these times.
"""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

IMG = Path(__file__).resolve().parent
BIN = IMG.parent / "bin"
COLUMNS, COPIES = 100, 500
COMMAND = "stowrs send --url http://127.0.0.1:8080/studies --journal archive.journal archive"

# That of rich, without the font that it would fetch.
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>stowrs send in a terminal</title>
<style>{styles}
.{unique_id}-title {{ font-family: sans-serif; font-size: 16px }}
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px; line-height: {line_height}px }}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def write_archive(folder):
    """Instances in one study, and two files that are not stored."""
    folder.mkdir()
    for sample in sorted((IMG.parent / "dcm-samples").glob("*.dcm")):
        content = sample.read_bytes()
        uid = next(u for u in re.findall(rb"2\.25\.\d{39}", content) if content.count(u) == 2)  # in File Meta, and in the dataset
        for n in range(COPIES):
            (folder / f"{sample.stem}-{n:03}.dcm").write_bytes(content.replace(uid, uid[:-4] + b"%04d" % n))
    (folder / "slice-2-007.dcm").write_bytes(content[:400])
    (folder / "notes.txt").write_text("not DICOM\n")


def run_in_terminal(command, folder):
    """What the command writes to a terminal of COLUMNS."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux: the program has ended
            break
        if not chunk:
            break
        written += chunk
    os.waitpid(process, 0)
    return written.decode().replace("\r\n", "\n")


def screen(written):
    """The lines, with the states reduced to the middle one."""
    for line in written.rstrip("\n").split("\n"):
        *states, last = [state.replace("\x1b[K", "") for state in line.split("\r")]
        states = [state for state in states if state]
        if states:
            yield states[len(states) // 2], "cyan"
        yield last, "white"


def ready():
    try:
        return urllib.request.urlopen("http://127.0.0.1:9090/readyz", timeout=1).status == 200
    except OSError:
        return False


def main():
    if ready():
        sys.exit("a service is already running: stop it first")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_archive(folder / "archive")
        with subprocess.Popen([BIN / "local", "--data", folder / "data"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service:
            try:
                while not ready():
                    if service.poll() is not None:
                        sys.exit("the service did not start: make run says why")
                    time.sleep(0.1)
                written = run_in_terminal(COMMAND.split(), folder)
            finally:
                service.terminate()
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
    for line, style in screen(written):
        console.print(Text(line, style))
    console.save_svg(str(IMG / "send.svg"), title="stowrs send", theme=MONOKAI, code_format=SVG, unique_id="send", clear=False)
    print(console.export_text())


main()
