"""The page: a view in, HTML out. No scripts, nothing from elsewhere, every text escaped."""

import base64
import hashlib
import time
from html import escape

from alerting.responder.state import Decision, Incident
from alerting.responder.views import Deed, Investigation, View

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
header { display: flex; flex-wrap: wrap; gap: 1rem; align-items: baseline; justify-content: space-between; }
article { border: 1px solid #8886; border-left: .4rem solid #d9822b; border-radius: .4rem; padding: 0 1rem 1rem;
  margin: 1rem 0; }
article.critical { border-left-color: #c4162a; } article.ended { border-left-color: #8886; }
article:target { outline: 3px solid #1f60c4; }
h3 { margin: 1rem 0 0; } .meta { margin: 0; opacity: .85; } ul { padding-left: 1.2rem; }
form, details { display: inline-block; margin: .6rem .4rem 0 0; vertical-align: top; }
details form { margin: .3rem 0 0; }
button, summary, input { font: inherit; } button, summary { padding: .35rem .8rem; border: 1px solid #8889;
  border-radius: .3rem; cursor: pointer; } summary { list-style: none; }
button:focus-visible, summary:focus-visible, a:focus-visible, input:focus-visible { outline: 3px solid #1f60c4;
  outline-offset: 2px; }
input { padding: .35rem; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top;
  overflow-wrap: anywhere; }
td:first-child { white-space: nowrap; }
.notice { border: 1px solid #8889; border-radius: .4rem; padding: .5rem 1rem; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every page: nothing runs, loads or frames."""

KINDS = {
    "notify": "notification",
    "open_ticket": "ticket",
    "close_ticket": "closing of the ticket",
    "retrain": "retraining",
    "rollback": "rollback",
}
OFFERS = {"retrain": ("Retrain…", "Start a retraining of"), "rollback": ("Roll back…", "Roll back")}


def login_page(problem: str = "") -> str:
    """The page that asks for the token."""
    told = f'<p class="notice" role="alert">{escape(problem)}</p>' if problem else ""
    return _page(
        "Sign in",
        f'<h1>Alert responder</h1>{told}<form method="post" action="login">'
        '<p><label for="token">Token</label><br>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus></p>'
        '<p><button type="submit">Sign in</button></p></form>',
    )


def page(seen: View, csrf: str) -> str:
    """Investigations and decisions, with what a person may do about them."""
    running = [one for one in seen.investigations if one.open]
    ended = [one for one in seen.investigations if not one.open]
    dry = '<p class="notice">Dry run: every decision is recorded, and no target is called.</p>' if seen.dry_run else ""
    return _page(
        f"{len(running)} open investigations",
        f"<header><h1>Alert responder</h1>{_button('logout', csrf, 'Sign out')}</header><main>{dry}"
        f"<h2>Open investigations ({len(running)})</h2>{_list(running, csrf, 'Nothing is open.')}"
        f"<h2>Ended, not reviewed ({len(ended)})</h2>{_list(ended, csrf, 'Every alert that ended was reviewed.')}"
        f"<h2>Newest decisions</h2>{_decisions(seen.decisions)}</main>",
    )


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)} - alert responder</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _list(investigations: list[Investigation], csrf: str, empty: str) -> str:
    return "\n".join(_article(one, csrf) for one in investigations) or f"<p>{empty}</p>"


def _article(one: Investigation, csrf: str) -> str:
    first = one.first
    about = " ".join(part for part in (first.model, first.version) if part)
    kind = "ended" if not one.open else "critical" if first.labels.get("severity") == "critical" else ""
    taken = "acknowledged" if one.acknowledged else "not acknowledged"
    links = " ".join(f'<a href="{escape(url)}">{escape(name)}</a>' for name, url in one.links.items())
    return (
        f'<article id="{escape(one.key)}" class="{kind}" aria-labelledby="{escape(one.key)}-title">'
        f'<h3 id="{escape(one.key)}-title">{escape(first.name)} {escape(about)}</h3>'
        f'<p class="meta">{_since(first)}, {taken}{_verdict(first)}. {links}</p>'
        f"<ul>{''.join(map(_alert, one.incidents))}</ul>{_deeds(one.deeds)}{_forms(one, csrf)}</article>"
    )


def _since(incident: Incident) -> str:
    ended = f", ended {_time(incident.resolved)}" if incident.resolved is not None else ""
    return f"Firing since {_time(incident.starts_at)}{ended} (UTC)"


def _verdict(incident: Incident) -> str:
    return {"true": ", judged real", "false": ", judged false", None: ""}[incident.verdict]


def _alert(incident: Incident) -> str:
    text = incident.annotations.get("description") or incident.annotations.get("summary") or incident.name
    return f"<li>{escape(text)}{' (ended)' if incident.resolved is not None else ''}</li>"


def _deeds(deeds: tuple[Deed, ...]) -> str:
    if not deeds:
        return ""
    rows = (
        f"<tr><td>{KINDS[deed.kind]}</td><td>{escape(deed.standing.replace('_', ' '))}</td>"
        f"<td>{escape('; '.join(part for part in (deed.reason, deed.result) if part))}</td></tr>"
        for deed in deeds
    )
    return _table(("Action", "Standing", "Why"), "".join(rows))


def _forms(one: Investigation, csrf: str) -> str:
    to = f"investigations/{one.key}"
    found = "" if one.acknowledged else _button(to, csrf, "Acknowledge", "acknowledge")
    if not one.reviewed:
        found += _button(to, csrf, "A real alarm", "true") + _button(to, csrf, "A false alarm", "false")
    for kind in one.offers:  # twice asked, as one slip would start a job
        ask, sure = OFFERS[kind]
        button = _button(to, csrf, f"{sure} {one.first.model}", kind)
        found += f"<details><summary>{ask}</summary>{button}</details>"
    return f'<div role="group" aria-label="What to do">{found}</div>' if found else ""


def _button(action: str, csrf: str, text: str, do: str = "") -> str:
    return (
        f'<form method="post" action="{escape(action)}"><input type="hidden" name="csrf" value="{escape(csrf)}">'
        f'<button name="do" value="{do}">{escape(text)}</button></form>'
    )


def _decisions(decisions: tuple[tuple[float, Decision], ...]) -> str:
    if not decisions:
        return "<p>None yet.</p>"
    rows = (
        f"<tr><td>{_time(at)}</td><td>{escape(one.subject)}</td><td>{escape(one.decided)}</td>"
        f"<td>{escape(one.reason)}</td></tr>"
        for at, one in decisions
    )
    return _table(("Time (UTC)", "About", "Decided", "Why"), "".join(rows))


def _table(heads: tuple[str, ...], rows: str) -> str:
    head = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
