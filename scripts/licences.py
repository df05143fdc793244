"""Writes the licences of all crates that are linked into the Python package, as their sources have them.

    python3 scripts/licences.py MANIFEST TARGET > THIRD-PARTY.txt

The crates are those that `cargo metadata` names for the target, but for what runs at build time alone. Texts that are equal stand there once, under
the crates that have them. A crate whose sources have no such file has the line of its manifest.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

NAMES = re.compile(r"(?i)(licen[cs]e|copying|notice|unlicense|copyright)")


def metadata(manifest, target):
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version=1", "--manifest-path", manifest]
    return json.loads(subprocess.run([*command, "--filter-platform", target], check=True, stdout=subprocess.PIPE).stdout)


def linked(graph):
    """The packages that the root links, through dependencies that are neither for building nor for testing, and no macros."""
    packages = {package["id"]: package for package in graph["packages"]}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    is_macro = lambda package: any("proc-macro" in target["kind"] for target in package["targets"])
    seen, waiting = set(), [graph["resolve"]["root"]]
    while waiting:
        place = waiting.pop()
        if place in seen or is_macro(packages[place]):
            continue
        seen.add(place)
        waiting += [dep["pkg"] for dep in nodes[place]["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
    # Ours come from no registry; their texts are in the folder already.
    return sorted((packages[place] for place in seen if packages[place]["source"]), key=lambda package: (package["name"], package["version"]))


def main(manifest, target):
    texts = {}
    for package in linked(metadata(manifest, target)):
        name = f"{package['name']} {package['version']} ({package['license']})"
        files = sorted(path for path in Path(package["manifest_path"]).parent.iterdir() if NAMES.match(path.name) and path.is_file())
        found = [path.read_text(errors="replace").strip() for path in files]
        if not found:
            found = [f"No file of its own; its manifest says: {package['license']}, by {', '.join(package['authors']) or 'its contributors'}."]
        for text in found:
            texts.setdefault(text, []).append(name)
    if not texts:
        sys.exit("licences.py: no crate is linked into that")
    print("The crates that are linked into logitfuzz's Python package, and their licences.")
    for text, names in texts.items():
        print("\n" + "=" * 100 + "\n" + "\n".join(names) + "\n" + "-" * 100 + "\n\n" + text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
