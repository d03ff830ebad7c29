#!/usr/bin/env python3
"""Every header compiles alone: it includes what it uses.

A header that is the first thing some .cpp of the build includes has been compiled alone already, there; only the others
are compiled here."""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["clang++-19", "-std=c++23", "-stdlib=libc++", "-fexperimental-library", "-fsyntax-only", "-Wall", "-Wextra",
         "-Wpedantic", "-Werror", "-Wno-missing-designated-field-initializers", "-D_GNU_SOURCE",
         "-DBOOST_ASIO_SEPARATE_COMPILATION", "-DBOOST_BEAST_SEPARATE_COMPILATION", f"-I{ROOT}/include", f"-I{ROOT}/src"]


def compile_alone(header):
    root = ROOT / "include" if (ROOT / "include") in header.parents else ROOT / "src"
    # Twice: a header without a guard fails.
    name = header.relative_to(root)
    text = f'#include "{name}"\n#include "{name}"\n'
    done = subprocess.run(FLAGS + ["-x", "c++", "-"], input=text, capture_output=True, text=True,
                          cwd=header.parent)
    return None if done.returncode == 0 else f"{header.relative_to(ROOT)}:\n{done.stderr[:2000]}"


def first_includes():
    """Headers that a source file of the build includes before anything else."""
    first = set()
    for source in [*ROOT.glob("src/**/*.cpp"), *ROOT.glob("tests/unit/**/*_test.cpp")]:
        found = re.search(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', source.read_text(), re.MULTILINE)
        if found and found[1] == '"':
            first.update(p.resolve() for p in (source.parent / found[2], ROOT / "include" / found[2], ROOT / "src" / found[2])
                         if p.is_file())
    return first


class Headers(unittest.TestCase):
    def test_each_compiles_alone(self):
        headers = sorted(ROOT.glob("include/**/*.hpp")) + sorted(ROOT.glob("src/**/*.hpp"))
        self.assertGreater(len(headers), 50)
        checked = first_includes()
        headers = [header for header in headers if header not in checked]
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            faults = [fault for fault in pool.map(compile_alone, headers) if fault]
        self.assertEqual(faults, [], "\n".join(faults))

    def test_a_header_that_leans_on_others_is_found(self):
        with tempfile.TemporaryDirectory(dir=ROOT / "src") as directory:
            header = pathlib.Path(directory) / "leaning.hpp"
            header.write_text("#pragma once\nstd::string text();\n")
            self.assertIsNotNone(compile_alone(header))


if __name__ == "__main__":
    sys.exit(unittest.main())
