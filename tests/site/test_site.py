"""The static explorer as a visitor meets it: built by the command, on a plain host under a sub-path, in Chromium."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from mtkd import zoo
from mtkd.data.examples import PICTURES, example
from mtkd.errors import UserError
from mtkd.explore.evidence.results import load
from mtkd.explore.evidence.summary import answers
from mtkd.images import chw, to_tensor, to_uint8
from mtkd.losses import WaveletLoss
from mtkd.metrics import psnr
from mtkd.resize import imresize
from mtkd.site.build import MARK, build
from mtkd.site.runtime import FILES, GPU_FILES
from tests.browser import chromium_path
from tests.site.conftest import BYTES, GIVEN, MODELS, Quiet, data_of, expected

pytestmark = pytest.mark.sweep
ENDED = "before => document.body.dataset.ended > before"


@pytest.fixture(scope="module")
def page(browser, address):
    page = browser.new_page(1280, 900)
    page.page_errors = []
    page.on("pageerror", lambda error: page.page_errors.append(str(error)))
    page.goto(address)
    page.wait_for_function(ENDED, arg=0, timeout=120_000)
    yield page
    assert page.page_errors == []
    assert browser.external_requests() == []
    page.context.close()


def made(page, code: str, *arguments: object) -> np.ndarray:
    """The ImageData that a piece of code of the site gives, (h, w, 3)."""
    script = f"async (given) => ({BYTES})(await ({code})(...given))"
    width, height, data = page.evaluate(script, list(arguments))
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


@pytest.mark.parametrize("size", [(96, 64), (63, 81), (4, 9), (257, 130)])
def test_lr_is_matlabs_bit_for_bit(page, size):
    """Downscaled in the page as by mtkd.resize, and upscaled by bicubic within a rounding."""
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    code = f"async (...given) => (await import('./resize.js')).resize(({GIVEN})(...given), 1 / 4, true)"
    expected = imresize(chw(image), 1 / 4).permute(1, 2, 0).numpy()
    assert np.array_equal(made(page, code, *data_of(image)), expected)
    code = f"async (...given) => (await import('./resize.js')).resize(({GIVEN})(...given), 4, false)"
    up = to_uint8(imresize(to_tensor(image), 4))
    assert np.abs(made(page, code, *data_of(image)).astype(int) - up).max() <= 1


def results(page, name: str, image: np.ndarray) -> np.ndarray:
    code = f"async (name, ...given) => (await import('./engine.js')).upscale(name, 4, ({GIVEN})(...given))"
    return made(page, code, name, *data_of(image))


@pytest.mark.parametrize("name", MODELS)
def test_results_are_those_of_the_command(page, name):
    """Within a level; of sides that are no multiples of anything, down to one pixel."""
    photo = example("coffee").read()
    for image in (photo[:64, :70], photo[:1, :1], photo[3:20, 5:8]):
        assert np.abs(results(page, name, image).astype(int) - expected(name, image)).max() <= 1


def test_large_pictures_run_in_tiles(page):
    photo = np.tile(example("chelsea").read()[:150, :160], (1, 3, 1))[:, :470]  # more than 256 x 256
    image = np.concatenate([photo, photo[::-1]])[:280]
    difference = np.abs(results(page, "edsr_tiny-mtkd", image).astype(int) - expected("edsr_tiny-mtkd", image))
    assert difference.max() <= 1


def test_the_page_shows_what_the_command_measures(page):
    """The first example under the usual models: names, PSNR in the table, crops and keys of the viewer."""
    shown = page.eval_on_selector_all("#viewer .mv-canvas", "all => all.map((canvas) => canvas.dataset.name)")
    assert shown == ["ground truth", "rcan_tiny-scratch", "rcan_tiny-mtkd", "LR"]
    assert page.locator("#threads").get_attribute("data-backend") == "wasm"
    truth = PICTURES[0].read()
    truth = truth[: truth.shape[0] // 4 * 4, : truth.shape[1] // 4 * 4]
    lr = imresize(chw(truth), 1 / 4).permute(1, 2, 0).numpy()
    for row, name in zip(page.locator("#table tbody tr").all(), shown[1:3], strict=True):
        assert row.locator("td").all_inner_texts()[1] == f"{psnr(expected(name, lr), truth, 4):.2f}"


def test_the_findings_are_those_of_the_records(page):
    """As the explorer says them; the figures are drawn."""
    page.locator("#findings summary").click()
    said = page.locator("#findings dd").all_inner_texts()
    assert said == [str(one) for one in answers(load("mini"))]
    page.wait_for_function(
        "() => [...document.querySelectorAll('#findings img')].every((one) => one.naturalWidth > 500)"
    )
    assert page.locator("#findings img").count() == 2
    page.locator("#findings summary").click()


@pytest.mark.parametrize("size", [(32, 48), (21, 33)])
def test_bands_are_those_of_the_loss(page, size):
    """Each term and the sum, for even and odd sides."""
    one, other = np.random.default_rng(1).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    code = f"""async ([one, other]) => {{ const {{ haar }} = await import('./wavelets.js');
      const {{ bands, loss }} = haar(({GIVEN})(...one), ({GIVEN})(...other));
      return [loss, ...Object.values(bands).map((band) => band.term)]; }}"""
    loss, *terms = page.evaluate(code, [data_of(one), data_of(other)])
    wanted = WaveletLoss().double().bands(to_tensor(one).double(), to_tensor(other).double())
    assert terms == pytest.approx([wanted[f"{band}1"].item() for band in ("LL", "LH", "HL", "HH")], rel=1e-5)
    assert loss == pytest.approx(sum(terms))


def test_the_wavelet_panel_adds_up(page):
    """A student against the ground truth, then against the other student."""
    page.locator("#wavelets summary").click()
    page.locator("#wavelets figure").nth(3).wait_for()
    truth = PICTURES[0].read()
    truth = truth[: truth.shape[0] // 4 * 4, : truth.shape[1] // 4 * 4]
    sr = expected("rcan_tiny-mtkd", imresize(chw(truth), 1 / 4).permute(1, 2, 0).numpy())
    loss = WaveletLoss()(to_tensor(sr), to_tensor(truth)).item()
    terms = page.eval_on_selector_all("#wavelets figure", "all => all.map((one) => Number(one.dataset.term))")
    assert sum(terms) == pytest.approx(loss, abs=2e-5)
    assert f"L_dis: {sum(terms):.5f}" in page.locator("#wavelets output").inner_text()
    page.locator("#wavelets select").nth(1).select_option("rcan_tiny-scratch")
    nearer = page.eval_on_selector_all("#wavelets figure", "all => all.map((one) => Number(one.dataset.term))")
    assert 0 < sum(nearer) < sum(terms)
    page.locator("#wavelets summary").click()


def test_a_choice_runs_and_a_region_is_measured(page):
    before = int(page.evaluate("document.body.dataset.ended"))
    page.locator("#models input[value=bicubic]").check()
    page.wait_for_function(ENDED, arg=before, timeout=180_000)
    assert "Gain over bicubic (dB)" in page.locator("#table thead").inner_text()
    assert "region" in page.locator("#viewer .mv-pane", has_text="RCAN student, with MTKD").first.inner_text()
    page.locator("#models input[value=bicubic]").uncheck()
    page.wait_for_function(ENDED, arg=before + 1, timeout=180_000)


def test_an_upload_is_upscaled(page, tmp_path):
    photo = tmp_path / "mine.png"
    Image.fromarray(example("rocket").read()[:40, :60]).save(photo)
    before = int(page.evaluate("document.body.dataset.ended"))
    page.locator("#file").set_input_files(photo)
    page.wait_for_function(ENDED, arg=before, timeout=180_000)
    page.locator("[name=mode][value=upscale]").check()
    page.wait_for_function(ENDED, arg=before + 1, timeout=180_000)
    saved = page.locator("#viewer a[download='rcan_tiny-mtkd_x4.png']")
    assert saved.count() and page.locator("#table th", has_text="PSNR").count() == 0
    page.locator("[name=mode][value=test]").check()
    page.wait_for_function(ENDED, arg=before + 2, timeout=180_000)


@pytest.mark.parametrize(("content", "message"), [(b"no picture", "cannot be read"), (b"", "cannot be read")])
def test_what_is_no_picture(page, tmp_path, content, message):
    (tmp_path / "notes.png").write_bytes(content)
    page.locator("#file").set_input_files(tmp_path / "notes.png")
    page.locator("#status.error", has_text=message).wait_for()


def test_too_large_for_a_tab(page):
    with pytest.raises(Exception, match="a tab takes 64 million"):
        page.evaluate(
            "async () => (await import('./engine.js')).upscale('rcan_tiny-mtkd', 4, {width: 9000, height: 900})"
        )
    with pytest.raises(Exception, match="No model nothing"):
        page.evaluate("async () => (await import('./engine.js')).upscale('nothing', 4, new ImageData(2, 2))")


def test_a_run_is_cancelled(page):
    code = """async () => { const { upscale } = await import('./engine.js'); const stop = new AbortController();
      const big = new ImageData(700, 700);
      const run = upscale('edsr_tiny-mtkd', 4, big, { signal: stop.signal, progress: () => stop.abort() });
      return run.then(() => 'done', (error) => error.name); }"""
    assert page.evaluate(code) == "AbortError"


@pytest.mark.parametrize(
    ("adapter", "there"),
    [
        ("Promise.resolve({ info: {} })", True),
        ("Promise.resolve({ info: { isFallbackAdapter: true } })", False),  # software: slower than WebAssembly
        ("Promise.resolve(null)", False),
        ("Promise.reject(new Error('lost'))", False),
        ("new Promise(() => {})", False),
    ],
)
def test_webgpu_needs_an_adapter_that_answers(page, adapter, there):
    code = f"async () => (await import('./backends.js')).hasAdapter({{ requestAdapter: () => {adapter} }}, 200)"
    assert page.evaluate(code) is there
    assert page.evaluate("async () => (await import('./backends.js')).hasAdapter(undefined)") is False


@pytest.mark.parametrize(
    ("answer", "trusted"),
    [
        ("tile.map((x) => x + 0.001)", True),
        ("tile.map((x, i) => x + 0.003 * (i === 7))", False),
        ("tile.map((x, i) => i === 7 ? NaN : x)", False),
        ("tile.slice(1)", False),
        ("new Promise(() => {})", False),
        ("Promise.reject(new Error('device lost'))", False),
    ],
)
def test_webgpu_must_answer_as_webassembly_does(page, answer, trusted):
    """Rightly, wrongly in one value, not at all: only what answers rightly is used."""
    code = f"""async () => {{
      const {{ checked }} = await import('./backends.js');
      const tile = Float32Array.from({{ length: 48 }}, (_, i) => i / 48);
      const run = await checked(async () => async (tile) => {answer}, async (tile) => tile, tile, 200);
      return run === null ? null : (await run(tile))[7];
    }}"""
    found = page.evaluate(code)
    assert found == pytest.approx(7 / 48 + 0.001) if trusted else found is None


def test_an_adapter_that_never_opens_a_model_is_not_waited_for(page):
    code = """async () => { const { checked } = await import('./backends.js');
      return checked(() => new Promise(() => {}), async (tile) => tile, [1], 200); }"""
    assert page.evaluate(code) is None


@pytest.mark.slow
def test_webgpu_itself(browser, address):
    """By the browser's software adapter: the result is that of WebAssembly. The page does not use such an adapter."""
    flags = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
    code = """async (file) => {
      if (!await navigator.gpu?.requestAdapter()) return 'none';
      const { checked, hasAdapter } = await import('./backends.js');
      const opened = async (name, provider) => {
        const ort = await import(`./runtime/${name}`);
        ort.env.wasm.wasmPaths = new URL('./runtime/', location.href).href;
        ort.env.wasm.numThreads = 1;
        const session = await ort.InferenceSession.create(file, { executionProviders: [provider] });
        return async (values) => (await session.run({ lr: new ort.Tensor('float32', values, [1, 3, 16, 16]) })).sr.data;
      };
      const wasm = await opened('ort.wasm.min.mjs', 'wasm');
      const tile = Float32Array.from({ length: 768 }, (_, i) => 0.5 + 0.4 * Math.sin(i / 7));
      const run = await checked(() => opened('ort.webgpu.min.mjs', 'webgpu'), wasm, tile, 120000);
      return [await hasAdapter(navigator.gpu), run !== null];
    }"""
    other = browser.playwright.chromium.launch(executable_path=chromium_path(), args=flags)
    page = other.new_page()
    page.goto(address)
    found = page.evaluate(code, f"models/{MODELS[2]}.onnx")
    other.close()
    if found == "none":
        pytest.skip("Chromium's software adapter for WebGPU does not start here")
    assert found == [False, True]


def test_a_phone_takes_a_photo_and_its_next_visit_has_threads(browser, page, address, tmp_path):
    """Threads: by the service worker, since a plain host sends no headers."""
    assert not page.locator("#camera").is_visible()  # a mouse: no phone
    page = browser.new_page(390, 844, is_mobile=True, has_touch=True)
    page.goto(address)
    page.wait_for_function(ENDED, arg=0, timeout=120_000)
    assert not page.evaluate("crossOriginIsolated")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    page.wait_for_function(ENDED, arg=0, timeout=120_000)
    assert page.evaluate("crossOriginIsolated")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    sideways = Image.Exif()
    sideways[0x0112] = 6  # as phones store an upright photo
    Image.fromarray(example("rocket").read()[:40, :60]).save(tmp_path / "photo.jpg", exif=sideways)
    before = int(page.evaluate("document.body.dataset.ended"))
    chooser.value.set_files(tmp_path / "photo.jpg")
    page.wait_for_function(ENDED, arg=before, timeout=120_000)
    assert page.locator("#viewer").get_by_text("10 × 15").count()  # of the LR input, upright
    page.context.close()


def test_first_download_is_small(folder):
    """Before the first picture: the page, the runtime, two students and one example."""
    about = json.loads((folder / MARK).read_text(encoding="utf-8"))
    later = ("models", "pictures")
    first = [file for file in folder.rglob("*") if file.is_file() and file.parent.name not in later]
    first = [file for file in first if file.name not in GPU_FILES]
    first += [folder / one["file"] for one in about["models"] if one["name"] in about["usual"] and one["file"]]
    assert sum(file.stat().st_size for file in first) < 16_000_000


@pytest.mark.slow
def test_every_bundled_model(runtime_folder, tmp_path, browser):
    """Each gives what the command gives, within a level."""
    names = [model.name for model in zoo.models(4) if model.bundled and "@" not in model.name]
    site = build(tmp_path / "site", names, 4, runtime_folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    page = browser.new_page()
    page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
    image = example("coffee").read()[:40, :46]
    for name in names:
        assert np.abs(results(page, name, image).astype(int) - expected(name, image)).max() <= 1, name
    server.shutdown()
    page.context.close()


# Building --------------------------------------------------------------------------------------------------------


def test_a_site_is_built_anew_and_nothing_else_is_touched(runtime_folder, folder, tmp_path):
    with pytest.raises(UserError, match="holds something else"):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("all")
        build(tmp_path / "mine", MODELS[:1], 4, runtime_folder)
    with pytest.raises(UserError, match="unknown model"):
        build(folder, ["nothing"], 4, runtime_folder)
    assert (folder / "models" / f"{MODELS[2]}.onnx").is_file() and (tmp_path / "mine" / "thesis.tex").is_file()
    shutil.copytree(folder, tmp_path / "again")
    build(tmp_path / "again", MODELS[:1], 4, runtime_folder)
    assert [one.name for one in (tmp_path / "again" / "models").iterdir()] == [f"{MODELS[0]}.onnx"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["again", "mine"]


def test_without_npm_one_line_says_what_to_install(tmp_path):
    environment = os.environ | {"PATH": str(tmp_path), "MTKD_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "mtkd.cli", "site", "-o", str(tmp_path / "site"), "--models", "bicubic"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2 and "npm is not installed" in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_a_runtime_that_is_none(tmp_path):
    with pytest.raises(UserError, match=FILES[0]):
        build(tmp_path / "site", ["bicubic"], 4, tmp_path)
    assert not (tmp_path / "site").exists()
