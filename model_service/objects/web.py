"""The human-readable report as one HTML file: no script, nothing from elsewhere, every text escaped."""

import base64
from collections.abc import Iterable
from html import escape

from firstread.objects.written import Written
from firstread.result import ObjectKind
from model_service.objects.page import NOTICE, Figure, Page

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#111;background:#fff;max-width:60rem;margin:auto;padding:1rem}"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}.notice{border:2px solid #8a4b00;padding:.75rem 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{border:1px solid #767676;padding:.4rem .6rem;text-align:left;"
    "vertical-align:top;overflow-wrap:break-word}.facts td{overflow-wrap:anywhere}thead th{background:#eee}"
    "figure{margin:1rem 0}img{min-width:16rem;max-width:100%;height:auto}"
)
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def web(page: Page) -> Written:
    """Write a report as HTML."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(page.title)}: AI result, research use only</title><style>{_STYLE}</style></head>",
        f'<body><main><h1>AI result: {escape(page.title)}</h1><p class="notice"><strong>{escape(NOTICE)}</strong></p>',
        "<h2>Findings</h2>",
        _table(page.headings, page.rows),
        *_section("Remarks", [f"<p>{escape(remark)}</p>" for remark in page.remarks]),
        *_section("Images", [_figure(figure) for figure in page.figures]),
        f"<h2>Intended use</h2><p>{escape(page.intended_use)}</p>",
        "<h2>What was computed</h2>",
        _facts(page.facts),
        "</main></body></html>\n",
    ]
    return Written(ObjectKind.HTML_REPORT, "\n".join(parts).encode(), "text/html")


def _section(title: str, parts: list[str]) -> list[str]:
    return [f"<h2>{title}</h2>", *parts] if parts else []


def _table(headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in facts
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _figure(figure: Figure) -> str:
    data, caption = base64.b64encode(figure.png).decode(), escape(figure.caption)
    picture = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"
