"""One way from a folder of slices to a volume: `python -m benchmarks.imaging.ways WAY IN OUT`, in its own process."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.imaging.peers import REQUIREMENTS, programs

PEAK_KB = 1024


def floor(source: Path, out: Path) -> None:
    with (out / "floor.bin").open("wb", buffering=0) as file:
        for path in sorted(source.iterdir()):
            file.write(path.read_bytes())


def ours(to: str, *, compress: bool = True, filter: str = "lzf") -> Callable[[Path, Path], None]:
    def convert(source: Path, out: Path) -> None:
        from firstread.imaging.convert import Filter, Options, Target
        from firstread.imaging.convert import convert as run

        summary = run([source], out, Options(Target(to), compress=compress, filter=Filter(filter)))
        assert not summary.failed and summary.totals["made"] == 1

    return convert


def simpleitk(suffix: str) -> Callable[[Path, Path], None]:
    def convert(source: Path, out: Path) -> None:
        import SimpleITK

        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(source))
        SimpleITK.WriteImage(SimpleITK.ReadImage(names), str(out / f"volume{suffix}"), bool(suffix[4:]))

    return convert


def nibabel(suffix: str) -> Callable[[Path, Path], None]:
    """Write what anybody would: pydicom, numpy, nibabel; of a regular axial series only."""

    def convert(source: Path, out: Path) -> None:
        import nibabel
        import numpy as np
        import pydicom

        images = [pydicom.dcmread(path) for path in source.iterdir()]
        images.sort(key=lambda each: float(each.ImagePositionPatient[2]))
        made = np.empty((int(images[0].Columns), int(images[0].Rows), len(images)), np.int16, order="F")
        for number, each in enumerate(images):
            slope, intercept = int(each.RescaleSlope), int(each.RescaleIntercept)
            made[..., number] = (each.pixel_array.astype(np.int16) * slope + intercept).T
        rows, columns = map(float, images[0].PixelSpacing)
        start = np.array(images[0].ImagePositionPatient, float)
        step = float(images[1].ImagePositionPatient[2]) - start[2]
        affine = np.diag([-columns, -rows, step, 1.0])
        affine[:3, 3] = start * [-1, -1, 1]
        image: Any = nibabel.Nifti1Image(made, affine)
        image.to_filename(out / f"volume{suffix}")

    return convert


def dcm2niix(zipped: str) -> Callable[[Path, Path], None]:
    def convert(source: Path, out: Path) -> None:
        _run(programs("dcm2niix") / "dcm2niix", "-z", zipped, "-o", str(out), str(source))

    return convert


def dicom2nifti(suffix: str) -> Callable[[Path, Path], None]:
    """Write voxels as they lie: by default it turns them, in twice the time."""
    code = "import sys, dicom2nifti; dicom2nifti.dicom_series_to_nifti(*sys.argv[1:], reorient_nifti=False)"

    def convert(source: Path, out: Path) -> None:
        _run(programs("dicom2nifti") / "python", "-c", code, str(source), str(out / f"volume{suffix}"))

    return convert


def imgtools(suffix: str) -> Callable[[Path, Path], None]:
    def convert(source: Path, out: Path) -> None:
        names = "{SampleNumber}/{Modality}_{SeriesInstanceUID}/{ImageID}" + suffix
        options = ["--jobs", "1", "-m", "CT", "--filename-format", names]
        crawl = ["--crawl-directory", str(out / "crawl"), str(source), str(out / "volumes")]
        _run(programs("med-imagetools") / "imgtools", "autopipeline", *options, *crawl)

    return convert


def _run(program: Path, *words: str) -> None:
    subprocess.run(  # noqa: S603
        [str(program), *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "floor: read and write the bytes": floor,
    "FirstRead .nii": ours("nifti", compress=False),
    "FirstRead .nii.gz": ours("nifti"),
    "FirstRead Zarr": ours("zarr"),
    "FirstRead HDF5 lzf": ours("hdf5"),
    "FirstRead HDF5 gzip": ours("hdf5", filter="gzip"),
    "FirstRead HDF5 contiguous": ours("hdf5", compress=False),
    "pydicom + nibabel .nii": nibabel(".nii"),
    "pydicom + nibabel .nii.gz": nibabel(".nii.gz"),
    "SimpleITK .nii": simpleitk(".nii"),
    "SimpleITK .nii.gz": simpleitk(".nii.gz"),
    "dcm2niix .nii": dcm2niix("n"),
    "dcm2niix .nii.gz": dcm2niix("y"),
    "dicom2nifti .nii": dicom2nifti(".nii"),
    "dicom2nifti .nii.gz": dicom2nifti(".nii.gz"),
    "med-imagetools .nii": imgtools(".nii"),
    "med-imagetools .nii.gz": imgtools(".nii.gz"),
}


def main(way: str, source: str, out: str) -> None:
    WAYS[way](Path(source), Path(out))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    # The largest memory of getrusage is that of whoever started this process, where that was larger.
    status = Path("/proc/self/status").read_text()
    own = int(status.split("VmHWM:")[1].split()[0])
    peak = max(own, used[1].ru_maxrss if way.startswith(tuple(REQUIREMENTS)) else 0) / PEAK_KB
    print(json.dumps({"cpu_s": cpu, "peak_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
