import pytest

from portal.redirects import HOME, safe_next


@pytest.mark.parametrize("target", ["/", "/studies/2.25.1", "/alerts/ab12", "/studies/2.25.1?x=1#alerts"])
def test_own_paths_are_kept(target: str) -> None:
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "///elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "/\t/elsewhere.example",
        "/\n/elsewhere.example",
        "/studies\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        " /studies",
        "/a b",
        "studies/2.25.1",
        "/sign-in?next=/sign-in",
        "//[",
        "/é",
        "/" + "a" * 600,
    ],
)
def test_everything_else_leads_home(target: str) -> None:
    assert safe_next(target) == HOME
