"""The tiles of a mosaic are slices, where the private header says, or there is no volume."""

import struct

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from firstread.imaging import STRICT, VolumeError, load
from firstread.imaging.series import load_volume
from firstread.imaging.verdict import Act, VolumeReason
from tests.support.phantoms import CENTRE, SIZE, SPACING, centre_and_volume, image, planes, rotated, series


def csa(**tags: list[str]) -> bytes:
    """Return a header of version 2 ("SV10")."""
    made = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, values in tags.items():
        made += struct.pack("<64si4s3i", name.encode(), len(values), b"FD\0\0", 4, len(values), 77)
        for value in values:
            text = value.encode() + b"\0"
            made += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
    return made


def mosaic(number: int = 1, turn: float = 20.0, slices: int = 28) -> FileDataset:
    """Return the 28 slices of the phantom as 6 x 6 tiles."""
    directions = rotated(turn)
    where = planes(directions=directions)[:slices]
    values = [np.frombuffer(image(each, 1).PixelData, "<u2").reshape(SIZE) for each in where]
    sheet = np.zeros((6 * SIZE[0], 6 * SIZE[1]), "<u2")
    for index, each in enumerate(values):
        top, left = index // 6 * SIZE[0], index % 6 * SIZE[1]
        sheet[top : top + SIZE[0], left : left + SIZE[1]] = each
    made = image(where[0], number)
    made.Modality, made.ImageType = "MR", ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    made.AcquisitionNumber = number
    made.Rows, made.Columns, made.PixelData = *sheet.shape, (sheet + 3 * (number - 1)).astype("<u2").tobytes()
    corner = (
        where[0].position
        - directions[0] * SPACING[1] * 2.5 * SIZE[1]
        - directions[1] * SPACING[0] * 2.5 * SIZE[0]
    )
    made.ImagePositionPatient = [round(float(each), 6) for each in corner]
    made.SpacingBetweenSlices = 3.0
    normal = [f"{each:.9f}" for each in np.cross(*directions)]
    block = made.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa(NumberOfImagesInMosaic=[str(slices)], SliceNormalVector=normal))
    return made


def test_tiles_are_slices_in_their_place() -> None:
    volume = load([mosaic()])
    assert volume.values.shape == (28, *SIZE) and volume.values.dtype == np.int16
    assert np.linalg.norm(centre_and_volume(volume.values, volume.affine)[0] - CENTRE) < 0.25
    whole = load(series(planes(directions=rotated(20))))
    assert np.array_equal(volume.values, whole.values) and np.allclose(volume.affine, whole.affine, atol=1e-5)
    assert volume.verdict.done[0].to_json() == {"act": "mosaic_unpacked", "count": 1, "by": "ImageType"}


def test_mosaics_one_after_the_other_are_a_time_series() -> None:
    volume = load([mosaic(2), mosaic(1)])
    assert volume.values.shape == (2, 28, *SIZE)
    assert (volume.values[1].astype(int) - volume.values[0] == 3).all()
    assert [each.act for each in volume.verdict.done] == [Act.MOSAIC_UNPACKED, Act.SPLIT_IN_TIME]


@pytest.mark.parametrize("how", ["no header", "cut off", "too many", "another way", "no distance"])
def test_a_mosaic_that_does_not_say_is_refused(how: str) -> None:
    made = mosaic()
    block = made.private_block(0x0029, "SIEMENS CSA HEADER")
    if how == "no header":
        del block[0x10]
    if how == "cut off":
        block[0x10].value = block[0x10].value[:200]
    if how == "too many":
        block[0x10].value = block[0x10].value.replace(b"28\0", b"-8\0")
    if how == "another way":
        made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    if how == "no distance":
        del made.SpacingBetweenSlices
    with pytest.raises(VolumeError) as caught:
        load([made])
    assert caught.value.reason is VolumeReason.NO_GEOMETRY


def test_results_cannot_refer_to_tiles() -> None:
    with pytest.raises(VolumeError) as caught:
        load_volume([mosaic(), mosaic(2)])
    assert caught.value.reason is VolumeReason.NO_GEOMETRY
    assert load([mosaic()], STRICT).values.shape == (28, *SIZE)
