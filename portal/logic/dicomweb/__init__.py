"""DICOMweb (PS3.18): what is asked, what matches, what is answered. No FastAPI here."""
