"""A client of others stores real files over loopback."""

from pathlib import Path

import pydicom
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from fastapi import FastAPI
from pydicom.data import get_testdata_file

from tests.support import ingest
from tests.support.cloud import Cloud
from tests.support.loopback import served

NAMES = ["CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm", "JPEG2000.dcm", "rtplan.dcm"]


def test_real_files_are_stored(cloud: Cloud, service: FastAPI) -> None:
    datasets = []
    for name in NAMES:
        path = get_testdata_file(name)
        assert isinstance(path, str) and Path(path).exists()
        datasets.append(pydicom.dcmread(path))
    with served(service) as url:
        session = create_session()
        session.headers["Authorization"] = f"Bearer {ingest.TOKENS['ct1']}"
        client = DICOMwebClient(url, session=session, stow_url_prefix="ingest")
        try:
            found = client.store_instances(datasets)
            again = client.store_instances(datasets[:1], study_instance_uid=datasets[0].StudyInstanceUID)
        finally:
            session.close()
    stored = {each.ReferencedSOPInstanceUID for each in found.ReferencedSOPSequence}
    assert stored == {each.SOPInstanceUID for each in datasets}
    assert len(again.ReferencedSOPSequence) == 1
    assert "FailedSOPSequence" not in found
    assert len(cloud.objects("incoming")) == len(NAMES) + 1
    with pytest.raises(OSError, match="401"), served(service) as url:
        DICOMwebClient(url, stow_url_prefix="ingest").store_instances(datasets[:1])
