"""Patches: aligned, turned alike, and a pure function of seed, iteration and rank."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from mtkd.data.patches import ORIENTATIONS, ImagePairs, Patches, orient, split, unorient
from mtkd.errors import UserError
from mtkd.images import find_images
from mtkd.resize import imresize


@pytest.fixture(scope="module")
def pairs(photos) -> ImagePairs:
    return ImagePairs(find_images(photos), 4)


def test_orientations_are_the_dihedral_group():
    image = np.arange(12).reshape(1, 3, 4)
    group = {np.rot90(f, k, axes=(1, 2)).tobytes() for f in (image, image[..., ::-1]) for k in range(4)}
    made = [orient(torch.from_numpy(image), k).contiguous().numpy().tobytes() for k in range(ORIENTATIONS)]
    assert set(made) == group and len(set(made)) == 8


@pytest.mark.parametrize("k", range(ORIENTATIONS))
def test_unorient_inverts(k):
    image = torch.rand(3, 5, 7)
    assert torch.equal(unorient(orient(image, k), k), image)


def test_pairs_are_matlab_bicubic(pairs):
    pair = pairs[0]
    assert pair.hr.shape == (3, 72, 96) and pair.lr.shape == (3, 18, 24)
    assert torch.equal(pair.lr, imresize(pair.hr, 0.25))


class Coordinates:
    """Stands for a network's output: says where it was cut."""

    def crop(self, index, top, left, height, width):
        y, x = torch.meshgrid(torch.arange(height) + top, torch.arange(width) + left, indexing="ij")
        return torch.stack([torch.full_like(x, index), y, x])


def test_everything_is_cut_and_turned_alike(pairs):
    """From the coordinates one finds the LR and HR pixels of the same place again."""
    batch = Patches(pairs, 8, 16, 0, {"net": Coordinates()})(5)
    assert batch.lr_image.shape == (16, 3, 8, 8) and batch.hr_image.shape == (16, 3, 32, 32)
    assert batch.outputs["net"].shape == (16, 3, 32, 32)
    for lr, hr, where in zip(batch.lr_image, batch.hr_image, batch.outputs["net"].long(), strict=True):
        index, y, x = where
        pair = pairs[int(index[0, 0])]
        assert torch.equal(hr, pair.hr[:, y, x].float() / 255)
        assert torch.equal(lr, pair.lr[:, y[::4, ::4] // 4, x[::4, ::4] // 4].float() / 255)


def test_a_pure_function_of_seed_iteration_and_rank(pairs):
    one, other = Patches(pairs, 8, 4, 7), Patches(pairs, 8, 4, 7)
    other(1), other(2)
    assert torch.equal(one(3).lr_image, other(3).lr_image)
    first = one(3).lr_image
    for different in (one(4), one(3, rank=1), Patches(pairs, 8, 4, 8)(3)):
        assert not torch.equal(first, different.lr_image)


def test_every_position_and_orientation_is_drawn(pairs):
    patches = Patches(pairs, 16, 64, 0, {"net": Coordinates()})
    corners = torch.cat([patches(i).outputs["net"].flatten(2).amin(2)[:, 1:] for i in range(6)])
    assert set(corners[:, 0].tolist()) == {0, 4, 8} and corners[:, 1].max() == 32 and corners[:, 1].min() == 0


def test_with_little_memory_the_same(photos, pairs):
    tight = ImagePairs(find_images(photos), 4, memory_limit=30_000)
    patches = [Patches(p, 8, 8, 0)(2) for p in (pairs, tight)]
    assert torch.equal(patches[0].hr_image, patches[1].hr_image)
    assert tight._cached.cache_info().maxsize == 1


def test_lr_files_named_as_in_div2k(photos, tmp_path):
    for path in find_images(photos):
        Image.new("RGB", (24, 18), (9, 9, 9)).save(tmp_path / f"{path.stem}x4.png")
    assert ImagePairs(find_images(photos), 4, lr_folder=tmp_path)[1].lr.unique().tolist() == [9]
    Image.new("RGB", (23, 18)).save(tmp_path / "photo0x4.png")
    with pytest.raises(UserError, match="1/4 of its HR"):
        ImagePairs(find_images(photos), 4, lr_folder=tmp_path)


def test_small_images_are_refused(photos, tmp_path):
    with pytest.raises(UserError, match="smaller than the patch of 32"):
        Patches(ImagePairs(find_images(photos), 4), 32, 4, 0)(0)
    Image.new("RGB", (3, 50)).save(tmp_path / "thin.png")
    with pytest.raises(UserError, match=r"thin\.png.*too small"):
        ImagePairs(find_images(tmp_path), 4)


def test_split_is_spread_and_disjoint(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:02}.png").touch()
    train, held = split(tmp_path, 4)
    assert len(held) == 4 and len(train) == 36 and not set(train) & set(held)
    gaps = np.diff([int(p.stem) for p in held])
    assert gaps.min() >= 9 and gaps.max() <= 11
    with pytest.raises(UserError, match="holdout"):
        split(tmp_path, 40)
