"""XMP (ISO 16684-1): who made a picture, when and where, as Lightroom, phones and archives write it."""

from __future__ import annotations

from typing import Any
from xml.dom import Node, minidom

LONGEST = 1 << 20
"""Bytes of a packet; some programs pile up histories of megabytes."""
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF, EXIF, ADOBE = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/xap/1.0/"
DUBLIN, PHOTOSHOP = "http://purl.org/dc/elements/1.1/", "http://ns.adobe.com/photoshop/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
KEPT = {
    TIFF, EXIF, ADOBE, DUBLIN, PHOTOSHOP, IPTC, "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "http://ns.adobe.com/xap/1.0/rights/", "http://cipa.jp/exif/1.0/", "http://ns.adobe.com/exif/1.0/aux/",
    "http://ns.useplus.org/ldf/xmp/1.0/", "http://creativecommons.org/ns#", "http://ns.adobe.com/lightroom/1.0/",
    "http://ns.microsoft.com/photo/1.0/", "http://www.digikam.org/ns/1.0/",
}  # fmt: skip
"""Vocabularies on the photo. Others are on the file (history, gain map, panorama, develop settings)."""
LEFT_OUT = {
    TIFF: {
        "Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "SamplesPerPixel", "PhotometricInterpretation",
        "Compression", "PlanarConfiguration", "XResolution", "YResolution", "ResolutionUnit", "YCbCrSubSampling",
        "YCbCrPositioning", "YCbCrCoefficients", "TransferFunction", "WhitePoint", "PrimaryChromaticities",
        "ReferenceBlackWhite", "NativeDigest",
    },
    EXIF: {"PixelXDimension", "PixelYDimension", "ColorSpace", "MakerNote", "NativeDigest", "ComponentsConfiguration",
           "CompressedBitsPerPixel"},
    ADOBE: {"Thumbnails"},
    DUBLIN: {"format"},
    PHOTOSHOP: {"ICCProfile", "ColorMode", "DocumentAncestors", "LegacyIPTCDigest", "EmbeddedXMPDigest"},
    IPTC: {"ImageRegion"},
}  # fmt: skip
"""Of these vocabularies what is true of the file alone: size, orientation, thumbnail."""
BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'


def lasting(packet: Any) -> bytes:
    """What stays true of a result; nothing of a packet that is damaged."""
    data = packet.encode() if isinstance(packet, str) else packet if isinstance(packet, bytes) else b""
    data = data.rstrip(b"\0 \n")
    # of UTF-16, which nobody writes, the second test would not see what it forbids
    if not data or len(data) > LONGEST or any(word in data for word in (b"\0", b"<!DOCTYPE", b"<!ENTITY")):
        return b""
    try:
        document = minidom.parseString(data)
        kept = [_cleaned(part) for part in document.getElementsByTagNameNS(RDF, "Description") if _is_outer(part)]
        if not any(kept):
            return b""
        assert document.documentElement is not None
        return f'{BEGIN}{document.documentElement.toxml()}<?xpacket end="w"?>'.encode()
    except Exception:  # the parser and its tree raise almost anything
        return b""


def _is_outer(part: minidom.Element) -> bool:
    above = part.parentNode
    return above is not None and (above.namespaceURI, above.localName) == (RDF, "RDF")


def _cleaned(part: minidom.Element) -> int:
    """Drop from a description what is not kept; returns how many properties are left."""
    left = 0
    for attribute in list((part.attributes or {}).values()):
        if attribute.namespaceURI in (None, RDF, "http://www.w3.org/2000/xmlns/"):
            continue
        if _stays(attribute):
            left += 1
        else:
            part.removeAttributeNode(attribute)
    for child in list(part.childNodes):
        if child.nodeType == Node.ELEMENT_NODE and _stays(child):
            left += 1
        else:
            part.removeChild(child)
    return left


def _stays(node: Any) -> bool:
    return node.namespaceURI in KEPT and node.localName not in LEFT_OUT.get(node.namespaceURI, ())
