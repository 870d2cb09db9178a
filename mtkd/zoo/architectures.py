"""Networks of others by the keys of their public weights: what a checkpoint looks like that is none of ours.

The first architecture all of whose patterns begin a key is named; special ones come before those that they extend.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LAYER = r"layers\.\d+\."
_SWIN = rf"{_LAYER}residual_group\."

PATTERNS: dict[str, tuple[str, ...]] = {
    # transformers
    "HAT": (rf"{_SWIN}overlap_attn\.|{_SWIN}blocks\.\d+\.conv_block\.cab\.",),
    "ATD": (rf"{_SWIN}td$|{_SWIN}layers\.\d+\.attn_atd\.",),
    "Swin2SR": (rf"{_SWIN}blocks\.\d+\.attn\.(logit_scale|cpb_mlp\.)",),
    "SRFormer": (rf"{_SWIN}blocks\.\d+\.attn\.aligned_relative_position_index",),
    "CRAFT": (rf"{_SWIN}hf_blocks\.",),
    "DRCT": (rf"{_LAYER}swin1\.", rf"{_LAYER}adjust1\."),
    "RGT": (r"before_RG\.", rf"{_LAYER}blocks\.\d+\.gamma"),
    "DAT": (r"before_RG\.", rf"{_LAYER}blocks\.\d+\.(attn\.attns|ffn\.sg)\."),
    "GRL": (rf"{_LAYER}blocks\.\d+\.attn\.(window_attn|stripe_attn)\.",),
    "OmniSR": (r"residual_layer\.\d+\.residual_layer\.\d+\.layer\.",),
    "DITN": (r"UFONE\.\d+\.ITLs\.",),
    "FDAT": (r"groups\.\d+\.blocks\.\d+\.(inter\.cg|attn\.bias)",),
    "IPT": (r"head\.0\.0\.", r"body\.(encoder|decoder)\."),
    "Restormer": (r"encoder_level1\.0\.ffn\.",),
    "Uformer": (r"encoderlayer_0\.",),
    "SCUNet": (r"m_head\.0\.", r"m_tail\.0\."),
    # convolutions
    "MMRealSR": (r"body\.\d+\.rdb1\.conv1\.", r"am_list\."),
    "RRDB (ESRGAN, Real-ESRGAN)": (
        r"body\.\d+\.rdb1\.conv1\.|RRDB_trunk\.\d+\.RDB1\.conv1\.|model\.1\.sub\.\d+\.RDB1\.conv1",
    ),
    "PLKSR": (r"feats\.\d+\.(lk\.|channe?l?_mixer\.)",),
    "SAFMN": (r"to_feat\.", r"feats\.\d+\.(layers\.\d+\.)?safm\."),
    "MoSR": (r"gblocks\.\d+\.",),
    "MoESR": (r"in_to_dim\.", r"blocks\.0\.blocks\.0\."),
    "SeemoRe": (r"body\.\d+\.local_block\.",),
    "RealCUGAN": (r"unet1\.conv1\.",),
    "RFDN": (r"B1\.c1_d\.", r"B1\.esa\."),
    "IMDN": (r"IMDB1\.",),
    "RDN": (r"SFENet1\.", r"RDBs\."),
    "NAFNet": (r"intro\.", r"middle_blks\.\d+\.(beta|gamma|conv1\.)"),
    "DRUNet": (r"m_head\.weight", r"m_down1\."),
    "SwiftSRGAN": (r"initial\.cnn\.depthwise\.",),
    "SRResNet": (r"conv_first\.", r"body\.\d+\.conv1\.", r"upconv1\."),
    "GFPGAN": (r"stylegan_decoder\.",),
}

MARKS = tuple(pattern for patterns in PATTERNS.values() for pattern in patterns[:1])
"""Beginnings of keys, by which :func:`mtkd.zoo.contents.parts` finds weights of these networks under a prefix."""


def looks_like(keys: Collection[str]) -> str | None:
    """The architecture that keys without a prefix look like."""
    for name, patterns in PATTERNS.items():
        if all(any(re.match(pattern, key) for key in keys) for pattern in patterns):
            return name
    return None
