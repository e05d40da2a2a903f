"""``--cfg-options``: parse settings, and merge them into a config."""

from __future__ import annotations

import argparse
import ast
import re
from typing import Any

from mmengine.config import Config, DictAction

from ..errors import UserError, reason_of

HAS_DICT = re.compile(r'(^|[\[({=,:])\s*[\'"]?(\{|dict\()')


class Options(DictAction):
    """``KEY=VALUE ...`` of every OpenMMLab tool, where a value can also have dicts in it."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Parse the options into a dict."""
        for value in values:
            if '=' not in value:
                raise argparse.ArgumentError(self, f'{value!r} has no "="; write KEY=VALUE')
            try:
                super().__call__(parser, namespace, [value], option_string)
            except (AssertionError, RecursionError, SyntaxError, TypeError, ValueError) as error:
                raise argparse.ArgumentError(
                    self,
                    f'{value!r} cannot be read; write a number, a word, [A,B], (A,B) or '
                    '"dict(type=\'A\',b=1)", in quotes of the shell',
                ) from error

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        # mmengine's splits a dict at its commas.
        return parse_dicts(val) if HAS_DICT.search(val) else DictAction._parse_iterable(val)


def parse_dicts(text: str) -> Any:
    """Parse a Python literal that may have ``dict(...)`` and words without quotes in it.

    Raises:
        SyntaxError: If it is not Python.
        ValueError: If it is not a literal.
    """
    tree = _Literals().visit(ast.parse(text.strip('\'"'), mode='eval'))
    return ast.literal_eval(tree)


class _Literals(ast.NodeTransformer):
    """Turns ``dict(a=1)`` into ``{'a': 1}``, and a word into what mmengine reads it as."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        simple = isinstance(node.func, ast.Name) and node.func.id == 'dict' and not node.args
        if not simple or any(keyword.arg is None for keyword in node.keywords):
            return node
        keys: list[ast.expr | None] = [ast.Constant(keyword.arg) for keyword in node.keywords]
        return ast.Dict(keys, [self.visit(keyword.value) for keyword in node.keywords])

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(DictAction._parse_int_float_bool(node.id))


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``, as in every OpenMMLab tool."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        help='override settings of the config, e.g. train_dataloader.batch_size=8 '
        'model.test_cfg.branch=1 or key="[(a,b),(c,d)]" (quoted, no white space)',
    )


def merge_options(cfg: Config, options: dict | None) -> None:
    """Merge the options of ``--cfg-options`` into a config, in place.

    Raises:
        UserError: If the config has no place for an option.
    """
    for key, value in (options or {}).items():
        try:
            cfg.merge_from_dict({key: value})
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UserError(
                f'--cfg-options {key}={value} cannot be merged into the config '
                f'({reason_of(error)}).'
            ) from error
