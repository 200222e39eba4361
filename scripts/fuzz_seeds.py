"""Takes packages (ZIP files) apart into seeds for a fuzz target: the named parts, joined by U+001E.

Usage: fuzz_seeds.py EXTENSION PART...; writes fuzz/corpus/EXTENSION.
"""

import pathlib
import sys
import zipfile

extension, parts = sys.argv[1], sys.argv[2:]
root = pathlib.Path(__file__).resolve().parent.parent
out = root / "fuzz" / "corpus" / extension
out.mkdir(parents=True, exist_ok=True)
for folder in (root / "data/documents", root / "../shared/data/docs-good"):
    for path in sorted(folder.rglob(f"*.{extension}")):
        try:
            with zipfile.ZipFile(path) as package:
                names = set(package.namelist())
                pieces = [package.read(part) if part in names else b"" for part in parts]
        except (zipfile.BadZipFile, OSError):
            continue
        seed = b"\x1e".join(piece.replace(b"\x1e", b"") for piece in pieces)
        if len(seed) <= 65536:
            (out / path.name).write_bytes(seed)
