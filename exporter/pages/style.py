"""The style sheet of every page: light and dark, phone and desk, screen and paper.

Text has a contrast of at least 4.5 on its ground in both themes (WCAG 2.1 AA); levels differ in shape as well as in
colour, and blue and orange stay apart for the colour-blind (Okabe and Ito 2008).
"""

STYLE = """\
:root { color-scheme: light dark; --ground: #ffffff; --text: #1c1f24; --quiet: #565d66; --rule: #d5d9de;
  --link: #0b57a4; --current: #56a0d9; --reference: #1c1f24; --band: #56a0d944; --line: #0b6bb5; --mark: #a85400;
  --critical: #b3121d; --warning: #a85400; --info: #0b57a4; --ok: #1a6e3a; --chip: #eef1f4; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --text: #e6e9ec; --quiet: #a5adb7; --rule: #363c44;
  --link: #7cb8f2; --current: #2f74ad; --reference: #f1f3f5; --band: #4b9ad944; --line: #6db3ec; --mark: #f0a04b;
  --critical: #ff8a80; --warning: #f0a04b; --info: #7cb8f2; --ok: #6fcf97; --chip: #23282f; } }
* { box-sizing: border-box; }
body { font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; margin: 0 auto; max-width: 64rem;
  padding: 1rem 1rem 3rem; background: var(--ground); color: var(--text); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .4rem 0 .8rem; }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; padding-bottom: .2rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
p { margin: .6rem 0; max-width: 46rem; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem .5rem; margin: 0; padding: 0; }
.crumbs { font-size: .9rem; gap: .3rem 1rem; }
.choice { display: flex; flex-wrap: wrap; gap: .5rem; align-items: baseline; margin: .4rem 0; }
.choice span { color: var(--quiet); min-width: 4rem; }
.choice a { display: inline-block; padding: .2rem .7rem; border-radius: 1rem; background: var(--chip);
  text-decoration: none; }
a[aria-current] { font-weight: 600; color: var(--text); text-decoration: none; }
.choice a[aria-current] { background: var(--text); color: var(--ground); }
.items { list-style: none; padding: 0; margin: .5rem 0; } .items li { margin: .3rem 0; }
.wide { overflow-x: auto; margin: 0 0 1.2rem; }
.caption { color: var(--quiet); font-size: .92rem; margin: .8rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--rule); vertical-align: top;
  overflow-wrap: normal; }
tbody th { font-weight: 400; overflow-wrap: anywhere; min-width: 7rem; }
thead th { font-weight: 600; white-space: nowrap; }
.number { text-align: right; white-space: nowrap; }
td:has(.meter) { padding-left: 1.5rem; } tr > :last-child { padding-right: .2rem; }
.meter { float: left; width: 60px; height: 10px; margin: .4rem .6rem 0 0; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 1.5rem;
  margin: .8rem 0; }
figure { margin: 0; max-width: 34rem; } figcaption { display: flex; flex-wrap: wrap; gap: 0 1rem;
  justify-content: space-between; font-size: .92rem; }
.legend { color: var(--quiet); font-size: .85rem; }
.key { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 .5rem; vertical-align: -.08rem; }
.key.current { background: var(--current); } .key.reference { border: 2px solid var(--reference); }
figure svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--text); }
.over { paint-order: stroke; stroke: var(--ground); stroke-width: 3px; }
rect.current { fill: var(--current); } path.reference { fill: none; stroke: var(--reference); stroke-width: 1.6; }
.grid { stroke: var(--rule); } .axis { stroke: var(--quiet); }
.mark { stroke: var(--mark); stroke-dasharray: 5 3; } .band { fill: var(--band); }
.line { fill: none; stroke: var(--line); stroke-width: 2; stroke-linejoin: round; } .dot { fill: var(--line); }
.whisker { stroke: var(--band); stroke-width: 6; }
.sign { font-weight: 600; } .critical { color: var(--critical); } .warning { color: var(--warning); }
.info { color: var(--info); } .ok { color: var(--ok); } .none { color: var(--quiet); }
pre { background: var(--chip); padding: .7rem; overflow-x: auto; font-size: .85rem; border-radius: .3rem; }
footer { margin-top: 3rem; color: var(--quiet); font-size: .85rem; }
@media (max-width: 30rem) { table { font-size: .85rem; } th, td { padding-right: .6rem; }
  tbody th { min-width: 6rem; } .meter { display: none; } }
@media print { body { max-width: none; font-size: 10pt; } nav { display: none; } figure, tr { break-inside: avoid; }
  .wide { overflow: visible; } h2, h3 { break-after: avoid; } }
"""
