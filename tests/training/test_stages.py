"""From a recipe to batches and validation: caches, frozen networks, the order of teachers, images held out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio
from torch import Tensor, nn

from mtkd import networks, zoo
from mtkd.data.patches import ImagePair, ImagePairs, orient, split
from mtkd.errors import UserError
from mtkd.images import chw, read_image, to_tensor, write_image
from mtkd.networks.aggregator import KnowledgeAggregator, MultiTeacher
from mtkd.networks.bicubic import Bicubic
from mtkd.teacher_cache import TeacherCache
from mtkd.training.loop import train
from mtkd.training.stages import Stage, prepare
from mtkd.zoo.checkpoints import save_weights, weights_hash
from mtkd.zoo.headers import Header
from tests.training.conftest import AGGREGATE, DISTILL, SCALE, small_recipe, write_images, write_model

CPU = torch.device("cpu")
Prepare = Callable[..., Stage]


@pytest.fixture
def prepared(small_images: Path, in_zoo: Path, tmp_path: Path) -> Prepare:
    """Makes a stage from changes to the small recipe; its cache is ``tmp_path / "cache"``."""

    def make(images: Path = small_images, **changes: Any) -> Stage:
        return prepare(small_recipe(images, **changes), CPU, tmp_path / "cache", lambda *_: None)

    return make


class Nearest(nn.Module):
    """Repeats pixels and moves every value by the parameter; counts its calls."""

    def __init__(self, value: float = 0.25) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))
        self.calls = 0

    def forward(self, lr_image: Tensor) -> Tensor:
        self.calls += 1
        return lr_image.repeat_interleave(SCALE, -1).repeat_interleave(SCALE, -2) + self.value


# --- cached outputs


def test_a_cached_crop_is_the_crop_of_the_output_on_the_whole_image(small_images: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = networks.build("edsr_tiny", SCALE).eval()
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)
    cache = TeacherCache(tmp_path, "t", network, pairs)
    cache.fill(CPU)
    for index, window in ((0, (0, 0, 16, 16)), (2, (5, 20, 12, 30)), (4, (17, 3, 1, 1))):
        with torch.no_grad():
            whole = network(pairs[index].lr[None].float() / 255)
        top, left, height, width = window
        crop = cache.crop(index, *window)
        assert crop.dtype == torch.float16 and crop.is_contiguous()
        assert torch.equal(crop, whole[0, :, top : top + height, left : left + width].half())
        assert torch.equal(cache.whole(index), whole.half().float())


def test_outputs_outside_0_to_1_are_kept(small_images: Path, tmp_path: Path) -> None:
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)
    for value in (3.5, -3.5):
        cache = TeacherCache(tmp_path, "t", Nearest(value), pairs)
        cache.fill(CPU)
        assert (cache.whole(0).mean() - value).abs() < 1


def test_patches_turn_alike_and_lie_where_the_images_do(prepared: Prepare) -> None:
    """Every patch of LR, HR and outputs is found in its image, at one place, in one of the eight orientations."""
    stage = prepared(batch=1, **AGGREGATE)
    pairs = stage.patches.pairs
    turned = set()
    for iteration in range(40):
        batch = stage.batch(iteration)
        k, index, top, left = _find(batch.lr_image[0] * 255, pairs)
        turned.add(k)
        window = np.s_[:, SCALE * top : SCALE * (top + 8), SCALE * left : SCALE * (left + 8)]
        assert torch.equal(batch.hr_image[0], orient(pairs[index].hr[window], k).float() / 255)
        for name, network in stage.frozen.items():
            whole = network(pairs[index].lr[None].float() / 255)[0]
            assert torch.equal(batch.outputs[name][0], orient(whole[window], k).half().float())
    assert turned == set(range(8))


def _find(patch: Tensor, pairs: ImagePairs) -> tuple[int, int, int, int]:
    """(orientation, image, top, left) of an LR patch with values 0..255."""
    size = patch.shape[-1]
    for index in range(len(pairs)):
        windows = pairs[index].lr.float().unfold(1, size, 1).unfold(2, size, 1)  # (3, y, x, size, size)
        for k in range(8):
            # k's inverse is itself, or the other quarter turn
            back = next(j for j in range(8) if torch.equal(orient(orient(_MARKS, k), j), _MARKS))
            hits = (windows == orient(patch.round(), back)[:, None, None]).all(-1).all(-1).all(0).nonzero()
            if len(hits):
                return k, index, int(hits[0, 0]), int(hits[0, 1])
    raise AssertionError("not a patch of any image")


_MARKS = torch.arange(4.0).view(1, 2, 2)


@pytest.mark.parametrize("changes", [AGGREGATE, DISTILL], ids=["aggregate", "distill"])
def test_cached_and_online_outputs_are_alike(changes: dict[str, Any], prepared: Prepare) -> None:
    cached = prepared(**changes).batch(3)
    online = prepared(**changes, teacher_outputs="online").batch(3)
    assert torch.equal(cached.lr_image, online.lr_image) and torch.equal(cached.hr_image, online.hr_image)
    assert list(cached.outputs) == list(online.outputs) == changes["teachers"]
    for name in changes["teachers"]:
        a, b = cached.outputs[name], online.outputs[name]
        assert a.shape == b.shape == cached.hr_image.shape and a.dtype == b.dtype == torch.float32
        assert not a.requires_grad and not b.requires_grad


def test_cached_and_online_outputs_are_equal_where_borders_do_not_reach(prepared: Prepare) -> None:
    """Of a network that does not care how its input is turned: MATLAB's bicubic, which reaches two LR pixels."""
    changes = DISTILL | {"teachers": ["bicubic"]}
    cached, online = prepared(**changes), prepared(**changes, teacher_outputs="online")
    for iteration in range(10):
        a, b = (stage.batch(iteration).outputs["bicubic"][..., 4:-4, 4:-4] for stage in (cached, online))
        assert torch.allclose(a, b, atol=1e-3)  # float16


def test_online_outputs_equal_the_network_on_the_patch(prepared: Prepare) -> None:
    stage = prepared(**DISTILL, teacher_outputs="online")
    batch = stage.batch(0)
    assert torch.equal(batch.outputs["merged"], stage.frozen["merged"](batch.lr_image))
    assert not stage.caches and not stage.patches.outputs


def test_outputs_are_computed_once(small_images: Path, tmp_path: Path) -> None:
    network = Nearest()
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)
    first = TeacherCache(tmp_path, "t", network, pairs)
    reported: list[tuple[int, int]] = []
    first.fill(CPU, lambda done, of: reported.append((done, of)))
    assert network.calls == len(pairs) and reported == [(i + 1, len(pairs)) for i in range(len(pairs))]
    files = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert len(files) == len(pairs)

    TeacherCache(tmp_path, "t", network, pairs).fill(CPU)
    assert network.calls == len(pairs)
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == files


def test_an_interrupted_fill_goes_on(small_images: Path, tmp_path: Path) -> None:
    network = Nearest()
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    cache = TeacherCache(tmp_path, "t", network, pairs)
    with pytest.raises(KeyboardInterrupt):
        cache.fill(CPU, stop)
    assert len(list(cache.folder.iterdir())) == 2
    cache.fill(CPU)
    assert network.calls == len(pairs)


def test_processes_share_a_fill(small_images: Path, tmp_path: Path) -> None:
    networks_ = [Nearest(), Nearest()]
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)
    caches = [TeacherCache(tmp_path, "t", network, pairs) for network in networks_]
    for rank, cache in enumerate(caches):
        cache.fill(CPU, rank=rank, ranks=2)
    assert [network.calls for network in networks_] == [3, 3]
    for index in range(len(pairs)):
        assert torch.equal(caches[0].whole(index), caches[1].whole(index))


def test_outputs_held_on_a_device_are_those_on_disk(small_images: Path, tmp_path: Path) -> None:
    pairs = ImagePairs(sorted(small_images.iterdir()), SCALE)
    cache = TeacherCache(tmp_path, "t", Nearest(), pairs)
    cache.fill(CPU)
    data = sum(path.stat().st_size for path in cache.folder.iterdir())
    assert 0 < data - cache.bytes() <= 128 * len(pairs)  # the files' headers
    before = cache.crop(2, 3, 4, 5, 6)
    cache.hold(CPU)
    shutil.rmtree(cache.folder)
    assert torch.equal(cache.crop(2, 3, 4, 5, 6), before)
    cache.hold(torch.device("meta"))
    assert cache.crop(2, 3, 4, 5, 6).is_meta


def test_batches_made_ahead_are_those_made_in_turn(prepared: Prepare, in_zoo: Path) -> None:
    stage = prepared(**DISTILL)
    for ahead in (0, 3):
        for number, batch in enumerate(stage.batches(4, 9, ahead=ahead), 4):
            expected = stage.batch(number)
            assert torch.equal(batch.hr_image, expected.hr_image)
            assert torch.equal(batch.outputs["merged"], expected.outputs["merged"])
        assert number == 8


def test_outputs_of_other_weights_or_images_are_not_used(small_images: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(small_images, tmp_path / "images"))
    files = sorted(images.iterdir())

    def whole(network: Nearest) -> Tensor:
        cache = TeacherCache(tmp_path / "cache", "t", network, ImagePairs(files, SCALE))
        cache.fill(CPU)
        return cache.whole(0)

    before = whole(Nearest(0.25))
    assert torch.allclose(whole(Nearest(0.5)), before + 0.25, atol=1e-3)
    changed = read_image(files[0])
    changed[0, 0] ^= 255
    write_image(files[0], changed)
    network = Nearest(0.25)
    assert not torch.equal(whole(network), before)
    assert network.calls == 1  # the other images are as they were


def test_many_images_need_few_open_files(tmp_path: Path) -> None:
    """Common systems allow 1,024 open files; three teachers' outputs on BSDS400 are more."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("counts open files where Linux lists them")
    files = [tmp_path / f"{i}.png" for i in range(60)]
    for i, path in enumerate(files):
        write_image(path, np.full((8, 8, 3), i, np.uint8))
    cache = TeacherCache(tmp_path, "t", Nearest(), ImagePairs(files, SCALE))
    cache.fill(CPU)
    before = len(list(descriptors.iterdir()))
    for index in range(len(files)):
        assert torch.allclose(cache.crop(index, 2, 2, 4, 4).float(), torch.tensor(index / 255 + 0.25), atol=1e-3)
    assert len(list(descriptors.iterdir())) <= before + 2


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_not_finite_are_refused(value: float, small_images: Path, tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path, "broken", Nearest(value), ImagePairs(sorted(small_images.iterdir()), SCALE))
    with pytest.raises(UserError, match=r"a: the output of broken-\w+ is not finite"):
        cache.fill(CPU)
    assert not list(tmp_path.rglob("*.npy"))


# --- frozen networks and the order of teachers


@pytest.mark.parametrize("outputs", ["cached", "online"])
@pytest.mark.parametrize("changes", [AGGREGATE, DISTILL], ids=["aggregate", "distill"])
def test_no_gradient_reaches_a_frozen_network(
    changes: dict[str, Any], outputs: str, prepared: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stage = prepared(**changes, teacher_outputs=outputs)
    before = {name: weights_hash(network) for name, network in stage.frozen.items()}
    monkeypatch.setattr("mtkd.training.loop.prepare", lambda *_: stage)
    student = weights_hash(stage.network)
    card = train(stage.recipe, tmp_path / "run", False, lambda _: None)
    assert weights_hash(stage.network) != student
    for name, network in stage.frozen.items():
        assert not network.training and not any(module.training for module in network.modules())
        assert all(not p.requires_grad and p.grad is None for p in network.parameters())
        assert weights_hash(network) == before[name]
    assert card["teachers"] == before
    trained = {id(p) for p in stage.network.parameters()}
    assert not trained & {id(p) for network in stage.frozen.values() for p in network.parameters()}


class Constant(nn.Module):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, lr_image: Tensor) -> Tensor:
        height, width = lr_image.shape[-2:]
        return lr_image.new_full((len(lr_image), 3, SCALE * height, SCALE * width), self.value)


def first_of_two(names: tuple[str, str]) -> KnowledgeAggregator:
    """An aggregator that gives the image of its first teacher."""
    network = KnowledgeAggregator(SCALE, names, upsampler="pixelshuffledirect", residual="weighted")
    with torch.no_grad():
        network.teacher_weights.copy_(torch.tensor([1.0, 0.0]))
    return network


def test_an_aggregator_gets_its_teachers_in_the_stored_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    for name, value in (("ada", 0.25), ("bob", 0.75)):
        write_model(tmp_path, name, "edsr_tiny", seed=int(100 * value))
    real = zoo.catalogue.load
    values = {"ada": Constant(0.25), "bob": Constant(0.75)}
    monkeypatch.setattr(
        zoo.catalogue, "load", lambda name, scale, **given: values.get(name) or real(name, scale, **given)
    )
    for order in (("ada", "bob"), ("bob", "ada")):
        header = Header("merged", "aggregator_mini", SCALE, order)
        save_weights(tmp_path / "merged_x2.safetensors", first_of_two(order), header)
        loaded = zoo.catalogue.load("merged", SCALE)
        assert isinstance(loaded, MultiTeacher) and loaded.aggregator.teachers == order
        output = loaded(torch.rand(1, 3, 8, 8))
        assert torch.allclose(output, torch.tensor(values[order[0]].value), atol=1e-6)


@pytest.mark.parametrize("order", [["ada", "bob"], ["bob", "ada"]])
def test_training_validating_and_using_an_aggregator_agree_on_the_order(
    order: list[str], prepared: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = prepared(**AGGREGATE | {"teachers": order})
    assert isinstance(stage.network, KnowledgeAggregator) and stage.network.teachers == tuple(order)
    stage.network.load_state_dict(first_of_two((order[0], order[1])).state_dict())
    assert list(stage.frozen) == order
    first = stage.frozen[order[0]]
    lr_image = stage.held_out[1].lr[None].float() / 255
    assert torch.allclose(stage.predict(stage.network, 1), first(lr_image), atol=1e-3)  # float16
    batch = stage.batch(0)
    target = (batch.outputs[order[0]] - batch.hr_image).abs().mean()
    assert torch.allclose(stage.method.loss(stage.network, batch)["L_KA"], target, atol=1e-6)

    monkeypatch.setattr("mtkd.training.loop.prepare", lambda *_: stage)
    train(stage.recipe, tmp_path / "run", False, lambda _: None)
    monkeypatch.setenv("MTKD_ZOO", f"{tmp_path}:{zoo.catalogue.folders()[0]}")
    loaded = zoo.load("small", SCALE)
    assert isinstance(loaded, MultiTeacher) and loaded.aggregator.teachers == tuple(order)
    with torch.no_grad():
        assert torch.allclose(loaded(lr_image), stage.predict(loaded.aggregator, 1), atol=1e-3)


def test_an_aggregator_refuses_another_number_of_images() -> None:
    with pytest.raises(ValueError, match="3 images for the teachers ada, bob"):
        first_of_two(("ada", "bob"))([torch.rand(1, 3, 16, 16)] * 3)


def test_weights_of_another_number_of_teachers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTKD_ZOO", str(tmp_path))
    header = Header("merged", "aggregator_mini", SCALE, ("ada", "bob", "cy"))
    save_weights(tmp_path / "merged.safetensors", first_of_two(("ada", "bob")), header)
    with pytest.raises(UserError, match=r"weights of another network: .*conv_first.weight is \(24, 24, 3, 3\)"):
        zoo.load("merged", SCALE)


def test_a_teacher_of_another_scale_is_refused(
    small_images: Path, in_zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "zoo"
    write_model(other, "cy", "edsr_tiny", 1, scale=3)
    monkeypatch.setenv("MTKD_ZOO", f"{in_zoo}:{other}")
    recipe = small_recipe(small_images, **AGGREGATE | {"teachers": ["ada", "cy"]})
    with pytest.raises(UserError, match="model 'cy' is trained for scale 3, not 2"):
        prepare(recipe, CPU, tmp_path / "cache", lambda *_: None)


def test_an_unknown_teacher_suggests_the_nearest(prepared: Prepare) -> None:
    with pytest.raises(UserError, match="unknown model 'merge'; did you mean 'merged'?"):
        prepared(**DISTILL | {"teachers": ["merge"]})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (AGGREGATE | {"method": {"name": "mtkd"}}, "one image I_MT"),
        (DISTILL | {"method": {"name": "aggregate"}}, "method 'aggregate' trains an aggregator; stage distill"),
        (DISTILL | {"method": {"name": "scratch"}}, "method scratch learns from no other network"),
        ({"method": {"name": "mtkd"}}, "method mtkd learns from other networks; name them under 'teachers'"),
        (DISTILL | {"teachers": ["ada", "bob"]}, "learns from one image I_MT, got 2 networks"),
    ],
)
def test_stage_method_and_teachers_must_fit(changes: dict[str, Any], message: str, prepared: Prepare) -> None:
    with pytest.raises(UserError, match=message):
        prepared(**changes)


def test_bicubic_can_be_a_teacher(prepared: Prepare) -> None:
    stage = prepared(**DISTILL | {"teachers": ["bicubic"]})
    assert isinstance(stage.frozen["bicubic"], Bicubic)
    assert stage.batch(0).outputs["bicubic"].isfinite().all()


# --- images


@pytest.mark.parametrize("holdout", [1, 2, 5])
def test_an_image_held_out_is_never_trained_on(holdout: int, small_images: Path, prepared: Prepare) -> None:
    stage = prepared(data={"train": str(small_images), "holdout": holdout}, **AGGREGATE)
    training, held = ({p.name for p in pairs.files} for pairs in (stage.patches.pairs, stage.held_out))
    assert len(held) == holdout and not training & held and training | held == {p.name for p in small_images.iterdir()}
    read: set[str] = set()

    class Noted(ImagePairs):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            pair: ImagePair = super().__getitem__(index)
            read.add(pair.name)
            return pair

    stage.patches.pairs = Noted(stage.patches.pairs.files, SCALE)
    for iteration in range(30):
        stage.batch(iteration)
    assert read == {name.removesuffix(".png") for name in training}


def test_images_held_out_are_spread_and_do_not_depend_on_anything_else(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i:02d}.png").touch()
    training, held = split(tmp_path, 4)
    assert [path.stem for path in held] == ["04", "14", "24", "34"]
    assert len(training) == 36 and split(tmp_path, 4) == (training, held)
    with pytest.raises(UserError, match=r"40 images, too few to hold 40 out; lower data.holdout"):
        split(tmp_path, 40)


def test_an_image_smaller_than_the_patch_is_named(tmp_path: Path, prepared: Prepare) -> None:
    images = write_images(tmp_path / "images")
    write_image(images / "tiny.png", np.zeros((15, 90, 3), np.uint8))
    with pytest.raises(UserError, match=r"tiny.png: LR image of 45 x 7 is smaller than the patch of 8"):
        prepared(images)


def test_lr_images_can_be_given(small_images: Path, tmp_path: Path, prepared: Prepare) -> None:
    lr_folder = tmp_path / "lr"
    names = sorted(path.stem for path in small_images.iterdir())
    for name in names:
        hr = read_image(small_images / f"{name}.png")
        lr = np.full((hr.shape[0] // SCALE, hr.shape[1] // SCALE, 3), ord(name), np.uint8)
        write_image(lr_folder / f"{name}x{SCALE}.png", lr)
    stage = prepared(data={"train": str(small_images), "holdout": 2, "lr": str(lr_folder)})
    assert {int(v) for v in (stage.batch(0).lr_image * 255).round().unique()} <= {ord(name) for name in names}

    (lr_folder / f"c{'x2'}.png").unlink()
    with pytest.raises(UserError, match=r"lr/c.png: no such file"):
        prepared(data={"train": str(small_images), "holdout": 2, "lr": str(lr_folder)})
    write_image(lr_folder / "c.png", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(UserError, match=r"lr/c.png: 5 x 5 is not 1/2 of its HR image c.png, 67 x 53"):
        prepared(data={"train": str(small_images), "holdout": 2, "lr": str(lr_folder)})


# --- validation


def _luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma by its definition, from uint8 RGB."""
    red, green, blue = (image[..., c].astype(np.float64) for c in range(3))
    return 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255


@pytest.mark.parametrize("changes", [{}, AGGREGATE, DISTILL], ids=["pretrain", "aggregate", "distill"])
def test_validation_is_the_psnr_of_whole_images_held_out(
    changes: dict[str, Any], prepared: Prepare, small_images: Path
) -> None:
    stage = prepared(**changes)
    network = stage.network.train()
    values = stage.validate(network)
    assert network.training
    network.eval()
    assert len(values) == len(stage.held_out) == 2
    for value, path, pair in zip(values, stage.held_out.files, stage.held_out, strict=True):
        hr = read_image(path)
        hr = hr[: hr.shape[0] // 2 * 2, : hr.shape[1] // 2 * 2]
        assert torch.equal(pair.hr, chw(hr))
        lr_image = to_tensor(pair.lr.permute(1, 2, 0).numpy())
        with torch.no_grad():
            given = tuple(stage.frozen[n](lr_image) for n in stage.recipe.teachers)
            output = network(given) if changes is AGGREGATE else network(lr_image)
        sr = (output[0].permute(1, 2, 0).numpy() * 255).round().clip(0, 255).astype(np.uint8)
        a, b = (_luma(image)[2:-2, 2:-2] for image in (hr, sr))
        expected = peak_signal_noise_ratio(a, b, data_range=255)
        assert value == pytest.approx(expected, abs=0.02 if changes is AGGREGATE else 1e-3)  # float16 outputs


def test_a_sample_shows_lr_output_and_truth(prepared: Prepare) -> None:
    stage = prepared()
    sample = stage.sample(stage.network)
    pair: ImagePair = stage.held_out[0]
    height, width = pair.hr.shape[1:]
    assert sample.dtype == torch.uint8 and sample.shape == (height, 3 * width, 3)
    assert torch.equal(sample[:, 2 * width :], pair.hr.permute(1, 2, 0))
    assert torch.equal(sample[::2, :width:2], pair.lr.permute(1, 2, 0))


def test_what_is_prepared_is_reported(small_images: Path, in_zoo: Path, tmp_path: Path) -> None:
    events: list[tuple[str, int, int]] = []
    prepare(small_recipe(small_images, **AGGREGATE), CPU, tmp_path, lambda *event: events.append(event))
    assert events[:6] == [("reading images", i + 1, 6) for i in range(6)]
    assert "0.2 MB on the disk" in events.pop(6)[0]
    assert events[6:10] == [("outputs of ada", i + 1, 4) for i in range(4)]
    assert events[-1] == ("held-out outputs of bob", 2, 2)


def test_the_data_hash_knows_the_images(small_images: Path, tmp_path: Path, prepared: Prepare) -> None:
    copy = Path(shutil.copytree(small_images, tmp_path / "copy"))
    before = prepared().data_hash
    assert prepared(copy).data_hash == before and len(before) == 16
    changed = read_image(copy / "b.png")
    changed[3, 3, 0] ^= 1
    write_image(copy / "b.png", changed)
    assert prepared(copy).data_hash != before
