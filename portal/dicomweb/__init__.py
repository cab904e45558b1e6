"""DICOMweb (PS3.18) below ``/dicomweb``, of pseudonymous studies only."""

from portal.dicomweb import about, metadata, pixels, rendered, retrieve, search

ROUTERS = tuple(module.router for module in (about, search, metadata, pixels, rendered, retrieve))
