"""Hook of MkDocs: docstrings have Sphinx roles, which Markdown does not know."""

import re

ROLE = re.compile(r':(?:attr|class|data|func|meth|mod|py:\w+):<code>(~?)([\w.]+)</code>')


def on_page_content(html: str, **_) -> str:
    """Turn :class:`~a.b.C` of a docstring into C, and :class:`a.b.C` into a.b.C."""
    return ROLE.sub(
        lambda role: f'<code>{role[2].split(".")[-1] if role[1] else role[2]}</code>', html
    )
