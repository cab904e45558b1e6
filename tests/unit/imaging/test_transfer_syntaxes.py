"""The same series in every transfer syntax that pydicom decodes: the same voxels; in the others a refusal."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import _PIXEL_DATA_DECODERS
from pydicom.uid import (
    HTJ2K,
    UID,
    AllTransferSyntaxes,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from firstread.dicom.silence import quiet
from firstread.imaging.index import Index, build
from firstread.imaging.pixels import PixelError, PixelReason
from firstread.imaging.series import load
from tests.support.phantoms import GAP, Plane, image, planes

SIZE, COUNT = (32, 40), 3
SIGNS = {"unsigned": 0, "signed": 1}
Writer = Callable[[FileDataset, Path, UID], None]
# What `pixels` gives, coded by OpenJPH (`imagecodecs.htj2k_encode(frame, reversible=True)`): nothing here encodes it.
CODED = {
    "unsigned": (
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA1AAAf+TwAAqABnusfQBQjQAwAAS"
        "wAATwAATAM0CB3QAsaDaA4F0ACn9Aod0AMAAFVAABXwAAVCFMmqT7vAAw5QAcYChHe9cz/X8AEUDezYAH2fv4AEHNADAABdJ"
        "AABdLAABdCB8OEURD/B0wsXb79yHH4aXWlf/WItbI4DhAKbDsSDeMYFzOwAoHmZQbT9FHqnPhIQV5xf0IuzOqK8RNCqAb57w"
        "HDRQvIQBKbkAELAKIC7Mh2hQ9CTyhzPmxnKJfYk70UXAHQxIF4xAQbkAwAAXtkAAF7dAABekgMaTsaaPDjI/DEGEUPnKCion"
        "okcGCwhAlQklDJDQwxywQig+SI8lIDD6ZmbwhGs9EOrcgwE4wEHpp4wNWQhAAB5AN4AZ6EsvU0jBKoIggQGTfqqLLgII8ATg"
        "CiDhCAlHlRwBcUAYGVYQwFpVAVDuboMhSCG4gcvwyBmpTLBO86KcLHcju/9HE02kFGH4/hWSAIv+CWRWMEkLSJ6EGK4BR7sg"
        "oYU9AuINObADHHBwBRNAYUIAEAFdCDCKABMIwIEACwIXAhFBRPAAAGgANDkDgxzDERAKaSEAp1MBdoqqCPjjsC9VhIiBHxH2"
        "AhATp5ECDqSSqwRM/KhsgIwYlwmyONhmgQmHAwPMBFkQYAgE/gtYItG7Eco7gOUcQdGIDHEAgDfVAcAAL3+AAF9KQAAuqFq1"
        "6usrV365oNW6fg7KS3Kh0CARQ3W19XmNApGoqHV9MhXoUbweAm9s5u4c5NsSwjVsOtyZfFtsQGMYgWS1BXU3HoaGZGRBMN54"
        "/IPilOU5TlOUpwoUKUpynKcpyhQoEJwQjlKcpyHIcoAJwoUKUpyjlHKfwEC4IC4GC4ICdAO4jEtc0hQq1KCGPcwnnviOIKJX"
        "L6ph448//sd8zGM2UsuUpjS7Vzj96cOPe+yxUQ/MkydP0KCgetnNMAMhwOezdOh0QIrD4QAAgPyAdddddddddSAAACEB79iE"
        "B79iEB7zlKB7zjGB7LAAACEA9+ylA9+ymA92mMB79mMB7LAAAClA9+yEAz2mKBn9mMB79mMB7LoE8AaStjD/epaYJqhF/QGh"
        "0fwAYUIFEBRAUAEBQQUQFDBQAUFEBQgUMF4B/9k=",
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA4IAAf+TwAAqAIvuQewBQjQAwAAT"
        "QAATwAATAML6Awd0ACQ0nADCNAAF+wMHdADAABVQAAV8AAFUqdIKuTH0AMKUAIlSMWxsABXr1gCFAPs2AO4iyIE/+QDClADA"
        "ABdJAABdNAABdMAMUpx+XiK2uNOZTCE3kRGQEQwBnvNpBOdyW7kSY0YLykAhmQAAaFRyAwMK7GQ+dFdfU2MfKjYIgRHpTQvD"
        "w73wAp7tEG8hQNmaAFq1rTixY+YSpVG7bvCeB+0qCSRSJ0dplG1eHvkDu6koXkIBlZoAwAAXusAAF7nAABeqAC21BBksUQke"
        "gszdGhiAAgx4yvIIAgSs5N4Eodbrt0yAghp0/w5+w2bmJQukQAAEAF3gicJF3AKuE0QhiKvEA1qUrrhmRwUIGEkVPaAH9JCm"
        "Bi+QnR7O8A6mkaMLGRCAAP4ESBRylEcQOAAnIMKMBZBgAWJ0AdBFe9X74t9MDhSP5KRSPDMam1fCQlRgdYOuQCHyd7RyNSWE"
        "wHQkQRK1gEA30slBOHYRv5eMsjVtJwQntKJqGUj5A+orhwAqIgAMCAAOAhCEAKQhgHkI4DMCmIUA3iCAAAA0IIiOOQOlHKMS"
        "DApxGMDHVAFczq6AoBz8wM3ELFomgU8g9BoAJvADjxsIy0SW7AFZ8ETYIfiFExxxgAaE5UMm8IgsLDrBIz8KHgCARz7wCACF"
        "2sIWjdEgV0ShHGHSEAxxCMA31gHAAC+hoAAX0zAAC66ZTPToESOKWcxkTNE3EPE0Yu4EnCVVM+bHE3+5wz6Qqm/mH+Qvuu7L"
        "gTIBDl3Lj2uBe3sAcCtosVOLWtkDP2TpdZb1IhXp6lEHr1/r6SGNtFrNg+FKcpynKcoUKFClKcpynKOUSOY5jhSiRynKOU5Q"
        "pJwoAJylHKOUcp/AwLggLggLgQJ0AypVSSU2Qx9nnI6GJkx4GaEQjGDwbDOLLLIY27GNLbMQGGkkbxLiFKco+umLXKRKYa1W"
        "i3Occe6ID3XrZt3hiiuuRA3qUKdKTjTXrBkAAP78gOuuuuuuuupAAACFA92mMB79lKB79kIB79mKBnLAAABCA95zGA95zGA9"
        "+ylA9+zGA9lgAABSge85jAe/ZSAZ/ZSge85Sgey6BAatD3a9Gim0k49V8P8G+P0BodH8AAFBRQUEFFBQAUFGBRAUYFABQUUF"
        "CBRQXwH/2Q==",
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA2EAAf+TwAAqAPvqY/kBQjQAwAAT"
        "QAATwAATAHn8Awd0AH6k3QDCNADS9gOHdADAABVQAAV0AAFUZ5iJXYb0AMOUAKbhfoI0b0C2ABKAfZYAOuYCxaHgAMGUAMAA"
        "F0sAAF0kAAF0YDgy/UvEV3TddeTDqoXAVO2qSxOLJu+UvJHkAJ/rwcY3jIBjOwBCpT0JGI6dkmBeR06yOfJU7ZNc/wmP2eHT"
        "7wFPFSQLyCAymgDGWTcjS+xoE0hMW5qKxEOtXGEiSt5QuWNYIQ6LQxvIMDOZAMAAF7fAABe2QAAXqIAuslXIl7BYLOlxtaYX"
        "LQlWYyeE1hn+jGPA1f6ZhPNAunIQU0DqcmYCAriKu0QU6dVoA66AmVbwkOdkKZ4k3QoQsOSHyAKQpSglQSQYEkb8QQds5P8B"
        "iDgEIIAAAyUcKHSyKK4cCgChCAhYRAFidQFo8DTrM4Dy6DR1AYEMtoisdrMWAla6AWZFwQED8pV42IuI0DoB3o4GzoKBL3Zh"
        "pBSC6jjgL29QEFaQC4kAfRHAaQTQCQGkQAAhEcBnBDAFAXBAAFEIEIcAAADWQCCvS4DKDogpggppEACnVAEcdjTQIRr4Ug5h"
        "BjSBg4wFeMUD1gQASif4QHDXBHYIlPJKXBLABEqI/oFm3CFLDAhRgkCTB5qxAIgARdrCFo3AaUdxJKVlHAHQgAxxEIA32AHA"
        "AC+h4AAX0bAAC60MYQgZMvnyPT/DELyQ4Z+v2/MgHqYtT6TVjv59CtAGJGneRv9dFKYGPKraPcFSpkxQuKDK54ScTGnhcF2N"
        "X88HWw5LmST0Kef88+WQw8Qk5ZT5g+AKU5TlOU5QoUxyTlKcpynKOUROScxwpSHKOU5TlEjlOInClKcpyHKfwGC4IC4IC4MC"
        "dQNcjotslC9f2JAgwHokUvy0bt06CRzPb7FFyO9McYrfABAnTkw+fsYZZ6iv+tQnUeqsWGGmEdKQhkucmtpKIWDAgAEA4PyA"
        "OuuuuuuuupAAACEA9+xDAz2mMB79kIBb7MYD2WAAAFKB7zkIB7znMBn9lKBbnEOcsAAAIQD37EIC3OEIHvOQgHv2IIGcuQSq"
        "nyqLC3N2oNWTJnzb/v0BodH8AADBRQUUFFBQAQFGBRQUQFAAwUEFDBQwXwH/2Q==",
    ),
    "signed": (
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABjwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA04AAf+TwAAn5GHaAwF0AMAAEsAA"
        "E8AAEwDNAgd0ALGg2gOBdAAp/QKHdADAABVQAAV8AAFQhTJqk+7wAMOUAHGAoR3vXM/1/ABFA3s2AB9n7+ABBzQAwAAXSQAA"
        "XSwAAXQgfDhFEQ/wdMLF2+/chx+Gl1pX/1iLWyOA4QCmw7Eg3jGBczsAKB5mUG0/RR6pz4SEFecX9CLszqivETQqgG+e8Bw0"
        "ULyEASm5ABCwCiAuzIdoUPQk8ocz5sZyiX2JO9FFwB0MSBeMQEG5AMAAF7ZAABe3QAAXpIDGk7Gmjw4yPwxBhFD5ygoqJ6JH"
        "BgsIQJUJJQyQ0MMcsEIoPkiPJSAw+mZm8IRrPRDq3IMBOMBB6aeMDVkIQAAeQDeAGehLL1NIwSqCIIEBk36qiy4CCPAE4Aog"
        "4QgJR5UcAXFAGBlWEMBaVQFQ7m6DIUghuIHL8MgZqUywTvOinCx3I7v/RxNNpBRh+P4VkgCL/glkVjBJC0iehBiuAUe7IKGF"
        "PQLiDTmwAxxwcAUTQGFCABABXQgwigATCMCBAAsCFwIRQUTwAABoADQ5A4McwxEQCmkhAKdTAXaKqgj447AvVYSIgR8R9gIQ"
        "E6eRAg6kkqsETPyobICMGJcJsjjYZoEJhwMDzARZEGAIBP4LWCLRuxHKO4DlHEHRiAxxAIA31QHAAC9/gABfSkAALqhaterr"
        "K1d+uaDVun4OyktyodAgEUN1tfV5jQKRqKh1fTIV6FG8HgJvbObuHOTbEsI1bDrcmXxbbEBjGIFktQV1Nx6GhmRkQTDeePyD"
        "4pTlOU5TlKcKFClKcpynKcoUKBCcEI5SnKchyHKACcKFClKco5Ryn8BAuCAuBguCAnQDuIxLXNIUKtSghj3MJ574jiCiVy+q"
        "YeOPP/7HfMxjNlLLlKY0u1c4/enDj3vssVEPzJMnT9CgoHrZzTADIcDns3TodECKw+EAAID8gHXXXXXXXXUgAAAhAe/YhAe/"
        "YhAe85Sge84xgeywAAAhAPfspQPfspgPdpjAe/ZjAeywAAApQPfshAM9pigZ/ZjAe/ZjAey6BPAGkrYw/3qWmCaoRf0BodH8"
        "AGFCBRAUQFABAUEFEBQwUAFBRAUIFDBeAf/Z",
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABjwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA4AAAf+TwAAncsm7AMI0AMAAE0AA"
        "E8AAEwDC+gMHdAAkNJwAwjQABfsDB3QAwAAVUAAFfAABVKnSCrkx9ADClACJUjFsbAAV69YAhQD7NgDuIsiBP/kAwpQAwAAX"
        "SQAAXTQAAXTADFKcfl4itrjTmUwhN5ERkBEMAZ7zaQTnclu5EmNGC8pAIZkAAGhUcgMDCuxkPnRXX1NjHyo2CIER6U0Lw8O9"
        "8AKe7RBvIUDZmgBata04sWPmEqVRu27wngftKgkkUidHaZRtXh75A7upKF5CAZWaAMAAF7rAABe5wAAXqgAttQQZLFEJHoLM"
        "3RoYgAIMeMryCAIErOTeBKHW67dMgIIadP8OfsNm5iULpEAABABd4InCRdwCrhNEIYirxANalK64ZkcFCBhJFT2gB/SQpgYv"
        "kJ0ezvAOppGjCxkQgAD+BEgUcpRHEDgAJyDCjAWQYAFidAHQRXvV++LfTA4Uj+SkUjwzGptXwkJUYHWDrkAh8ne0cjUlhMB0"
        "JEEStYBAN9LJQTh2Eb+XjLI1bScEJ7SiahlI+QPqK4cAKiIADAgADgIQhACkIYB5COAzApiFAN4ggAAANCCIjjkDpRyjEgwK"
        "cRjAx1QBXM6ugKAc/MDNxCxaJoFPIPQaACbwA48bCMtEluwBWfBE2CH4hRMccYAGhOVDJvCILCw6wSM/Ch4AgEc+8AgAhdrC"
        "Fo3RIFdEoRxh0hAMcQjAN9YBwAAvoaAAF9MwAAuumUz06BEjilnMZEzRNxDxNGLuBJwlVTPmxxN/ucM+kKpv5h/kL7ruy4Ey"
        "AQ5dy49rgXt7AHAraLFTi1rZAz9k6XWW9SIV6epRB69f6+khjbRazYPhSnKcpynKFChQpSnKcpyjlEjmOY4UokcpyjlOUKSc"
        "KACcpRyjlHKfwMC4IC4IC4ECdAMqVUklNkMfZ5yOhiZMeBmhEIxg8GwziyyyGNuxjS2zEBhpJG8S4hSnKPrpi1ykSmGtVotz"
        "nHHuiA9162bd4YorrkQN6lCnSk4016wZAAD+/IDrrrrrrrrqQAAAhQPdpjAe/ZSge/ZCAe/ZigZywAAAQgPecxgPecxgPfsp"
        "QPfsxgPZYAAAUoHvOYwHv2UgGf2UoHvOUoHsugQGrQ92vRoptJOPVfD/Bvj9AaHR/AABQUUFBBRQUAFBRgUQFGBQAUFFBQgU"
        "UF8B/9k=",
        "/0//UQApQAAAAAAoAAAAIAAAAAAAAAAAAAAAKAAAACAAAAAAAAAAAAABjwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA"
        "EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAA18AAf+TwAAnAh3LAwF0AMAAE0AA"
        "E8AAEwB5/AMHdAB+pN0AwjQA0vYDh3QAwAAVUAAFdAABVGeYiV2G9ADDlACm4X6CNG9AtgASgH2WADrmAsWh4ADBlADAABdL"
        "AABdJAABdGA4Mv1LxFd03XXkw6qFwFTtqksTiybvlLyR5ACf68HGN4yAYzsAQqU9CRiOnZJgXkdOsjnyVO2TXP8Jj9nh0+8B"
        "TxUkC8ggMpoAxlk3I0vsaBNITFuaisRDrVxhIkreULljWCEOi0MbyDAzmQDAABe3wAAXtkAAF6iALrJVyJewWCzpcbWmFy0J"
        "VmMnhNYZ/oxjwNX+mYTzQLpyEFNA6nJmAgK4irtEFOnVaAOugJlW8JDnZCmeJN0KELDkh8gCkKUoJUEkGBJG/EEHbOT/AYg4"
        "BCCAAAMlHCh0siiuHAoAoQgIWEQBYnUBaPA06zOA8ug0dQGBDLaIrHazFgJWugFmRcEBA/KVeNiLiNA6Ad6OBs6CgS92YaQU"
        "guo44C9vUBBWkAuJAH0RwGkE0AkBpEAAIRHAZwQwBQFwQABRCBCHAAAA1kAgr0uAyg6IKYIKaRAAp1QBHHY00CEa+FIOYQY0"
        "gYOMBXjFA9YEAEon+EBw1wR2CJTySlwSwARKiP6BZtwhSwwIUYJAkweasQCIAEXawhaNwGlHcSSlZRwB0IAMcRCAN9gBwAAv"
        "oeAAF9GwAAutDGEIGTL58j0/wxC8kOGfr9vzIB6mLU+k1Y7+fQrQBiRp3kb/XRSmBjyq2j3BUqZMULigyueEnExp4XBdjV/P"
        "B1sOS5kk9Cnn/PPlkMPEJOWU+YPgClOU5TlOUKFMck5SnKcpyjlETknMcKUhyjlOU5RI5TiJwpSnKchyn8BguCAuCAuDAnUD"
        "XI6LbJQvX9iQIMB6JFL8tG7dOgkcz2+xRcjvTHGK3wAQJ05MPn7GGWeor/rUJ1HqrFhhphHSkIZLnJraSiFgwIABAOD8gDrr"
        "rrrrrrqQAAAhAPfsQwM9pjAe/ZCAW+zGA9lgAABSge85CAe85zAZ/ZSgW5xDnLAAACEA9+xCAtzhCB7zkIB79iCBnLkEqp8q"
        "iwtzdqDVkyZ82/79AaHR/AAAwUUFFBRQUAEBRgUUFEBQAMFBBQwUMF8B/9k=",
    ),
}


def pixels(number: int, signed: int) -> np.ndarray:
    coarse = np.random.default_rng(number).integers(-1024, 3000, (4, 5))
    values: np.ndarray = np.kron(coarse, np.ones((8, 8), int)) + np.add(*np.indices(SIZE))
    return values.astype("<i2") if signed else (values + 1024).astype("<u2")


def sample(number: int, signed: int) -> FileDataset:
    plane = planes([GAP * each for each in range(COUNT)])[number]
    made = image(Plane(plane.position, plane.directions, SIZE), number + 1, intercept=0 if signed else -1024)
    made.PixelRepresentation, made.PixelData = signed, pixels(number, signed).tobytes()
    return made


def natively(made: FileDataset, path: Path, syntax: UID) -> None:
    if syntax == ExplicitVRBigEndian:
        made.PixelData = np.frombuffer(made.PixelData, "<u2").astype(">u2").tobytes()
    made["PixelData"].VR = "OW"
    plain = Dataset(made)  # that is not bound to the byte order it was made in
    plain.file_meta = made.file_meta
    plain.file_meta.TransferSyntaxUID = syntax
    plain.save_as(path, enforce_file_format=True)


def by_pydicom(made: FileDataset, path: Path, syntax: UID) -> None:
    made.compress(syntax, generate_instance_uid=False)
    made.save_as(path, enforce_file_format=True)


def by_gdcm(made: FileDataset, path: Path, syntax: UID) -> None:
    made.save_as(path, enforce_file_format=True)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(path))
    assert writer.Write()


def by_openjph(made: FileDataset, path: Path, syntax: UID) -> None:
    made.file_meta.TransferSyntaxUID = syntax
    sign = "signed" if made.PixelRepresentation else "unsigned"
    made.PixelData = encapsulate([b64decode(CODED[sign][made.InstanceNumber - 1])])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.save_as(path, enforce_file_format=True)


LOSSLESS: list[tuple[UID, Writer]] = [
    (ImplicitVRLittleEndian, natively),
    (ExplicitVRLittleEndian, natively),
    (ExplicitVRBigEndian, natively),
    (DeflatedExplicitVRLittleEndian, natively),
    (RLELossless, by_pydicom),
    (RLELossless, by_gdcm),
    (JPEGLossless, by_gdcm),
    (JPEGLosslessSV1, by_gdcm),
    (JPEGLSLossless, by_pydicom),
    (JPEGLSLossless, by_gdcm),
    (JPEG2000Lossless, by_pydicom),
    (JPEG2000Lossless, by_gdcm),
    (HTJ2KLossless, by_openjph),
    (HTJ2KLosslessRPCL, by_openjph),
    (HTJ2K, by_openjph),  # which may be lossless, too
]


def written(folder: Path, syntax: UID, write: Writer, signed: int) -> Path:
    folder.mkdir()
    with quiet():
        for number in range(COUNT):
            write(sample(number, signed), folder / f"{number}.dcm", syntax)
            assert dcmread(folder / f"{number}.dcm").file_meta.TransferSyntaxUID == syntax
    return folder


@pytest.mark.parametrize("signed", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize(
    ("syntax", "write"), LOSSLESS, ids=[f"{each.keyword}-{write.__name__}" for each, write in LOSSLESS]
)
def test_the_voxels_are_the_same(syntax: UID, write: Writer, signed: int, tmp_path: Path) -> None:
    folder = written(tmp_path / "in", syntax, write, signed)
    expected = np.stack([pixels(each, 1) for each in range(COUNT)])
    with quiet():
        in_memory = [dcmread(each) for each in folder.iterdir()]
    for volume in (load(folder), load(in_memory)):
        assert volume.values.dtype == np.int16
        assert np.array_equal(volume.values, expected)
        assert volume.spacing_mm == pytest.approx((GAP, 2.0, 1.5))
    build(folder, tmp_path / "index")
    (row,) = Index.open(tmp_path / "index").query("SELECT * FROM volumes").to_pylist()
    assert (row["geometry"], row["slices"]) == ("regular", COUNT)


def test_every_lossless_syntax_that_is_decoded_is_tested() -> None:
    tested = {syntax for syntax, _ in LOSSLESS}
    lossy = {
        "JPEGBaseline8Bit",
        "JPEGExtended12Bit",
        "JPEGLSNearLossless",
        "JPEG2000",
        "JPEG2000MC",
        "JPEG2000MCLossless",
    }
    decoded = {syntax for syntax, (decoder, *_) in _PIXEL_DATA_DECODERS.items() if decoder.is_available}
    assert {each for each in decoded if each.keyword not in lossy} == tested


def test_what_is_nearly_lossless_is_within_its_error(tmp_path: Path) -> None:
    def write(made: FileDataset, path: Path, syntax: UID) -> None:
        made.compress(syntax, jls_error=3, generate_instance_uid=False)
        made.save_as(path, enforce_file_format=True)

    values = load(written(tmp_path / "in", JPEGLSNearLossless, write, 0)).values
    off = abs(values - np.stack([pixels(each, 1) for each in range(COUNT)]))
    assert 0 < off.max() <= 3


@pytest.mark.parametrize(
    "syntax", [each for each in AllTransferSyntaxes if each.is_encapsulated], ids=lambda each: each.keyword
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_what_cannot_be_decoded_is_refused(syntax: UID, in_memory: bool, tmp_path: Path) -> None:
    for number in range(COUNT):
        made = sample(number, 0)
        made.file_meta.TransferSyntaxUID = syntax
        made.PixelData = encapsulate([b"Doe^John" * 9])
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        made.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    with pytest.raises(PixelError) as caught:
        load([dcmread(each) for each in tmp_path.iterdir()] if in_memory else tmp_path)
    assert caught.value.reason is PixelReason.NOT_DECODED
    assert str(caught.value) == "not_decoded"


def test_a_syntax_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", ExplicitVRLittleEndian, natively, 0)
    for path in folder.iterdir():
        bytes_ = path.read_bytes()
        path.write_bytes(bytes_.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    with pytest.raises(PixelError) as caught:
        load(folder)
    assert caught.value.reason is PixelReason.NOT_DECODED
