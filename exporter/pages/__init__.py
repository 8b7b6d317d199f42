"""Pages and reports for people: the last snapshot's scopes in, documents of a few kinds of block out.

`seen` holds what was computed, `verdicts`, `history` and `shapes` read it, the views (`landing`, `model`, `feature`,
`quality`, `status`) make documents of it, and `html` and `markdown` write these down; `charts` draws.
"""
