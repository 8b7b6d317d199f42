"""The runbook: for every alert a heading that its link opens, what it means, where to look first, and what to do.

Alerts in, Markdown and one self-contained HTML page out; both hold the same words.
"""

import re
from html import escape

from alerting.alert import Alert
from alerting.rules import alerts_by_subject
from exporter.config import Config

_TITLE = "Runbook: alerts on predictions"
_INTRO = (
    "Symptoms that are critical page. Critical causes and warnings open a ticket, the rest is for the record. While a "
    "cause fires, the alerts that follow from it are silent."
)
_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h2 { margin-top: 3rem; } h3 { margin: 2rem 0 0; } h3:target { background: #fff3c4; }
h3 a { color: inherit; text-decoration: none; } dt { font-weight: 600; } dd { margin: 0 0 .5rem; }
.severity { font: 12px system-ui, sans-serif; padding: .1rem .5rem; border-radius: 1rem; background: #e6e8eb; }
.critical { background: #c4162a; color: #fff; } .warning { background: #ffb357; }
pre { background: #f4f5f7; padding: .75rem; overflow-x: auto; font-size: 13px; }
@media (prefers-color-scheme: dark) { body { background: #181b1f; color: #d8d9da; } pre { background: #22252b; }
  h3:target { background: #4d3f00; } .severity { background: #3a3f47; } .warning { color: #000; background: #ffb357; }
  .critical { background: #c4162a; } }"""


def markdown(config: Config) -> str:
    """The runbook as Markdown."""
    parts = [f"# {_TITLE}", _INTRO]
    for subject, alerts in alerts_by_subject(config).items():
        parts.append(f"## {subject.capitalize()}")
        parts.extend(_markdown_alert(alert) for alert in alerts)
    return "\n\n".join(parts) + "\n"


def _markdown_alert(alert: Alert) -> str:
    book = alert.runbook
    return "\n\n".join(
        (
            f"### {alert.name}",
            f"Severity: {_grade(alert)}",
            f"**Means.** {book.means}",
            f"**Look first.** {book.look}",
            f"**Do.** {book.act}",
            f"```promql\n{alert.expr}\n```",
        )
    )


def html(config: Config) -> str:
    """The runbook as a page without references to anything outside it."""
    body = "\n".join(
        f"<h2>{subject.capitalize()}</h2>\n" + "\n".join(map(_html_alert, alerts))
        for subject, alerts in alerts_by_subject(config).items()
    )
    return (
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_TITLE}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>\n"
        f"<h1>{_TITLE}</h1>\n<p>{_INTRO}</p>\n{body}\n</body>\n</html>\n"
    )


def _html_alert(alert: Alert) -> str:
    book = alert.runbook
    severity = f'<span class="severity {alert.severity}">{_grade(alert)}</span>'
    return (
        f'<h3 id="{alert.name}"><a href="#{alert.name}">{alert.name}</a> {severity}</h3>\n<dl>\n'
        f"<dt>Means</dt><dd>{_inline(book.means)}</dd>\n<dt>Look first</dt><dd>{_inline(book.look)}</dd>\n"
        f"<dt>Do</dt><dd>{_inline(book.act)}</dd>\n</dl>\n<pre>{escape(alert.expr)}</pre>"
    )


def _grade(alert: Alert) -> str:
    return f"{alert.severity}, pages" if alert.pages else alert.severity


def _inline(text: str) -> str:
    """Text with `code` in backquotes, the one markup that the runbook's words use."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
