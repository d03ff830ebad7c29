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

# Libraries behind a wall: what an include begins with, and the only layers that may name it.
FIREWALLED = {
    "boost/beast": {"net"},
    "boost/url": {"net"},
    "boost/asio/ssl": {"net"},
    "openssl/ssl": {"net"},
    "sqlite3": {"store"},
    "CLI/": {"cli"},
    "toml": {"model"},
    "zstd": {"artifact"},
}
# Layers that may use a part of a lower one only: the domain knows the vocabulary of registries, and does no I/O.
ONLY = {("model", "oci"): {"consign/oci/types.hpp", "consign/oci/reference.hpp"}}


def files():
    for layer in BELOW:
        for top in ("include/consign", "src"):
            for path in (ROOT / top / layer).rglob("*"):
                if path.suffix in (".hpp", ".cpp"):
                    yield layer, path


def fault(layer, name, public):
    """What is wrong with `layer` including `name`; None: nothing. `public`: in a header that other layers include."""
    if ".." in name.split("/"):
        return "write it from the root of include/ or src/"
    for prefix, allowed in FIREWALLED.items():
        if name.startswith(prefix) and layer not in allowed:
            return f"only {', '.join(sorted(allowed))} may include it"
    first = name.split("/")[0]
    if "/" in name and first in BELOW:
        if first != layer:
            return f"a private header of {first}"
        return "a private header in a public one" if public else None
    if not name.startswith("consign/"):
        return None
    other = name.split("/")[1]
    if other != layer and other not in BELOW[layer]:
        return f"{layer} may not use {other}"
    only = ONLY.get((layer, other))
    return f"{layer} may use of {other} only {', '.join(sorted(only))}" if only and name not in only else None


def violations(layer, text, public=False):
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if found and (what := fault(layer, found[1], public)):
            yield number, f"{found[1]}: {what}"


class Includes(unittest.TestCase):
    def test_layers_point_downwards(self):
        faults = [f"{path.relative_to(ROOT)}:{number}: {what}"
                  for layer, path in files()
                  for number, what in violations(layer, path.read_text(), "include" in path.relative_to(ROOT).parts)]
        self.assertEqual(faults, [])

    def test_the_order_is_acyclic(self):
        seen = set()
        for layer, below in BELOW.items():
            self.assertLessEqual(below, seen, f"{layer} names a layer that comes after it")
            seen.add(layer)

    def test_each_rule_can_fail(self):
        for layer, line, what in (
                ("model", '#include "consign/net/http.hpp"', "model may not use net"),
                ("build", '#include "consign/install/install.hpp"', "build may not use install"),
                ("install", '  #  include <consign/ims/ims.hpp>', "install may not use ims"),
                ("ims", '#include "consign/agent/agent.hpp"', "ims may not use agent"),
                ("cli", '#include "ims/core.hpp"', "a private header of ims"),
                ("model", '#include "consign/oci/repository.hpp"', "model may use of oci only"),
                ("model", '#include "consign/oci/copy.hpp"', "model may use of oci only"),
                ("ims", '#include "../net/wire.hpp"', "write it from the root"),
                ("ims", '#include "routes/../core.hpp"', "write it from the root"),
                ("ims", "#include <boost/beast/core.hpp>", "only net may include it"),
                ("oci", "#include <boost/asio/ssl/context.hpp>", "only net may include it"),
                ("oci", "#include <boost/url/url.hpp>", "only net may include it"),
                ("agent", "#include <openssl/ssl.h>", "only net may include it"),
                ("ims", "#include <sqlite3.h>", "only store may include it"),
                ("build", "#include <CLI/CLI.hpp>", "only cli may include it"),
                ("cli", "#include <toml++/toml.h>", "only model may include it"),
                ("install", "#include <zstd.h>", "only artifact may include it")):
            with self.subTest(layer=layer, line=line):
                found = list(violations(layer, f"#pragma once\n{line}\n"))
                self.assertEqual([number for number, _ in found], [2])
                self.assertIn(what, found[0][1])
        self.assertIn("public", list(violations("ims", '#include "ims/core.hpp"\n', public=True))[0][1])

    def test_what_is_allowed_is_let_pass(self):
        for layer, line in (("ims", '#include "consign/store/database.hpp"'), ("ims", '#include "ims/core.hpp"'),
                            ("ims", '#include "core.hpp"'), ("model", '#include "consign/oci/types.hpp"'),
                            ("model", '#include "consign/oci/reference.hpp"'), ("net", "#include <boost/beast/core.hpp>"),
                            ("store", "#include <boost/asio/post.hpp>"), ("artifact", "#include <zstd.h>"),
                            ("base", "#include <openssl/evp.h>"), ("ims", "// #include <sqlite3.h>")):
            with self.subTest(layer=layer, line=line):
                self.assertEqual(list(violations(layer, line)), [])


if __name__ == "__main__":
    sys.exit(unittest.main())
