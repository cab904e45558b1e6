"""Codes of what is measured in images, and their units (UCUM)."""

from firstread.result import Code

LENGTH = Code(value="410668003", scheme="SCT", meaning="Length")
ANGLE = Code(value="1483009", scheme="SCT", meaning="Angle")
AREA = Code(value="42798000", scheme="SCT", meaning="Area")
VOLUME = Code(value="118565006", scheme="SCT", meaning="Volume")
ATTENUATION = Code(value="112031", scheme="DCM", meaning="Attenuation Coefficient")
PIXEL_VALUE = Code(value="pixel-value", scheme="99FIRSTREAD", meaning="Pixel value")

MEAN = Code(value="373098007", scheme="SCT", meaning="Mean")
STANDARD_DEVIATION = Code(value="386136009", scheme="SCT", meaning="Standard Deviation")

MM = Code(value="mm", scheme="UCUM", meaning="millimeter")
SQUARE_MM = Code(value="mm2", scheme="UCUM", meaning="square millimeter")
CUBIC_MM = Code(value="mm3", scheme="UCUM", meaning="cubic millimeter")
PIXELS = Code(value="{pixels}", scheme="UCUM", meaning="pixels")
DEGREE = Code(value="deg", scheme="UCUM", meaning="degree")
HOUNSFIELD = Code(value="[hnsf'U]", scheme="UCUM", meaning="Hounsfield unit")
NO_UNITS = Code(value="1", scheme="UCUM", meaning="no units")
