"""Build the reference and the how-to pages from docstrings into ``site/``, and check every link in them.

    python .ci/docs.py

Needs ``pip install ".[docs]"``, and no network: pages are checked with their anchors, addresses elsewhere only for
their form. A warning, a dead link or a reference to something that is not there ends it with an error.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "site"
PAGES = ("howto", "sandbox", "plot", "dask", "pytest_plugin")
"""What a user wants to see beside ``tsbulk_frames`` itself, which shows all public names."""
_CODE = re.compile(r"(?<!\">)<code>(tsbulk_frames[\w.]*)(?:\(\))?</code>(?!</a>)")
_HREF = re.compile(r"""href=["']([^"']*)["']""")
_ID = re.compile(r"""\bid=["']([^"']*)["']""")
_SOUND = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(:\d+)?(/[^\s<>\"]*)?")


def build() -> None:
    """Write the site anew."""
    sys.path.insert(0, str(ROOT))  # what is checked out, whatever is installed
    os.chdir(ROOT / ".ci")  # where no folder has the package's name: pdoc would be in doubt which to take
    import pdoc

    import tsbulk_frames

    shutil.rmtree(SITE, ignore_errors=True)
    pdoc.render.configure(
        docformat="numpy",
        show_source=False,
        footer_text=f"tsbulk_frames {tsbulk_frames.__version__}",
        template_directory=Path(__file__).resolve().with_name("pdoc"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # because: the stubs of pandas have generic classes that cannot be subscripted when the program runs
        warnings.filterwarnings("ignore", r"Error parsing type annotation pd\.\w+\[\w+\]")
        pdoc.pdoc("tsbulk_frames", *(f"tsbulk_frames.{page}" for page in PAGES), output_directory=SITE)


def faults() -> list[str]:
    """List what following links does not find: names and anchors that lead nowhere, addresses that cannot be ones."""
    pages = {page.resolve(): page.read_text(encoding="utf-8") for page in sorted(SITE.rglob("*.html"))}
    anchors = {page: set(_ID.findall(text)) for page, text in pages.items()}
    found = []
    for page, text in pages.items():
        name = page.relative_to(SITE)
        found += [f"{name}: {one} is no name of the reference" for one in sorted(set(_CODE.findall(text)))]
        for link in sorted({html.unescape(one) for one in _HREF.findall(text)}):
            path, _, anchor = link.partition("#")
            if link.startswith("data:"):
                continue
            if re.match(r"[a-z]+:", link):
                found += [] if _SOUND.fullmatch(link) else [f"{name}: {link} is no address"]
            elif anchor and anchor not in anchors.get((page.parent / path).resolve() if path else page, ()):
                found.append(f"{name}: {link} leads nowhere")
    return found


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site, and says nothing of it."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def check_links() -> int:
    """Follow every link and anchor of the site; give linkchecker's exit code."""
    program = Path(sys.executable).with_name("linkchecker")
    config = Path(__file__).with_name("linkcheckerrc")
    # Served, not opened: linkchecker gives up root's rights, and could not read a private folder any more.
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(SITE))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        done = subprocess.run([str(program), f"--config={config}", address], check=False)  # noqa: S603 (our own words)
        server.shutdown()
    return done.returncode


def main() -> int:
    """Build, look, follow."""
    build()
    found = faults()
    sys.stdout.writelines(f"{line}\n" for line in found)
    code = check_links()
    sys.stdout.write(f"{SITE / 'index.html'}\n")
    return 1 if found or code else 0


if __name__ == "__main__":
    sys.exit(main())
