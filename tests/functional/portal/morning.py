"""A morning's studies, one of each kind, made of images that pip brings."""

import copy
import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from firstread.study import AnalysisStatus
from tests.functional.portal.seeding import MODEL, Hospital

HOSTILE = "<script>alert('x')</script>\"'&{{7*7}}"


def sample(name: str) -> Dataset:
    """Return an image that pip brought."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return dcmread(str(path))


def stack(dataset: Dataset, count: int, series: int = 1, description: str = "") -> list[Dataset]:
    """Return copies of an uncompressed image, each shifted a little, as a series."""
    pixels = dataset.pixel_array
    copies = []
    for index in range(count):
        each = copy.deepcopy(dataset)
        each.PixelData = np.roll(pixels, 2 * index, axis=0).tobytes()
        each.SeriesNumber = series
        each.SeriesDescription = description
        copies.append(each)
    return copies


def heat_map(rows: int = 256, columns: int = 256, at: tuple[float, float] = (0.66, 0.3)) -> bytes:
    """Return a transparent PNG with one warm spot."""
    y, x = np.mgrid[0:rows, 0:columns]
    distance = ((y / rows - at[0]) / 0.16) ** 2 + ((x / columns - at[1]) / 0.13) ** 2
    heat = np.exp(-distance)
    alpha = 153 * np.clip(heat * 1.6 - 0.3, 0, 1)
    rgba = np.stack([255 * heat, 140 * heat**2, 30 * (1 - heat), alpha], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(rgba.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def busy_morning(hospital: Hospital) -> dict[str, str]:
    """Store one study of each kind; return name -> Study Instance UID."""
    chest, limb, cine = sample("RG1_J2KI.dcm"), sample("RG3_UNCI.dcm"), sample("examples_ybr_color.dcm")
    no_ct = {MODEL: "modality is CT"}
    made: dict[str, str] = {}

    def keep(name: str, study_uid: str, after: Callable[[str], object] | None = None) -> None:
        made[name] = study_uid
        if after:
            after(study_uid)

    warm = heat_map(391, 368)
    keep(
        "high",
        hospital.study([chest], waits=13, description="Chest ap", age_years=4.2, sex="F"),
        lambda each: hospital.analysed(each, 0.91, overlay=warm),
    )
    keep(
        "simulated",
        hospital.study(
            [chest], waits=4, description="Simulated chest X-ray", simulated=True, age_years=3.5, sex="M"
        ),
        lambda each: hospital.analysed(each, 0.78, overlay=warm),
    )
    ct = [
        *stack(sample("693_UNCR.dcm"), 6, 1, "5/5mm plain"),
        *stack(sample("CT_small.dcm"), 3, 2, "Bone"),
    ]
    keep(
        "ct",
        hospital.study(ct, waits=184, modality="CT", body_part="HEAD", description="Head without contrast"),
        lambda each: hospital.change(each, status=AnalysisStatus.NO_MODEL, not_applicable=no_ct),
    )
    keep(
        "cine",
        hospital.study(
            [cine],
            waits=52,
            held=(("US", "may_contain_burned_in_text"), ("US", "truncated")),
            modality="US",
            body_part="HEART",
            description="Echocardiography",
        ),
        lambda each: hospital.change(
            each, status=AnalysisStatus.NO_MODEL, not_applicable={MODEL: "modality is US"}
        ),
    )
    keep(
        "failed",
        hospital.study([chest], waits=31, description="Chest pa", age_years=5.0, sex="M"),
        hospital.failed,
    )
    keep(
        "held",
        hospital.study(
            [], waits=22, held=(("US", "may_contain_burned_in_text"),), modality="US", body_part=""
        ),
        lambda each: hospital.change(each, status=AnalysisStatus.HELD),
    )
    keep(
        "analysing",
        hospital.study([chest], waits=2, description="Chest ap supine", age_years=1.5),
        lambda each: hospital.change(each, status=AnalysisStatus.ANALYSING, models=(MODEL,)),
    )
    keep(
        "hostile",
        hospital.study([limb], waits=75, body_part="EXTREMITY", description=HOSTILE),
        lambda each: hospital.change(
            each, status=AnalysisStatus.NO_MODEL, not_applicable={MODEL: "body part is EXTREMITY"}
        ),
    )
    keep("receiving", hospital.study([sample("MR_small.dcm")], waits=0.3, modality="MR", body_part="BRAIN"))
    keep(
        "unflagged",
        hospital.study([chest], waits=96, description="Chest pa", age_years=4.9, sex="F"),
        lambda each: hospital.analysed(each, 0.08),
    )
    return made
