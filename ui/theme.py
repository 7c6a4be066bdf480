"""The page's look: system fonts, one accent, calm in light and dark; and the keys that stand for buttons."""

import gradio as gr
from gradio.themes.utils import colors, fonts, sizes

ACCENT = colors.teal
SANS = [
    fonts.Font(name) for name in ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")
]
MONO = [fonts.Font(name) for name in ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")]


def theme() -> gr.themes.Base:
    """Nothing is fetched for it: the fonts are the visitor's own."""
    return gr.themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=colors.slate,
        text_size=sizes.text_md,
        radius_size=sizes.radius_md,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        input_placeholder_color="*neutral_500",
        block_label_text_size="*text_sm",
        block_title_text_weight="600",
        block_shadow="none",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_large_text_size="*text_md",
        button_large_padding="*spacing_md *spacing_xl",
    )


CSS = """
.gradio-container { max-width: 1160px !important; width: 100% !important; margin: 0 auto !important; }
.gradio-container, .gradio-container main, .gradio-container .wrap, .gradio-container .tabs { min-width: 0; max-width: 100%; }
.masthead { gap: 0.25rem; }
.html-container { padding: 0 !important; }
#next-step { align-self: flex-start; width: auto; flex-grow: 0; }
#gate-rules textarea { font-family: var(--font-mono); font-size: 0.85rem; }
.offstage { display: none !important; }
.plain-table { --font-mono: var(--font); }
.evidence, .evidence * { word-break: normal !important; overflow-wrap: anywhere; }
.dark .evidence .token.highlighted { color: #f8fafc !important; }
.masthead h1 { font-size: 1.4rem; font-weight: 650; margin: 0.4rem 0 0; }
.masthead p.tagline { color: var(--body-text-color-subdued); margin: 0; }
.loop { display: flex; flex-wrap: wrap; gap: 0.4rem; list-style: none; padding: 0; margin: 0.2rem 0; counter-reset: step; }
.loop li { counter-increment: step; flex: 1 1 8.5rem; min-width: 7.5rem; padding: 0.4rem 0.6rem; margin: 0; border-radius: 8px;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary); line-height: 1.3; }
.loop li b { font-weight: 600; font-size: 0.9rem; }
.loop li b::before { content: counter(step) " "; color: var(--body-text-color-subdued); font-weight: 400; }
.loop li span { display: block; font-size: 0.8rem; color: var(--body-text-color-subdued); overflow-wrap: anywhere; min-height: 1.05rem; }
.loop li.done b::after { content: " \\2713"; color: var(--primary-600); }
.loop li.later { border-style: dashed; }
.loop li.next { border-color: var(--primary-600); box-shadow: inset 0 0 0 1px var(--primary-600); }
.next-step { margin: 0.2rem 0; font-weight: 600; }
.note { color: var(--body-text-color-subdued); margin: 0.1rem 0; overflow-wrap: anywhere; }
.empty-state .note { font-size: 1.05rem; padding: 2.5rem 1rem; text-align: center; }
.greeting { padding: 1.2rem; border: 1px solid var(--primary-600); border-radius: 10px; }
.pace { appearance: none; width: 100%; height: 0.6rem; border: 0; border-radius: 99px; overflow: hidden;
  background: var(--border-color-primary); }
.pace::-webkit-progress-bar { background: var(--border-color-primary); }
.pace::-webkit-progress-value { background: var(--primary-600); }
.pace::-moz-progress-bar { background: var(--primary-600); }
.bars h4 { margin: 0.6rem 0 0.2rem; font-size: 0.9rem; }
.bar { display: grid; grid-template-columns: minmax(4rem, 7rem) 1fr minmax(8rem, auto); gap: 0.6rem; align-items: center;
  font-size: 0.85rem; margin: 0.15rem 0; overflow-wrap: anywhere; }
.bar .track { position: relative; height: 0.9rem; border-radius: 3px; background: var(--border-color-primary); }
.bar .track i { position: absolute; inset: 0 auto 0 0; border-radius: 3px; background: var(--primary-600); }
.bar.false_refusals .track i { background: #d97706; }
.bar .track u { position: absolute; top: calc(50% - 1px); height: 2px; background: var(--body-text-color); }
.counted .bar { grid-template-columns: minmax(6rem, 15rem) 1fr minmax(3.5rem, auto); }
.counted .bar > span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.counted .bar.no .track i { background: #d97706; }
.counted .bar.facts .track { visibility: hidden; }
.bar.standing { grid-template-columns: minmax(4rem, 9rem) 1fr minmax(9rem, auto); }
.bar.standing .track b { position: absolute; top: calc(50% - 5px); width: 10px; height: 10px; margin-left: -5px; border-radius: 50%;
  background: var(--primary-600); }
.verdict { font-size: 1.1rem; font-weight: 650; margin: 0.6rem 0 0.1rem; }
.evidence-plot { margin: 0.4rem 0; max-width: 46rem; }
.evidence-plot svg { width: 100%; height: auto; font-size: 12px; }
.evidence-plot text { fill: var(--body-text-color-subdued); }
.evidence-plot .band { fill: var(--primary-500); opacity: 0.2; }
.evidence-plot .share, .evidence-plot .bets { fill: none; stroke: var(--primary-600); stroke-width: 2; }
.evidence-plot .now { fill: var(--primary-600); }
.evidence-plot .half, .evidence-plot .enough { stroke: var(--body-text-color-subdued); stroke-dasharray: 4 4; }
.evidence-plot figcaption { font-size: 0.85rem; color: var(--body-text-color-subdued); }
.plots { columns: 22rem 2; column-gap: 2rem; }
.plots .bars { break-inside: avoid; }
.document { max-height: 560px; overflow-y: auto; padding-right: 0.5rem; line-height: 1.55; overflow-wrap: anywhere; }
.document section { border-left: 3px solid var(--primary-600); padding: 0 0 0.2rem 0.8rem; margin: 0 0 1rem; }
.document section.missed { border-left-color: #d97706; }
.document section.none { border-left: 3px dashed #d97706; background: color-mix(in srgb, #d97706 9%, transparent); }
.document section.chosen h4 { text-decoration: underline; text-decoration-color: var(--primary-600); }
.document h4 { margin: 0; font-size: 0.95rem; font-weight: 650; }
.document .chip { margin: 0 0 0.3rem; font-size: 0.8rem; color: var(--body-text-color-subdued); }
.document section.none .chip, .document section.missed .chip { color: #b45309; font-weight: 600; }
.dark .document section.none .chip, .dark .document section.missed .chip { color: #fbbf24; }
.document p { margin: 0.3rem 0; }
.document p.list_item { padding-left: 1.1rem; text-indent: -0.9rem; }
.document p.list_item::before { content: "• "; }
.document p.table_row { border-bottom: 1px solid var(--border-color-primary); }
.ledger .fact { color: inherit; border-radius: 3px; padding: 0 0.1em; border-bottom: 2px solid #64748b; background: transparent; }
.ledger .fact sup { font-size: 0.75em; font-weight: 700; padding-left: 0.15em; }
.ledger .fact.learned { border-color: #009e73; background: color-mix(in srgb, #009e73 18%, transparent); }
.ledger .fact.known { border-bottom: 4px double #0072b2; background: color-mix(in srgb, #56b4e9 22%, transparent); }
.ledger .fact.recites { border-bottom-style: dashed; border-color: #009e73; background: color-mix(in srgb, #009e73 7%, transparent); }
.ledger .fact.half_learned { border-bottom-style: dashed; border-color: #b87a00; background: color-mix(in srgb, #e69f00 22%, transparent); }
.ledger .fact.not_learned { border-bottom-width: 3px; border-color: #d55e00; background: color-mix(in srgb, #d55e00 20%, transparent); }
.ledger .fact.lost { border-bottom: 3px double #aa3377; background: color-mix(in srgb, #cc79a7 28%, transparent); }
.ledger .fact.never_taught, .ledger .fact.not_asked { background: transparent; border-bottom-style: dotted; }
.ledger .legend { list-style: none; padding: 0; margin: 0.2rem 0 0.6rem; display: grid; gap: 0.15rem; }
.ledger .legend .fact { display: inline-block; min-width: 8.2rem; }
.divergence .told { line-height: 2.1; white-space: pre-wrap; overflow-wrap: anywhere; }
.kl { border-bottom: 0 solid #1d4ed8; padding-bottom: 1px; }
.kl1 { background: color-mix(in srgb, #3b82f6 10%, transparent); border-bottom-width: 1px; }
.kl2 { background: color-mix(in srgb, #3b82f6 22%, transparent); border-bottom-width: 2px; }
.kl3 { background: color-mix(in srgb, #3b82f6 38%, transparent); border-bottom-width: 3px; }
.kl4 { background: color-mix(in srgb, #3b82f6 55%, transparent); border-bottom-width: 5px; font-weight: 650; }
.document.ledger section { border-left-color: var(--border-color-primary); }
.document mark { background: color-mix(in srgb, var(--primary-500) 28%, transparent); color: inherit; border-radius: 3px; }
.turns { border-left: 3px solid var(--border-color-primary); padding: 0 0 0 0.7rem; margin: 0 0 0.5rem; font-size: 0.9rem; }
.turns p { margin: 0.2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.turns p.asked { font-weight: 600; }
.keys { display: grid; grid-template-columns: auto 1fr; gap: 0.2rem 0.8rem; margin: 0.3rem 0; max-width: 30rem; }
.keys dt { font-family: var(--font-mono); } .keys dd { margin: 0; }
#arena-extra { align-items: center; }
#arena-extra button { flex-grow: 0; width: auto; }
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after { animation-duration: 0.01ms !important; animation-iteration-count: 1 !important;
    transition-duration: 0.01ms !important; scroll-behavior: auto !important; }
}
textarea:focus-visible, input:focus-visible, button:focus-visible, [role="tab"]:focus-visible, a:focus-visible,
summary:focus-visible, td:focus-visible {
  outline: 3px solid var(--primary-500) !important; outline-offset: 1px; }
@media (max-width: 640px) {
  .gradio-container { padding: 0.5rem !important; }
  .counted .bar { grid-template-columns: 1fr 4.5rem; row-gap: 0; }
  .counted .bar > span:first-child { grid-column: 1 / -1; }
  .loop li { flex: 1 1 30%; min-width: 0; padding: 0.2rem 0.4rem; }
  .loop li b { font-size: 0.8rem; }
  .loop li span { display: none; }
}
"""

KEYS = """
() => {
  const wanted = {
    arena: {"1": "a", a: "a", "2": "b", b: "b", "3": "tie", t: "tie", "4": "both_bad", x: "both_bad", n: "next",
      u: "undo", r: "names", s: "skip", "?": "keys"},
    dataset: {j: "next", k: "previous", a: "accept", r: "reject", e: "edit", u: "undo"},
    label: {"1": "right", "2": "wrong", "3": "should_refuse", "4": "should_not_refuse", "5": "unclear",
            g: "grounded", h: "ungrounded", e: "edit", u: "undo"},
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, textarea, select, [contenteditable], [role=listbox]")) return;
    for (const [tab, keys] of Object.entries(wanted)) {
      const choice = keys[event.key.toLowerCase()];
      const button = choice && document.getElementById(`${tab}-${choice}`);
      if (button && button.offsetParent !== null && !button.disabled) {
        event.preventDefault();
        button.click();
        return;
      }
    }
  });
}
"""
"""A key presses the button of the tab in sight, never while someone is typing."""
