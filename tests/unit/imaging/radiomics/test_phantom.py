"""Every feature has its consensus value on the digital phantom of IBSI."""

import pytest

from firstread.imaging.radiomics import Aggregation, BinNumber, BinSize, Family, Settings, codes, features
from tests.support import ibsi

MERGED = Settings(BinSize(1.0))
AVERAGED = Settings(BinNumber(6), aggregation=Aggregation.AVERAGED)


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    inside = ibsi.PHANTOM > 0
    return features(ibsi.phantom(), inside, MERGED) | features(ibsi.phantom(), inside, AVERAGED)


def test_the_phantom_is_that_of_the_manual() -> None:
    inside = ibsi.PHANTOM[ibsi.PHANTOM > 0].astype(int)
    assert (inside.size, (inside**2).sum(), inside.sum()) == (74, 567, 159)
    assert set(inside) == {1, 3, 4, 6}


@pytest.mark.parametrize(("name", "value"), [*ibsi.INTENSITY.items(), *ibsi.TEXTURE.items()])
def test_values_of_intensity_and_texture_to_three_digits(
    found: dict[str, float], name: str, value: float
) -> None:
    assert float(f"{found[name]:.3g}") == value


@pytest.mark.parametrize(("name", "value"), ibsi.SHAPE.items())
def test_values_of_shape_within_their_tolerance(found: dict[str, float], name: str, value: float) -> None:
    assert found[f"morph_{name}"] == pytest.approx(value, abs=ibsi.SHAPE_TOLERANCES[name])


def test_each_feature_has_a_consensus_value_and_a_code_of_its_own(found: dict[str, float]) -> None:
    shapes = {f"morph_{name}" for name in ibsi.SHAPE}
    assert set(found) == shapes | set(ibsi.INTENSITY) | set(ibsi.TEXTURE)
    assert list(features(ibsi.phantom(), ibsi.PHANTOM > 0, MERGED)) == list(codes(MERGED))
    assert len(set(codes(MERGED).values())) == len(codes(MERGED))
    assert {len(code) for code in codes(MERGED).values()} == {4}
    assert codes(MERGED)["cm_contrast_3D_comb"] == codes(AVERAGED)["cm_contrast_3D_avg"] == "ACUI"


def test_only_the_families_that_are_asked_for_are_computed() -> None:
    some = Settings(families=(Family.INTENSITY, Family.SIZE_ZONE))
    assert set(features(ibsi.phantom(), ibsi.PHANTOM > 0, some)) == set(codes(some))
    assert {name.partition("_")[0] for name in codes(some)} == {"stat", "szm"}
