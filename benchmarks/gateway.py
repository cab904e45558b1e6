"""What durability costs: C-STORE into the spool, against a storage SCP of pynetdicom that writes without fsync.

``python -m benchmarks.gateway [--slices 300] [--kilobytes 512]``; needs DCMTK's ``storescu``.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

_SERVERS = {
    "gateway": """
import sys, time
from pathlib import Path
from tests.support.gateways import FakeService, settings
from firstread.gateway.run import running
class Waits(FakeService):
    def upload(self, *_args, **_options):
        from firstread.uploads.errors import BusyError
        raise BusyError(3600)
with running(settings(Path(sys.argv[1])), Waits()) as gateway:
    print(gateway.dimse.port, flush=True)
    time.sleep(3600)
""",
    "pynetdicom, no fsync": """
import sys
from pathlib import Path
from uuid import uuid4
from pynetdicom import AE, AllStoragePresentationContexts, evt
folder = Path(sys.argv[1])
folder.mkdir()
def store(event):
    (folder / uuid4().hex).write_bytes(event.encoded_dataset())
    return 0
entity = AE("FIRSTREAD")
entity.supported_contexts = AllStoragePresentationContexts
server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
print(server.server_address[1], flush=True)
import time
time.sleep(3600)
""",
}


def _slices(folder: Path, count: int, size: int) -> None:
    study, series = generate_uid(), generate_uid()
    for number in range(count):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
        dataset.PatientID, dataset.PatientName, dataset.Modality = "1", "A^B", "CT"
        dataset.Rows = dataset.Columns = 512
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
        dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.PixelData = bytes(size)
        dataset["PixelData"].VR = "OW"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(folder / f"{number:05d}.dcm", enforce_file_format=True)


def _measure(name: str, files: Path, work: Path) -> tuple[float, float, float]:
    """Return the seconds of sending, and the memory of the server before and at most, in MiB."""
    target = work / name.replace(" ", "_")
    server = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", _SERVERS[name], str(target)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        process = psutil.Process(server.pid)
        before = most = process.memory_info().rss
        command = ["storescu", "-aet", "CT1", "-aec", "FIRSTREAD", "+sd", "127.0.0.1", port, str(files)]
        begun = time.perf_counter()
        sender = subprocess.Popen(command)  # noqa: S603 - DCMTK, with our arguments
        while sender.poll() is None:
            most = max(most, process.memory_info().rss)
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
        assert sender.returncode == 0
        return seconds, before / 2**20, most / 2**20
    finally:
        server.kill()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--kilobytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="On the disk to measure; default: a temporary one.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        work = Path(name)
        files = work / "files"
        files.mkdir()
        _slices(files, options.slices, options.kilobytes * 1024)
        for round_ in range(options.rounds):
            for server in _SERVERS:
                folder = work / str(round_)
                folder.mkdir(exist_ok=True)
                seconds, before, most = _measure(server, files, folder)
                rate = options.slices / seconds
                print(
                    f"{server}: {rate:.1f} objects/s, {rate * options.kilobytes / 1024:.1f} MiB/s, "
                    f"memory {before:.0f} -> {most:.0f} MiB"
                )


if __name__ == "__main__":
    main()
