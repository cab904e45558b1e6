"""DICOMweb (PS3.18) below ``/dicomweb``, of pseudonymous studies only."""

from fastapi import APIRouter

from portal.dicomweb import about, metadata, pixels, rendered, retrieve, search

router = APIRouter(prefix="/dicomweb")
for _module in (about, search, metadata, pixels, rendered, retrieve):
    router.include_router(_module.router)
