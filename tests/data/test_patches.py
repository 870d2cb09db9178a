"""Training patches: aligned, oriented, and a pure function of (seed, iteration)."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from mtkd.ahead import made_ahead
from mtkd.data.patches import ORIENTATIONS, Batch, ImagePairs, Patches, orient, split, unorient
from mtkd.errors import UserError
from mtkd.images import find_images, read_image
from mtkd.resize import imresize


def folder_of(tmp_path: Path, *sizes: tuple[int, int], name: str = "images") -> Path:
    """PNG files a.png, b.png, ... of (height, width) with random pixels."""
    folder = tmp_path / name
    folder.mkdir()
    rng = np.random.default_rng(0)
    for letter, size in zip("abcdefgh", sizes, strict=False):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{letter}.png")
    return folder


class Coordinates:
    """Crops whose values say where they come from: (image, row, column)."""

    def __init__(self, pairs: ImagePairs) -> None:
        self.pairs = pairs

    def crop(self, index: int, top: int, left: int, height: int, width: int) -> Tensor:
        whole = self.pairs[index].hr.shape
        assert 0 <= top <= top + height <= whole[1] and 0 <= left <= left + width <= whole[2]
        rows = torch.arange(top, top + height).view(-1, 1).expand(height, width)
        columns = torch.arange(left, left + width).expand(height, width)
        return torch.stack([torch.full((height, width), index), rows, columns]).float()


def same(a: Batch, b: Batch) -> bool:
    outputs = a.outputs.keys() == b.outputs.keys() and all(torch.equal(v, b.outputs[k]) for k, v in a.outputs.items())
    return torch.equal(a.lr_image, b.lr_image) and torch.equal(a.hr_image, b.hr_image) and outputs


# Orientations ----------------------------------------------------------------------------------------------


def test_orientations_are_the_dihedral_group() -> None:
    image = np.arange(12).reshape(3, 4)
    group = {
        a.tobytes() + bytes(a.shape) for k in range(4) for a in (np.rot90(image, k), np.fliplr(np.rot90(image, k)))
    }
    found = [orient(torch.from_numpy(image), k).contiguous().numpy() for k in range(ORIENTATIONS)]
    assert {a.tobytes() + bytes(a.shape) for a in found} == group
    assert len(group) == ORIENTATIONS == 8


def test_bits_of_an_orientation() -> None:
    image = np.arange(24).reshape(2, 3, 4)
    for k in range(ORIENTATIONS):
        expected = image[:, :, ::-1] if k & 1 else image
        expected = expected[:, ::-1] if k & 2 else expected
        expected = expected.swapaxes(1, 2) if k & 4 else expected
        np.testing.assert_array_equal(orient(torch.from_numpy(image), k).numpy(), expected)


@pytest.mark.parametrize("k", range(ORIENTATIONS))
def test_unorient_inverts(k: int) -> None:
    image = torch.rand(2, 3, 4, 5)
    assert torch.equal(unorient(orient(image, k), k), image)
    assert torch.equal(orient(unorient(image, k), k), image)


# Pairs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("border", ["clamp", "mirror"])
def test_pairs_are_matlab_bicubic(photos: Path, border) -> None:
    files = find_images(photos)
    pairs = ImagePairs(files, 4, border)
    assert len(pairs) == len(files)
    for file, pair in zip(files, pairs, strict=True):
        hr = read_image(file)
        height, width = hr.shape[0] // 4 * 4, hr.shape[1] // 4 * 4
        assert pair.name == file.stem
        assert pair.hr.dtype == pair.lr.dtype == torch.uint8
        np.testing.assert_array_equal(pair.hr.permute(1, 2, 0).numpy(), hr[:height, :width])
        assert torch.equal(pair.lr, imresize(pair.hr, 1 / 4, border))
        assert pair.lr.shape == (3, height // 4, width // 4)


@pytest.mark.parametrize("limit", [0, 30_000, 8 << 30])
def test_memory_limit_changes_nothing_but_memory(photos: Path, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    files = find_images(photos)
    expected = [pair.lr for pair in ImagePairs(files, 3)]
    pairs = ImagePairs(files, 3, memory_limit=limit)
    for _ in range(2):
        assert all(torch.equal(pair.lr, lr) for pair, lr in zip(pairs, expected, strict=True))
    reads: list[str] = []
    monkeypatch.setattr("mtkd.data.patches.read_image", lambda path: (reads.append(path.name), read_image(path))[1])
    for index in (0, 1, 2, 3, 0, 1, 2, 3):
        pairs[index]
    assert len(reads) == (0 if limit == 8 << 30 else 8)  # all held, or too few to be of use


@pytest.mark.parametrize("pattern", ["{}.png", "{}x2.png"])  # the second as DIV2K has them
def test_lr_folder(tmp_path: Path, pattern: str) -> None:
    hr = folder_of(tmp_path, (21, 30), (16, 17))
    lr = folder_of(tmp_path, (10, 15), (8, 8), name="lr")
    for file in find_images(lr):
        file.rename(lr / pattern.format(file.stem))
    for pair, file in zip(ImagePairs(find_images(hr), 2, lr_folder=lr), "ab", strict=True):
        np.testing.assert_array_equal(pair.lr.permute(1, 2, 0).numpy(), read_image(lr / pattern.format(file)))
        assert pair.hr.shape[1:] == tuple(2 * n for n in pair.lr.shape[1:])


def test_lr_folder_that_does_not_match(tmp_path: Path) -> None:
    hr = folder_of(tmp_path, (20, 30))
    lr = folder_of(tmp_path, (10, 14), name="lr")
    with pytest.raises(UserError, match=r"lr/a\.png: .* is not 1/2 of its HR image"):
        ImagePairs(find_images(hr), 2, lr_folder=lr)
    (lr / "a.png").unlink()
    with pytest.raises(UserError, match=r"data\.lr: .*lr/a\.png: no such file, nor another LR image of a\.png; add it"):
        ImagePairs(find_images(hr), 2, lr_folder=lr)
    lr.rmdir()
    with pytest.raises(UserError, match=r"there is no folder .*lr"):
        ImagePairs(find_images(hr), 2, lr_folder=lr)


def test_bad_files_are_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, (12, 12), (3, 12))
    with pytest.raises(UserError, match=r"b\.png.*too small for scale 4"):
        ImagePairs(find_images(folder), 4)[1]
    (folder / "c.png").write_text("no image")
    with pytest.raises(UserError, match=r"c\.png: not an image") as caught:
        ImagePairs(find_images(folder), 4)[2]
    assert str(caught.value).count("c.png") == 1


def test_index_out_of_range(photos: Path) -> None:
    pairs = ImagePairs(find_images(photos), 2)
    assert pairs[-1].name == pairs[3].name
    with pytest.raises(IndexError):
        pairs[4]


# Split -----------------------------------------------------------------------------------------------------


def touch(folder: Path, count: int) -> list[str]:
    names = [f"{i:03d}.png" for i in range(count)]
    for name in names:
        (folder / name).touch()
    return names


@pytest.mark.parametrize(("count", "holdout"), [(1, 0), (2, 1), (10, 3), (40, 20), (41, 20), (20, 19), (400, 20)])
def test_split(tmp_path: Path, count: int, holdout: int) -> None:
    names = touch(tmp_path, count)
    train, held = split(tmp_path, holdout)
    assert len(held) == holdout and not set(train) & set(held)
    assert sorted(p.name for p in train + held) == names
    assert [p.name for p in train] == sorted(p.name for p in train)
    assert split(tmp_path, holdout) == (train, held)
    if holdout > 1:  # spread: equal distances but for rounding, as far from both ends
        places = [names.index(p.name) for p in held]
        gaps = np.diff(places)
        assert gaps.max() - gaps.min() <= 1
        assert abs(places[0] - (count - 1 - places[-1])) <= 1


def test_split_leaves_something_to_train_on(tmp_path: Path) -> None:
    touch(tmp_path, 5)
    with pytest.raises(UserError, match=r"5 images, too few to hold 5 out; lower data\.holdout"):
        split(tmp_path, 5)


# Patches ---------------------------------------------------------------------------------------------------

SIZES = ((24, 36), (20, 20), (37, 22))


@pytest.fixture
def pairs(tmp_path: Path) -> ImagePairs:
    return ImagePairs(find_images(folder_of(tmp_path, *SIZES)), 2)


def test_shapes_and_range(pairs: ImagePairs) -> None:
    batch = Patches(pairs, 6, 5, seed=0, outputs={"teacher": Coordinates(pairs)})(0)
    assert batch.lr_image.shape == (5, 3, 6, 6) and batch.hr_image.shape == (5, 3, 12, 12)
    assert batch.outputs["teacher"].shape == (5, 3, 12, 12)
    assert {t.dtype for t in (batch.lr_image, batch.hr_image, batch.outputs["teacher"])} == {torch.float32}
    assert 0 <= batch.hr_image.min() < 0.05 and 0.95 < batch.hr_image.max() <= 1


def test_everything_is_cut_and_turned_in_step(pairs: ImagePairs) -> None:
    """Where the output's crop says it comes from, LR and HR come from, in the same orientation."""
    patches, seen = Patches(pairs, 4, 4, seed=3, outputs={"teacher": Coordinates(pairs)}), set()
    for iteration in range(40):
        batch = patches(iteration)
        for lr, hr, origin in zip(batch.lr_image, batch.hr_image, batch.outputs["teacher"], strict=True):
            index, rows, columns = int(origin[0, 0, 0]), origin[1].long(), origin[2].long()
            assert (origin[0] == index).all()
            assert torch.equal(hr, pairs[index].hr[:, rows, columns].float() / 255)
            assert torch.equal(lr, pairs[index].lr[:, rows[::2, ::2] // 2, columns[::2, ::2] // 2].float() / 255)
            seen.add(
                (
                    torch.sign(rows[1, 0] - rows[0, 0]).item(),
                    torch.sign(rows[0, 1] - rows[0, 0]).item(),
                    torch.sign(columns[1, 0] - columns[0, 0]).item(),
                    torch.sign(columns[0, 1] - columns[0, 0]).item(),
                )
            )
    assert len(seen) == 8  # all orientations occur


def test_lr_patch_is_the_downscaled_hr_patch(photos: Path) -> None:
    """Away from the patch's border, which the kernel crosses in the whole image."""
    batch = Patches(ImagePairs(find_images(photos), 4), 12, 8, seed=0)(0)
    for lr, hr in zip(batch.lr_image, batch.hr_image, strict=True):
        small = imresize((hr * 255).round().to(torch.uint8), 1 / 4).float() / 255
        difference = (small - lr)[:, 2:-2, 2:-2].abs().max() * 255
        assert difference <= 1.01  # rows are rounded first: a transposed patch may be a level off


def test_every_position_occurs_and_none_outside(pairs: ImagePairs) -> None:
    patches = Patches(pairs, 8, 16, seed=0, outputs={"where": Coordinates(pairs)})
    found: dict[int, set[tuple[int, int]]] = {0: set(), 1: set(), 2: set()}
    for iteration in range(100):
        for origin in patches(iteration).outputs["where"]:
            found[int(origin[0, 0, 0])].add((int(origin[1].min()), int(origin[2].min())))
    for index, (height, width) in enumerate(SIZES):
        every = itertools.product(range(0, height // 2 * 2 - 15, 2), range(0, width // 2 * 2 - 15, 2))
        assert found[index] == set(every)


def test_whole_image_as_a_patch(tmp_path: Path) -> None:
    pairs = ImagePairs(find_images(folder_of(tmp_path, (12, 12))), 3)
    for i in range(10):
        lr = Patches(pairs, 4, 1, seed=0)(i).lr_image[0] * 255
        assert any(torch.equal(lr.round(), orient(pairs[0].lr, k).float()) for k in range(8))


def test_batch_is_a_pure_function(pairs: ImagePairs) -> None:
    def fresh(seed: int = 5) -> Patches:
        return Patches(pairs, 5, 3, seed, {"teacher": Coordinates(pairs)})

    order = [0, 1, 7]
    first = fresh()
    expected = {key: first(key) for key in order}
    second = fresh()
    torch.manual_seed(99)
    np.random.seed(99)
    for key in reversed(order):
        torch.rand(3)
        assert same(second(key), expected[key]) and same(fresh()(key), expected[key])
    for one, other in itertools.combinations(order, 2):
        assert not same(expected[one], expected[other])
    assert not same(fresh(6)(0), expected[0])


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_parts_of_several_processes_make_the_batch_of_one(ranks: int, pairs: ImagePairs) -> None:
    patches = Patches(pairs, 5, 6, 3, {"teacher": Coordinates(pairs)})
    whole, parts = patches(4), [patches(4, rank, ranks) for rank in range(ranks)]
    for name in ("lr_image", "hr_image"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    assert torch.equal(torch.cat([part.outputs["teacher"] for part in parts]), whole.outputs["teacher"])
    assert {(part.seed, part.size) for part in parts} == {(whole.seed, 6)}
    assert [number for part in parts for number in range(6)[part.own]] == list(range(6))


def test_a_stranger_image_is_decoded_once_for_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes draw the whole batch, but read only their own part of it."""
    pairs = ImagePairs(find_images(folder_of(tmp_path, (24, 24), (24, 28))), 2, memory_limit=0)
    patches, decoded = Patches(pairs, 5, 8, 0), []
    patches(0)
    original = ImagePairs._read
    monkeypatch.setattr(ImagePairs, "_read", lambda self, index: decoded.append(index) or original(self, index))
    patches(1, rank=1, ranks=4)
    assert len(decoded) == 2


def test_images_held_on_a_device_give_the_same_patches(tmp_path: Path) -> None:
    files = find_images(folder_of(tmp_path, (24, 24), (24, 28)))
    pairs = ImagePairs(files, 2, memory_limit=0)
    patches = Patches(pairs, 5, 4, 0)
    assert patches.bytes() == sum(3 * (12 * w + 24 * 2 * w) for w in (12, 14))
    before = patches(3)
    patches.hold(torch.device("cpu"))
    for file in files:
        file.unlink()
    assert same(patches(3), before)
    patches.hold(torch.device("meta"))
    assert patches(3).lr_image.is_meta


@pytest.mark.parametrize("ahead", [0, 1, 3, 50])
def test_batches_made_ahead_come_in_order(ahead: int, pairs: ImagePairs) -> None:
    patches, asked = Patches(pairs, 5, 3, 1), []

    def make(iteration: int) -> Batch:
        asked.append(iteration)
        return patches(iteration)

    for number, batch in enumerate(made_ahead(make, range(2, 12), ahead), 2):
        assert same(batch, patches(number))
        assert max(asked) <= number + ahead
    assert sorted(asked) == list(range(2, 12))


def test_an_error_of_a_batch_made_ahead_arrives(pairs: ImagePairs) -> None:
    with pytest.raises(UserError, match="smaller than the patch of 11"):
        list(made_ahead(Patches(pairs, 11, 8, seed=0), range(20), 3))


def test_nobody_makes_batches_that_nobody_wants(pairs: ImagePairs) -> None:
    made, before = made_ahead(Patches(pairs, 5, 3, 1), range(10_000), 3), threading.active_count()
    next(made)
    assert threading.active_count() > before
    made.close()
    assert threading.active_count() == before


def test_outputs_change_no_patch(pairs: ImagePairs) -> None:
    """Methods with and without teachers train on the same patches."""
    alone, taught = Patches(pairs, 5, 3, 1)(4), Patches(pairs, 5, 3, 1, {"teacher": Coordinates(pairs)})(4)
    assert torch.equal(alone.lr_image, taught.lr_image) and torch.equal(alone.hr_image, taught.hr_image)
    assert not alone.outputs


def test_outputs_are_neither_clamped_nor_rounded(pairs: ImagePairs) -> None:
    class Wild:
        def crop(self, index: int, top: int, left: int, height: int, width: int) -> Tensor:
            return torch.full((3, height, width), -1.2345, dtype=torch.float16)

    out = Patches(pairs, 4, 1, 0, {"wild": Wild()})(0).outputs["wild"]
    assert out.dtype == torch.float32 and (out == torch.tensor(-1.2345).half().float()).all()


def test_images_smaller_than_the_patch(pairs: ImagePairs) -> None:
    with pytest.raises(UserError, match="smaller than the patch of 11; lower lr_patch"):
        for iteration in range(20):
            Patches(pairs, 11, 2, seed=0)(iteration)


def test_batch_moves_as_a_whole(pairs: ImagePairs) -> None:
    batch = Patches(pairs, 4, 1, 0, {"teacher": Coordinates(pairs)})(0).to(torch.device("meta"))
    assert batch.lr_image.is_meta and batch.hr_image.is_meta and batch.outputs["teacher"].is_meta
