#!/usr/bin/env python3
"""A layer includes only lower layers; the libraries that are firewalled stay behind their wall."""
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BELOW = {}
for line in (ROOT / "CMakeLists.txt").read_text().splitlines():
    if found := re.match(r"consign_layer\((\w+)\s*([^)]*)\)", line):
        BELOW[found[1]] = set(found[2].split())

# What a layer's public or private files may name from outside, as a prefix of the include: only these layers.
FIREWALLED = {
    "boost/beast": {"net"},
    "boost/url": {"net"},
    "openssl/ssl": {"net"},
    "sqlite3.h": {"store"},
    "CLI/": {"cli"},
    "toml++": {"model"},
    "zstd.h": {"artifact"},
}


def files():
    for layer in BELOW:
        for top in ("include/consign", "src"):
            for path in (ROOT / top / layer).rglob("*"):
                if path.suffix in (".hpp", ".cpp"):
                    yield layer, path


def violations(layer, text):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not found:
            continue
        name = found[1]
        other = None
        if name.startswith("consign/"):
            other = name.split("/")[1]
        elif (first := name.split("/")[0]) in BELOW and "/" in name:
            other = first
            if other != layer:
                yield number, f"{name}: a private header of {other}"
                continue
        if other and other != layer and other not in BELOW[layer]:
            yield number, f"{name}: {layer} may not use {other}"
        for prefix, allowed in FIREWALLED.items():
            if name.startswith(prefix) and layer not in allowed:
                yield number, f"{name}: only {', '.join(sorted(allowed))} may include it"


class Includes(unittest.TestCase):
    def test_layers_point_downwards(self):
        faults = [f"{path.relative_to(ROOT)}:{number}: {what}"
                  for layer, path in files() for number, what in violations(layer, path.read_text())]
        self.assertEqual(faults, [])

    def test_the_order_is_acyclic(self):
        seen = set()
        for layer, below in BELOW.items():
            self.assertLessEqual(below, seen, f"{layer} names a layer that comes after it")
            seen.add(layer)

    def test_a_forbidden_include_is_found(self):
        self.assertTrue(list(violations("model", '#include "consign/net/http.hpp"\n')))
        self.assertTrue(list(violations("ims", '#include <boost/beast/core.hpp>\n')))
        self.assertTrue(list(violations("cli", '#include "ims/core.hpp"\n')))
        self.assertTrue(list(violations("build", '#include "consign/install/install.hpp"\n')))
        self.assertEqual(list(violations("ims", '#include "consign/store/database.hpp"\n')), [])


if __name__ == "__main__":
    sys.exit(unittest.main())
