"""Renew the runtime that executes the network on the page: onnxruntime-web, from its npm package.

    python3 scripts/vendor_runtime.py            # or make runtime; needs npm

Takes the plain WebAssembly build (no GPU, no threads) to book/_static/vendor/, the WebAssembly file packed by gzip,
which the page unpacks, and writes the version, the licence and the checksums beside it.
"""

import gzip
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
FOLDER = Path(__file__).parent.parent / "book" / "_static" / "vendor"
SCRIPT, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
LICENCE = """MIT License. Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def main() -> None:
    """Fetch the package, keep the two files that the page needs, and write what they are."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, check=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            files = {}
            for name in (SCRIPT, BINARY):
                member = archive.extractfile(f"package/dist/{name}")
                assert member is not None, name
                files[name] = member.read()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / SCRIPT).write_bytes(files[SCRIPT])
    (FOLDER / f"{BINARY}.gz").write_bytes(gzip.compress(files[BINARY], 9, mtime=0))
    about = {
        "package": PACKAGE,
        "version": VERSION,
        "source": "https://github.com/microsoft/onnxruntime",
        "bytes": {name: len(content) for name, content in files.items()},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "licence": LICENCE,
    }
    (FOLDER / f"{PACKAGE}.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
