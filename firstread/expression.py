"""Expressions of a routing rule: comparisons of typed facts, and nothing that could run anything."""

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import eq, ge, gt, le, lt, ne
from typing import Any

_LONGEST = 500
_ALLOWED = (
    ast.Expression,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.In,
    ast.NotIn,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Tuple,
)
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: eq,
    ast.NotEq: ne,
    ast.Lt: lt,
    ast.LtE: le,
    ast.Gt: gt,
    ast.GtE: ge,
    ast.In: lambda one, many: one in many,
    ast.NotIn: lambda one, many: one not in many,
}


class ExpressionError(ValueError):
    """An expression that is not one of comparisons of facts."""


@lru_cache(maxsize=256)
def parse(text: str, names: frozenset[str]) -> ast.expr:
    """Parse an expression and check every part of it.

    Parameters
    ----------
    text
        Such as ``modality == 'MR' and 'T1' in series_description``.
    names
        The facts it may name.

    Raises
    ------
    ExpressionError
        If it is more than comparisons, ``and``, ``or``, ``not``, ``in``, numbers, texts and known names.
    """
    if len(text) > _LONGEST:
        raise ExpressionError(f"expression is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ExpressionError("expression cannot be parsed") from None
    for node in ast.walk(tree):
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(f"{type(node).__name__} is not allowed in an expression")
        if isinstance(node, ast.Name) and node.id not in names:
            raise ExpressionError(f"no fact {node.id!r}; there are: {', '.join(sorted(names))}")
    return tree.body


def holds(text: str, facts: Mapping[str, object]) -> bool:
    """Tell whether an expression holds; a comparison with an unknown fact (None) does not.

    Examples
    --------
    >>> holds("frames == 1 and 'T1' in series_description", {"frames": 1, "series_description": "AX T1"})
    True
    """
    return bool(_value(parse(text, frozenset(facts)), facts))


def _value(node: ast.expr, facts: Mapping[str, object]) -> object:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(each, facts) for each in values)
        case ast.BoolOp(values=values):
            return any(_value(each, facts) for each in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, facts)
        case ast.UnaryOp(operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.Compare():
            return _compared(node, facts)
        case ast.Name(id=name):
            return facts[name]
        case ast.Constant(value=value):
            return value
        case ast.Tuple(elts=parts):
            return tuple(_value(each, facts) for each in parts)
    raise ExpressionError(f"{type(node).__name__} is not allowed here")


def _compared(node: ast.Compare, facts: Mapping[str, object]) -> bool:
    left = _value(node.left, facts)
    for operator, right_node in zip(node.ops, node.comparators, strict=True):
        right = _value(right_node, facts)
        if left is None or right is None:
            return False
        try:
            if not _COMPARE[type(operator)](left, right):
                return False
        except TypeError:  # a text is not below a number
            return False
        left = right
    return True
