"""Formulas as they are said in English: LaTeX, powers, chemical formulas, chess moves, and what markdown would take for its own signs."""

from __future__ import annotations

import re
import unicodedata

from serve_app.speech_numerals import NUMBER, Steps, applied, cardinal, ordinal
from serve_app.speech_tables import GREEK, RATES, UNITS

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ"
_ELEMENTS = (
    "He|Li|Be|Ne|Na|Mg|Al|Si|Cl|Ar|Ca|Sc|Ti|Cr|Mn|Fe|Co|Ni|Cu|Zn|Ga|Ge|As|Se|Br|Kr|Rb|Sr|Ag|Cd|Sn|Sb|Xe|Cs|Ba|Pt|Au|Hg|Pb|Bi|Rn|Ra|Th|"
    "H|B|C|N|O|F|P|S|K|V|I|W|U|Y"
)
_PIECES = {"K": "king", "Q": "queen", "R": "rook", "B": "bishop", "N": "knight"}
_COMMANDS = {
    "times": "×", "cdot": "×", "div": "÷", "pm": "±", "mp": "∓", "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "neq": "≠", "ne": "≠",
    "approx": "≈", "equiv": "≡", "to": "→", "rightarrow": "→", "Rightarrow": "⇒", "implies": "⇒", "iff": "⇔", "leftarrow": "←",
    "infty": "∞", "sum": "∑", "prod": "∏", "int": "∫", "partial": "∂", "nabla": "∇", "in": "∈", "notin": "∉", "subset": "⊂", "cup": "∪",
    "cap": "∩", "forall": "∀", "exists": "∃", "propto": "∝", "circ": "°", "degree": "°", "percent": "%", "%": "%", "$": "$", "ldots": "...",
    "dots": "...", "cdots": "...", "left": "", "right": "", "quad": " ", "qquad": " ", "displaystyle": "", ",": " ", ";": " ", "!": "",
    "boxed": "", "text": "", "mathrm": "", "mathbf": "", "textbf": "", "mathit": "", "operatorname": "",
}  # fmt: skip


# --- before markdown ----------------------------------------------------------------------------------------------------------------------


def _latex(found: re.Match[str]) -> str:
    body = next(group for group in found.groups() if group is not None)
    # A price is no formula: "$5 and $6".
    if found[0].startswith("$") and not found[0].startswith("$$") and not _is_formula(body):
        return found[0]
    return _plain(body)


def _is_formula(body: str) -> bool:
    return bool(re.search(r"[\\^_={}+<>]|^[a-zA-Z]$|^[a-z]\s?[-*/]", body)) and not body[0].isspace() and not body[-1].isspace()


def _plain(body: str) -> str:
    body = re.sub(r"\\sqrt\[3\]\s?\{([^{}]*)\}", r" ∛ \1", body)
    body = re.sub(r"\\sqrt\s?\{([^{}]*)\}", r" √ \1", body)
    body = re.sub(r"\\(?:d?frac|tfrac)\s?\{([^{}]*)\}\s?\{([^{}]*)\}", _over, body)
    body = re.sub(r"\^\{\\circ\}|\^\\circ", "°", body)
    body = re.sub(r"\\([a-zA-Z]+|[%$,;!])", lambda found: f" {_COMMANDS.get(found[1], found[1])} ", body)
    body = re.sub(r"([\^_])\s?\{([^{}]*)\}", lambda found: found[1] + found[2].strip().replace(" ", ""), body)
    return re.sub(r"_(?=\w)", " ", body.replace("{", " ").replace("}", " "))


def _over(found: re.Match[str]) -> str:
    return f"{found[1]}/{found[2]}" if found[1].isdigit() and found[2].isdigit() else f" {found[1]} over {found[2]} "


def _folder(found: re.Match[str]) -> str:
    path = found[2].strip().replace("\\", " backslash ")
    return f"{found[1]} colon backslash {path}"


_QUOTED_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")

BEFORE_MARKDOWN: Steps = (
    (re.compile(r"^[ \t]*[=*_]{2,}[ \t]*$", re.MULTILINE), ""),
    (re.compile(r"\$\$(.+?)\$\$|\\\((.+?)\\\)|\\\[(.+?)\\\]|(?<![\w$])\$([^$\n]+?)\$(?![\w$])", re.DOTALL), _latex),
    (re.compile(r"(\\(?:d?frac|tfrac)\s?\{[^{}]*\}\s?\{[^{}]*\}|\\sqrt\s?\{[^{}]*\}|\\(?:times|cdot|pm|leq?|geq?|neq?|approx|infty|pi|"
        r"alpha|beta|theta|to)\b)"), lambda found: _plain(found[1])),
    (re.compile(r"^[ \t]*>\s?(?=\d)", re.MULTILINE), "more than "),
    (re.compile(r"^[ \t]*>=\s?(?=\w)", re.MULTILINE), "at least "),
    (re.compile(r"^[ \t]*<=\s?(?=\w)", re.MULTILINE), "at most "),
    (re.compile(r"&lt;(/?)(\w+)\s?/?&gt;"), r" \2 "),
    (re.compile(r"\b([A-Z]):\\(?=\w)((?:[\w .-]+\\)*[\w.-]*)"), _folder),
    (re.compile(r"(?<=[\w)])\s?\*\s?(?=[\w(])(?<=\d\*)|(?<=\d)\s\*\s(?=[\w(])|(?<=[\s(][a-z])\s?\*\s?(?=[a-z\d]\b)"), " × "),
)  # fmt: skip


def before_markdown(text: str) -> str:
    """The text with signs that markdown would swallow as words or other signs. What is quoted as code stays as it is."""
    if not any(char in text for char in "<>$\\*=_&"):
        return text
    pieces, last = [], 0
    for code in _QUOTED_CODE.finditer(text):
        pieces += [applied(BEFORE_MARKDOWN, text[last : code.start()]), code[0]]
        last = code.end()
    return "".join([*pieces, applied(BEFORE_MARKDOWN, text[last:])])


# --- before numbers -----------------------------------------------------------------------------------------------------------------------


def _exponent(written: str) -> str:
    """Says what stands above: "squared", "to the sixth", "to the minus three", "to the n"."""
    written = written.strip("()")
    sign = "minus " if written[:1] in "-−" else ""
    digits = written.lstrip("-−+")
    if not sign and digits in ("2", "3"):
        return " squared" if digits == "2" else " cubed"
    if digits.isdigit():
        return f" to the {sign}{cardinal(digits) if sign or digits == '0' else ordinal(int(digits))}"
    return f" to the {sign}{' '.join(re.findall(r'[a-z]+|[0-9]+', digits))}"


def _power(found: re.Match[str]) -> str:
    return _exponent(found[1])


def _scientific(found: re.Match[str]) -> str:
    exponent = found["exponent"].lstrip("+")
    said = f"to the {ordinal(int(exponent))}" if exponent in ("2", "3") else _exponent(exponent).strip()
    unit = found["unit"]
    after = ""
    if unit:
        name, _, rate = unit.partition("/")
        after = f" {UNITS[name][1]}" + (f" per {RATES[rate]}" if rate else "")
    return f"{cardinal(found['amount'])} times ten {said}{after}"


def _superscript(found: re.Match[str]) -> str:
    return _exponent(unicodedata.normalize("NFKC", found[0]).replace("−", "-"))


def _minus_in_formula(found: re.Match[str]) -> str:
    """A dash with spaces is a minus where a sign of a formula stands beside its numbers and letters."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    term_before = re.search(r"(?:^|[\s(=+×÷-])(?:\d*[a-z]?[²³]?|squared|cubed)$|\)$", before)
    signed = re.search(r"[=^+×÷√]|\b(?:squared|cubed)\b", found.string)
    return " minus " if signed and term_before and re.match(r"\(|\d*[a-z]{0,2}(?:\b|[²³])", after) else found[0]


def _formula(found: re.Match[str]) -> str:
    if len(re.findall(r"[A-Z]", found[0])) < 2 and found[0] not in ("O2", "O3", "N2", "H2", "Cl2", "F2", "Br2", "I2"):
        return found[0]
    parts = re.findall(r"[A-Z][a-z]?|\d+", found[0])
    return " ".join(cardinal(part) if part.isdigit() else " ".join(part.upper()) for part in parts)


def _move(found: re.Match[str]) -> str:
    piece, from_, takes, square, promoted, check = found.groups()
    if not piece and not takes and not promoted and not check:
        return found[0]
    words = [_PIECES.get(piece or "", ""), " ".join(from_ or ""), "takes" if takes else "", " ".join(square)]
    words += [_PIECES[promoted[1]] if promoted else "", {"+": "check", "#": "checkmate"}.get(check or "", "")]
    return " ".join(word for word in words if word)


def _castles(found: re.Match[str]) -> str:
    return "castles queenside" if len(found[0]) > 3 else "castles kingside"


def _greek(found: re.Match[str]) -> str:
    return f" {GREEK[found[0]]} "


_UNITS_AFTER = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True) if len(unit) < 4)
_RATES_AFTER = "|".join(re.escape(rate) for rate in sorted(RATES, key=len, reverse=True) if len(rate) < 4)

FORMULAS: Steps = (
    (re.compile(r"[₀-₉]+"), lambda found: unicodedata.normalize("NFKC", found[0])),
    (re.compile(rf"(?<=\d)([{_SUPERSCRIPTS}]+)"), lambda found: "^" + unicodedata.normalize("NFKC", found[1]).replace("−", "-")),
    (
        re.compile(
            rf"(?<![\w.])(?P<amount>{NUMBER})(?:\s?[x×*·]\s?10\^\(?(?P<exponent>[-−+]?\d+)\)?)(?:\s?(?P<unit>(?:{_UNITS_AFTER})(?:/"
                rf"(?:{_RATES_AFTER}))?)(?!\w))?"
        ),
        _scientific,
    ),
    (re.compile(r"(?<![\w.])(?P<amount>\d+(?:\.\d+)?)[eE](?P<exponent>[-+−]?\d{1,3})(?P<unit>)(?![\w.]\w|\w)"), _scientific),
    (re.compile(r"(?<=[\w)])\s?\^\s?(\([^()]*\)|[-−+]?\w+)"), _power),
    (re.compile(rf"(?<![\w])(?:(?:{_ELEMENTS})\d{{0,2}}){{1,6}}(?<=\d)(?!\w)(?<!\d\d\d)|(?<!\w)(?:CO2|H2O|(?:NaCl|KCl|HCl|NaOH|KOH|"
        r"NaHCO3|CaCO3)(?!\w))"), _formula),
    (re.compile(r"(?<![\w-])([KQRBN])?([a-h]?[1-8]?)(x?)([a-h][1-8])(=[QRBN])?([+#])?(?![\w])"), _move),
    (re.compile(r"(?<![\w-])O-O(?:-O)?(?![\w-])"), _castles),
    (re.compile(rf"(?<![^\W\d_])[{''.join(GREEK)}](?![^\W\d_]{{2}}|[^\W\d_a-z])(?<!\dΩ)(?<!\d Ω)(?<!kΩ)(?<!\dμ)"), _greek),
    (re.compile(r"(?<=[\w)²³])\s-\s(?=[\w(])|(?<=[a-z)²³])-(?=[\da-z(])|(?<=\d)-(?=[a-z(])"), _minus_in_formula),
    (re.compile(r"(?:^|(?<=[=(+×÷] )|(?<=[=(+×÷]))-\s?(?=[a-z]\b)"), "minus "),
    (re.compile(r"(?<![\w!])!(?=[a-z_])"), "not "),
    (re.compile(r"\b([a-z])\s-\s(?=[a-z\d]\b)|(?<=[\d)])\s-\s(?=[a-z]\b(?!\s[a-z]{2}))"), lambda found: f"{found[1] or ''} minus "),
    (re.compile(r"(?<=\d)!(?=\s[=+*/×-]|\s(?:equals|is)\b)"), " factorial"),
    (re.compile(r"\b([a-z])\(([a-z])\)"), r"\1 of \2"),
)  # fmt: skip
"""While the numbers are still digits."""

LEFT_OVER: Steps = ((re.compile(rf"(?<=\w)[{_SUPERSCRIPTS}]+"), _superscript),)
"""After measures took theirs: "m²"."""
