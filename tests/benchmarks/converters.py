"""Which runtimes take our ONNX files: ``python -m tests.benchmarks.converters [MODEL...] [--only ncnn,openvino]``.

Makes the table of ``docs/export.md``. Each runtime has an environment of its own below ``--work``, which is kept for
the next time; nothing of it is installed into this one. A model is exported for 256 x 256 LR pixels with its test
vectors; each runtime converts the file, runs the input on one thread, and its output is compared with the expected one,
which is onnxruntime's; that is compared with PyTorch's.
Times are the least of ``--rounds``: CPU time of the process, in the browser that of the page.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import venv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
import torch

from mtkd import networks, zoo
from mtkd.errors import UserError
from mtkd.export import export
from mtkd.site.runtime import VERSION as WEB_VERSION
from mtkd.site.runtime import copy_runtime, runtime
from mtkd.zoo.checkpoints import save_weights
from mtkd.zoo.headers import Header

SIZE = (256, 256)
MODELS = (
    "edsr_tiny-mtkd",
    "rcan_tiny-mtkd",
    "swinir_tiny-mtkd",
    "span_tiny",
    "compact_tiny",
    "edsr_mini",
    "rcan_mini",
    "swinir_mini",
    "aggregator_mini",
)

HEAD = """
import json, sys, time
from importlib.metadata import version
from pathlib import Path
import numpy as np
file, rounds, work = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
lr, expected = (np.load(file.replace(".onnx", f".{part}.npy")) for part in ("input", "output"))
def told(names, run):
    sr, times = np.asarray(run()), []
    for _ in range(rounds):
        began = time.process_time()
        run()
        times.append(1000 * (time.process_time() - began))
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    difference = float(np.abs(sr.reshape(expected.shape) - expected).max())
    print("RESULT", json.dumps({"difference": difference, "ms": min(times), "versions": versions}))
"""
SCRIPTS = {
    "onnxruntime": """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
told(["onnxruntime"], lambda: session.run(None, {"lr": lr})[0])
""",
    "OpenVINO": """
import openvino
settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
model = openvino.compile_model(openvino.Core().read_model(file), "CPU", settings)
told(["openvino"], lambda: model([lr])[0])
""",
    "ncnn": """
import shutil, subprocess, ncnn
shutil.copy(file, work / "model.onnx")
shape = "inputshape=[" + ",".join(map(str, lr.shape)) + "]"
command = [str(Path(sys.executable).parent / "pnnx"), "model.onnx", shape]
done = subprocess.run(command, cwd=work, capture_output=True, text=True)
if not (work / "model.ncnn.param").is_file():
    raise SystemExit("pnnx: " + (done.stdout + done.stderr).strip().splitlines()[-1])
layers = [line.split()[0] for line in (work / "model.ncnn.param").read_text().splitlines()[2:]]
unknown = [layer for layer in layers if "." in layer]
if unknown:
    raise SystemExit("pnnx leaves operators that ncnn does not have: " + ", ".join(sorted(set(unknown))))
net = ncnn.Net()
net.opt.num_threads = 1
net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
if net.load_param(str(work / "model.ncnn.param")) or net.load_model(str(work / "model.ncnn.bin")):
    raise SystemExit("ncnn does not load what pnnx wrote")
def run():
    extractor = net.create_extractor()
    extractor.input("in0", ncnn.Mat(np.ascontiguousarray(lr[0])).clone())
    code, out = extractor.extract("out0")
    if code:
        raise SystemExit(f"ncnn stops with code {code}")
    return np.array(out)
told(["ncnn", "pnnx"], run)
""",
    "LiteRT": """
import subprocess
# It takes this picture from its folder, and else from the internet.
samples = np.random.default_rng(0).random((20, 128, 128, 3), dtype=np.float32)
np.save(work / "calibration_image_sample_data_20x128x128x3_float32.npy", samples)
command = [str(Path(sys.executable).parent / "onnx2tf"), "-i", file, "-o", "tf", "-n"]
done = subprocess.run(command, cwd=work, capture_output=True, text=True)
made = sorted((work / "tf").glob("*_float32.tflite"))
if not made:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.split(": ")[0].endswith("Error")]
    raise SystemExit("onnx2tf: " + (lines or ["no file"])[0][:160])
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(str(made[0]), num_threads=1)
model.allocate_tensors()
given, got = model.get_input_details()[0], model.get_output_details()[0]
last = tuple(given["shape"]) != lr.shape
def run():
    model.set_tensor(given["index"], lr.transpose(0, 2, 3, 1) if last else lr)
    model.invoke()
    out = model.get_tensor(got["index"])
    return out.transpose(0, 3, 1, 2) if out.shape != expected.shape else out
told(["ai-edge-litert", "onnx2tf"], run)
""",
}
PACKAGES = {
    "OpenVINO": ["openvino", "numpy"],
    "ncnn": ["ncnn", "pnnx", "numpy"],
    "LiteRT": ["onnx2tf", "ai-edge-litert", "numpy"],
}
WEB_OPEN = """async ([file, shape]) => {
  const ort = await import('./ort.wasm.min.mjs');
  ort.env.wasm.wasmPaths = location.href;
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(file, { executionProviders: ['wasm'] });
  const lr = new ort.Tensor('float32', new Float32Array(await (await fetch('input.bin')).arrayBuffer()), shape);
  window.run = async () => (await session.run({ lr })).sr.data;
  const expected = new Float32Array(await (await fetch('output.bin')).arrayBuffer());
  return (await run()).reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
}"""


def exported(name: str, folder: Path) -> Path:
    """The file of a model for ``SIZE``, its vectors beside it; made once."""
    path = folder / f"{name}.onnx"
    if not path.is_file() or not path.with_suffix(".output.npy").is_file():
        export(name, 4, path, replace=True, size=SIZE, vectors=True)
    return path


def from_pytorch(name: str, file: Path) -> float:
    """The largest difference of the expected output from that of the network itself."""
    lr_image, expected = (torch.from_numpy(np.load(file.with_suffix(f".{part}.npy"))) for part in ("input", "output"))
    with torch.inference_mode():
        return float((zoo.load(name, 4)(lr_image) - expected).abs().max())


def untrained(folder: Path) -> None:
    """Networks of which no weights are bundled, with random ones."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name in ("span_tiny", "compact_tiny"):
        save_weights(folder / f"{name}_x4.safetensors", networks.build(name, 4), Header(name, name, 4))
    os.environ["MTKD_ZOO"] = str(folder)


def python_of(tool: str, work: Path) -> str:
    """The interpreter of a tool's environment."""
    if tool not in PACKAGES:
        return sys.executable
    place = work / "environments" / tool.lower()
    python = place / "bin" / "python"
    if not (place / "ready").is_file():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[tool]], check=True)
        (place / "ready").touch()
    return str(python)


def measured(tool: str, file: Path, work: Path, rounds: int) -> dict[str, object]:
    """What a tool makes of a file: ``difference``, ``ms``, ``versions``; or ``reason``."""
    if tool == "onnxruntime-web":
        return in_browser(file, rounds)
    python = python_of(tool, work)
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", HEAD + SCRIPTS[tool], str(file), str(rounds), folder]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT "):
            result: dict[str, object] = json.loads(line.removeprefix("RESULT "))
            return result
    return {"reason": (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]}


def renderer_seconds() -> float:
    """CPU time that the pages of the browsers of this process have taken."""
    pages = [p for p in psutil.Process().children(recursive=True) if "--type=renderer" in p.cmdline()]
    return sum(p.cpu_times().user + p.cpu_times().system for p in pages)


def in_browser(file: Path, rounds: int) -> dict[str, object]:
    """onnxruntime-web in Chromium: WebAssembly on one thread."""
    from tests.browser import open_browser

    with tempfile.TemporaryDirectory() as name, open_browser() as browser:
        folder = Path(name) / "site"
        copy_runtime(runtime(), folder)
        shutil.copy(file, folder)
        lr_image = np.load(file.with_suffix(".input.npy"))
        (folder / "input.bin").write_bytes(lr_image.tobytes())
        (folder / "output.bin").write_bytes(np.load(file.with_suffix(".output.npy")).tobytes())
        (folder / "index.html").write_text("<!doctype html><title>a runtime</title>")
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        handler.log_message = lambda *_: None  # type: ignore[attr-defined]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        try:
            difference = page.evaluate(WEB_OPEN, [file.name, list(lr_image.shape)])
            times = []
            for _ in range(rounds):
                began = renderer_seconds()
                page.evaluate("async () => { await run(); }")
                times.append(1000 * (renderer_seconds() - began))
        except Exception as error:
            return {"reason": str(error).partition("\n")[0]}
        finally:
            server.shutdown()
        versions = f"onnxruntime-web {WEB_VERSION}, Chromium {browser.instance.version}"
        return {"difference": difference, "ms": min(times), "versions": versions}


def main(arguments: Sequence[str] | None = None) -> None:
    tools = ("onnxruntime", "onnxruntime-web", "OpenVINO", "ncnn", "LiteRT")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--only", default=",".join(tools), help="tools, separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "mtkd-converters")
    given = parser.parse_args(arguments)
    chosen = [tool for tool in tools if tool in given.only.split(",")]
    untrained(given.work / "zoo")
    versions, reasons, rows = {}, [], []
    for name in given.models or MODELS:
        try:
            file = exported(name, given.work)
        except UserError as error:
            reasons.append(f"- {error}")
            continue
        cells = []
        for tool in chosen:
            result = measured(tool, file, given.work, given.rounds)
            print(name, tool, result, file=sys.stderr, flush=True)
            if tool == "onnxruntime" and "difference" in result:
                result["difference"] = from_pytorch(name, file)
            if "reason" in result:
                reasons.append(f"- {name}, {tool}: {result['reason']}")
                cells.append("–")
                continue
            versions[tool] = result["versions"]
            cells.append(f"{result['difference']:.0e}, {result['ms']:,.0f} ms")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    print(f"| model | {' | '.join(chosen)} |\n|---|{'--:|' * len(chosen)}")
    print("\n".join([*rows, "", "; ".join(map(str, versions.values())), "", *reasons]))


if __name__ == "__main__":
    main()
