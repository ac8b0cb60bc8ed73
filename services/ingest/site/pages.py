"""The few answers that people see in a browser."""

from shared.web.problems import prefers_japanese

_PAGE = '<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title><p>{title}</p></html>'


def thanks(accept_language: str) -> bytes:
    """A page that says that the form has arrived, for a form without a page of its own for that."""
    japanese = prefers_japanese(accept_language)
    title = "送信しました。ありがとうございます。" if japanese else "Sent. Thank you."
    return _PAGE.format(lang="ja" if japanese else "en", title=title).encode()
