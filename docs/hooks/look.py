"""The site's look: the console's colours, font and logo, and drawings as parts of their pages."""

import re
import sys
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tapwire_admin.console.libraries import CONSOLE, VENDOR, require_libraries

sys.path.insert(0, str(Path(__file__).parent))
from drawings import DRAWN, inline, inline_made

FONTS: Final = ("inter-latin.woff2", "inter-latin-ext.woff2", "inter-cyrillic.woff2")
LICENCE: Final = "LICENSE-inter.txt"
TOKENS: Final = re.compile(r"^  (--[\w-]+: [^;]+;)", re.MULTILINE)
DRAWING: Final = re.compile(r'(?:<p>)?<img alt="[^"]*" src="[^"]*drawings/([\w-]+\.svg)" ?/?>(?:</p>)?')
MERMAID: Final = re.compile(r"```mermaid\n.*?```", re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the console has already: fonts with their licence, the logo, and the colours out of its style sheet."""
    require_libraries(LICENCE)
    for name in (*FONTS, LICENCE):
        files.append(File.generated(config, f"assets/{name}", abs_src_path=str(VENDOR / name)))
    files.append(File.generated(config, "assets/logo.svg", abs_src_path=str(CONSOLE / "static" / "icon.svg")))
    files.append(File.generated(config, "assets/tokens.css", content=tokens()))
    return files


def tokens() -> str:
    """The custom properties of the console's `:root`, as a style sheet of their own."""
    root = (CONSOLE / "static" / "console.css").read_text(encoding="utf-8").partition(":root {")[2].partition("}")[0]
    return ":root {\n" + "\n".join(TOKENS.findall(root)) + "\n}\n"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the phases' Mermaid, which a browser could draw with a library of another host only."""
    return MERMAID.sub(lambda _found: inline_made("tap-phases.svg"), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Put the drawings that are SVG files into the page."""
    return DRAWING.sub(lambda found: inline(DRAWN / found[1]), html)
