/** @file The style sheet of reports: light or dark as the reader prefers, and light on paper. */
import { darkCss, font, meaning, tones } from './theme.js';

type Mode = 'light' | 'dark';

const variables = (mode: Mode) =>
  `--ink:${tones.ink[mode]};--muted:${tones.muted[mode]};--line:${tones.grid[mode]};--strong-line:${tones.faint[mode]};--paper:${tones.paper[mode]};--link:${tones.blue[mode]}`;

export const reportCss = `
:root{color-scheme:light dark;${variables('light')}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:60rem;background:var(--paper);color:var(--ink);font:400 1rem/1.6 ${font.stack}}
.skip{position:absolute;left:-100rem}
.skip:focus{position:static}
a{color:var(--link);text-underline-offset:.2em}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
h1{margin:.1rem 0 1rem;font-size:2rem;line-height:1.2;font-weight:600;letter-spacing:-.02em}
h2{margin:0 0 .75rem;font-size:1.25rem;line-height:1.3;font-weight:600;letter-spacing:-.01em}
p{margin:0 0 .75rem;max-width:44rem}
.kind{margin:0;color:var(--muted);font-size:.875rem}
.key{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.75rem 0}
.key>div{border:1px solid var(--line);border-top:3px solid ${meaning.probability};border-radius:.25rem;padding:.75rem 1rem .8rem}
.key dt{color:var(--muted);font-size:.875rem}
.key dd{margin:.15rem 0 0;font-size:1.75rem;line-height:1.25;font-weight:600;letter-spacing:-.02em}
.key dd.compared{font-size:.8125rem;font-weight:400;letter-spacing:0;color:var(--muted)}
.unit{color:var(--muted);font-weight:400;letter-spacing:0}
.key .unit{font-size:1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;margin:0;padding:.75rem 0;list-style:none;border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.9375rem}
section{margin-top:3rem;scroll-margin-top:1rem}
.figure{margin:0}
.scroll{overflow-x:auto}
.figure svg{display:block;width:100%;min-width:40rem;height:auto}
figcaption{margin-top:.5rem;color:var(--muted);font-size:.9375rem}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
th,td{padding:.45rem 1rem .45rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:baseline}
thead th{color:var(--muted);font-weight:600;font-size:.8125rem;border-bottom-color:var(--strong-line)}
tbody th{font-weight:600}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.number+td:not(.number),th.number+th:not(.number){padding-left:1rem}
.data{font-size:.875rem}
.data th{width:1%;white-space:nowrap;font-weight:400;color:var(--muted)}
.data td{overflow-wrap:anywhere}
summary{cursor:pointer;margin-bottom:.5rem}
summary h2{display:inline;margin:0}
summary span{margin-left:.5rem;color:var(--muted);font-size:.9375rem}
@media screen and (prefers-color-scheme:dark){
:root{${variables('dark')}}
.key>div{border-top-color:${tones.blue.dark}}
${darkCss('.figure')}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{
:root{color-scheme:light}
body{max-width:none;padding:0;font-size:10pt}
nav,.skip{display:none}
section,.key>div,tr{break-inside:avoid}
#configuration,#provenance{break-inside:auto}
section{margin-top:1.5rem}
h2{break-after:avoid}
.figure svg{width:auto;min-width:0;max-width:100%;max-height:14cm}
details::details-content{content-visibility:visible;block-size:auto}
}
`.trim();
