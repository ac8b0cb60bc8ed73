"""Messages as plain text, as HTML, and as Slack writes them. Pure."""

import re
from html import escape

from services.handoff.core.messages import Message

_STYLE = (
    "font-family:sans-serif;font-size:14px;line-height:1.5;color:#1c1c1c",
    "border-collapse:collapse",
    "text-align:left;vertical-align:top;padding:2px 12px 2px 0;border-bottom:1px solid #ddd",
)
# An underscore stays, so that addresses can be copied. Mattermost calls everybody by these names behind an @.
_CHAT_SIGNS = re.compile(r"[*~`]|@(?=(?:channel|all|here|everyone)\b)")


def plain_text(message: Message) -> str:
    """For the readers of plain mail."""
    lines = [message.intro, ""]
    lines += [f"{name}: {value}" for name, value in message.facts]
    for section in message.sections:
        lines += ["", section.title, *(f"- {line}" for line in section.lines)]
    if message.grid is not None:
        lines += ["", " | ".join(message.grid.columns), *(" | ".join(row) for row in message.grid.rows)]
    if message.closing:
        lines += ["", message.closing]
    return "\n".join(lines) + "\n"


def html(message: Message) -> str:
    """For the readers of HTML mail: no picture, no script, nothing to fetch; all values escaped."""
    body, table, cell = _STYLE
    parts = [f"<p>{escape(message.intro)}</p>"]
    if message.facts:
        rows = "".join(
            f'<tr><th style="{cell}">{escape(name)}</th><td style="{cell}">{escape(value)}</td></tr>'
            for name, value in message.facts
        )
        parts.append(f'<table style="{table}">{rows}</table>')
    for section in message.sections:
        items = "".join(f"<li>{escape(line)}</li>" for line in section.lines)
        parts.append(f"<h3>{escape(section.title)}</h3><ul>{items}</ul>")
    if message.grid is not None:
        head = "".join(f'<th style="{cell}">{escape(name)}</th>' for name in message.grid.columns)
        rows = "".join(
            "<tr>" + "".join(f'<td style="{cell}">{escape(value)}</td>' for value in row) + "</tr>"
            for row in message.grid.rows
        )
        parts.append(f'<table style="{table}"><tr>{head}</tr>{rows}</table>')
    if message.closing:
        parts.append(f"<p>{escape(message.closing)}</p>")
    return (
        f'<!doctype html><html lang="{message.language}"><head><meta charset="utf-8">'
        f'<title>{escape(message.subject)}</title></head><body style="{body}">{"".join(parts)}</body></html>\n'
    )


def slack_text(message: Message) -> str:
    """In Slack's mrkdwn: what leads wrote can neither format, link, nor call anybody."""
    lines = [f"*{_quiet(message.subject)}*", _quiet(message.intro)]
    lines += [f"*{_quiet(name)}*: {_quiet(value)}" for name, value in message.facts]
    for section in message.sections:
        lines += [f"*{_quiet(section.title)}*", *(f"• {_quiet(line)}" for line in section.lines)]
    if message.grid is not None:
        lines += ["• " + " / ".join(_quiet(value) for value in row) for row in message.grid.rows]
    if message.closing:
        lines.append(_quiet(message.closing))
    return "\n".join(lines)


def _quiet(text: str) -> str:
    """Without Slack's own signs; `<!channel>` and links begin with an angle bracket (Slack: escaping text)."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _CHAT_SIGNS.sub(lambda sign: f"{sign[0]}\u200b", escaped)
