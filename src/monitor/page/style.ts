/** The page's whole style: system fonts, light and dark as the reader has it, one column on a phone. Contrast is at least 4.5 to 1. */
export const STYLE = `
:root{color-scheme:light dark;--ground:#fff;--ink:#1c1e21;--dim:#5c6370;--rule:#d8dbe0;--ok:#146c2e;--warning:#8a5300;--critical:#b3261e;--line:#1f5fbf}
@media (prefers-color-scheme:dark){:root{--ground:#15171a;--ink:#e6e8eb;--dim:#9aa2ad;--rule:#343a42;--ok:#5fce80;--warning:#f0b95b;--critical:#ff8a80;--line:#7fb2ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:0 1rem 2rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
header{margin:1rem 0;padding:.25rem 1rem;border-left:.5rem solid currentColor}
header.ok{border-color:var(--ok)}header.warning{border-color:var(--warning)}header.critical{border-color:var(--critical)}
h1{margin:0;font-size:2rem;line-height:1.2}h2{margin:2rem 0 .5rem;font-size:1.2rem}header p{margin:.25rem 0}
.ok{color:var(--ok)}.warning,.unknown{color:var(--warning)}.critical{color:var(--critical)}.dim,.skipped{color:var(--dim)}
header.ok p,header.warning p,header.critical p{color:var(--ink)}
a{color:var(--line)}:focus-visible{outline:3px solid var(--line);outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{position:static}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}th,td{padding:.35rem .75rem .35rem 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top;font-weight:normal}
thead th{color:var(--dim);font-size:.875rem}tbody th{white-space:nowrap}.sign{white-space:nowrap;font-weight:600}
figure{margin:1rem 0}figcaption{font-weight:600}figcaption .dim{font-weight:normal}
svg{display:block;width:100%;height:auto;overflow:visible}svg text{fill:var(--dim);font-size:11px}svg text.ok{fill:var(--ok);font-size:14px}svg text.critical{fill:var(--critical);font-size:14px}
.grid{stroke:var(--rule);stroke-width:1}.line{fill:none;stroke:var(--line);stroke-width:1.5}.now{fill:var(--line)}.bad{stroke:var(--critical);stroke-width:2}
ol,ul{padding-left:1.25rem}li{margin:.25rem 0;overflow-wrap:anywhere}time{color:var(--dim);font-variant-numeric:tabular-nums}
details{border-bottom:1px solid var(--rule);padding:.5rem 0}summary{cursor:pointer}code{overflow-wrap:anywhere}footer{margin-top:2rem}
@media (max-width:40rem){thead{display:none}tr{display:block;padding:.5rem 0;border-bottom:1px solid var(--rule)}th,td{display:inline-block;padding:0 .5rem 0 0;border:0;overflow-wrap:anywhere}tbody td:last-child{display:block}svg text{font-size:18px}}
`;
