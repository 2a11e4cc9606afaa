"""The library that draws the interactive figures, Vega, as ``vl-convert-python`` carries it; nothing is downloaded.

Vega-Embed is taken with it, because it brings the interpreter of expressions: without that, Vega would make
functions of texts, which the page's policy forbids. Vega-Lite specifications are compiled when a page is written, so
that a mistake in one is found then.
"""

from functools import cache
from typing import Any

import vl_convert

VERSION = "6.4"  # of Vega-Lite
RUNTIME = "window.isoflopEmbed = vegaEmbed;"


@cache
def runtime() -> str:
    """Vega as one script that defines ``isoflopEmbed``; made once a process, within about a second."""
    bundle: str = vl_convert.javascript_bundle(RUNTIME, vl_version=VERSION)
    return bundle.replace("</script", "<\\/script")


def compiled(spec: dict[str, Any]) -> dict[str, Any]:
    """A Vega-Lite specification as one of Vega. Raises ValueError where it is none."""
    made: dict[str, Any] = vl_convert.vegalite_to_vega(spec, vl_version=VERSION)
    return made
