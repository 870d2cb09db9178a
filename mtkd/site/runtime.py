"""onnxruntime-web, which runs the networks in a browser: fetched from npm once, checked, kept in the user folder."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mtkd.errors import UserError
from mtkd.files import write_bytes
from mtkd.home import home

VERSION = "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package, as npm states it."""
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What a page needs of it: WebAssembly with SIMD, on one thread or several."""
GPU_FILES = ("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm")
"""What it needs for WebGPU besides; a page loads it where there is an adapter."""


def runtime(given: Path | None = None) -> Path:
    """The folder with :data:`FILES`: ``given``, that of the cache, or one fetched by ``npm pack``.

    Raises:
        UserError: a file is missing in ``given``, npm is not installed or cannot fetch, or the package is not the known
            one.
    """
    if given is not None:
        places = [place for place in (given, given / "dist", given / "package" / "dist") if _whole(place)]
        if not places:
            raise UserError(f"--runtime {given}: holds no {', '.join(FILES)} (the folder `dist` of onnxruntime-web)")
        return places[0]
    cache = home() / "cache" / f"onnxruntime-web-{VERSION}"
    if not _whole(cache, (*FILES, *GPU_FILES)):
        _fetch(cache)
    return cache


def copy_runtime(source: Path, target: Path) -> bool:
    """Copy what a page needs, with its licence; returns whether WebGPU's part is there."""
    target.mkdir(parents=True)
    webgpu = _whole(source, GPU_FILES)
    for name in (*FILES, *GPU_FILES) if webgpu else FILES:
        shutil.copyfile(source / name, target / name)
    licence = resources.files("mtkd.site").joinpath("page/onnxruntime-web.txt").read_text(encoding="utf-8")
    (target / "LICENSE").write_text(licence, encoding="utf-8")
    return webgpu


def _whole(folder: Path, names: Sequence[str] = FILES) -> bool:
    return all((folder / name).is_file() for name in names)


def _fetch(cache: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "npm is not installed: it brings onnxruntime-web, which runs the networks in the browser. "
            "Install Node.js, or name a folder that has it with --runtime"
        )
    with tempfile.TemporaryDirectory(prefix="mtkd-site-") as folder:
        command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        packages = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packages:
            reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
            raise UserError(f"npm cannot fetch onnxruntime-web {VERSION}: {reason}")
        found = "sha512-" + base64.b64encode(hashlib.sha512(packages[0].read_bytes()).digest()).decode()
        if found != INTEGRITY:
            raise UserError(f"onnxruntime-web {VERSION} from npm is not the known file; it was not used")
        with tarfile.open(packages[0]) as archive:
            for name in (*FILES, *GPU_FILES):
                content = archive.extractfile(f"package/dist/{name}")
                assert content is not None
                write_bytes(cache / name, content.read())
