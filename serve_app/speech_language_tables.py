"""Words for numbers' company in Spanish, French, German, Italian, Portuguese and Hindi: tables for speech_languages.py."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Language:
    months: tuple[str, ...]
    date: str
    """Of `day`, `month` and `year`."""
    first: str
    """The first of a month."""
    point: str
    minus: str
    until: str
    """Between the ends of a range."""
    percent: str
    degrees: tuple[str, str, str]
    """Degrees Celsius, degrees Fahrenheit, degrees."""
    time: str
    """Of `hour` and `minute`."""
    full_hour: str
    currencies: dict[str, tuple[str, str, str]]
    """One, many, and the hundredth part."""
    money: str
    """Of `whole`, `name`, `cents` and `part`."""
    units: dict[str, tuple[str, str]]
    signs: dict[str, str]
    abbreviations: dict[str, str]
    magnitudes: str
    """Words between an amount and its currency, as alternatives of a pattern."""
    of: str = " "
    """Between such a word and the currency."""
    short_one: dict[str, str] = field(default_factory=dict)
    """The end of a number before a noun: "veintiún libros"."""
    feminine: dict[str, str] = field(default_factory=dict)
    """The end of a number of hours."""


ES = Language(
    months=("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
    date="{day} de {month} de {year}",
    first="primero",
    point="coma",
    minus="menos",
    until="a",
    percent="por ciento",
    degrees=("grados Celsius", "grados Fahrenheit", "grados"),
    time="{hour} y {minute}",
    full_hour="{hour} en punto",
    currencies={
        "€": ("euro", "euros", "céntimos"), "$": ("dólar", "dólares", "centavos"), "£": ("libra", "libras", "peniques"),
        "¥": ("yen", "yenes", ""), "₹": ("rupia", "rupias", ""), "US$": ("dólar", "dólares", "centavos"),
        "MXN": ("peso", "pesos", "centavos"),
        "CHF": ("franco suizo", "francos suizos", ""),
    },
    money="{whole} {name} con {cents} {part}",
    units={
        "km/h": ("kilómetro por hora", "kilómetros por hora"), "m/s": ("metro por segundo", "metros por segundo"),
        "km²": ("kilómetro cuadrado", "kilómetros cuadrados"), "m²": ("metro cuadrado", "metros cuadrados"),
        "km": ("kilómetro", "kilómetros"), "m": ("metro", "metros"), "cm": ("centímetro", "centímetros"),
        "mm": ("milímetro", "milímetros"),
        "kg": ("kilo", "kilos"), "g": ("gramo", "gramos"), "mg": ("miligramo", "miligramos"), "l": ("litro", "litros"),
        "L": ("litro", "litros"),
        "ml": ("mililitro", "mililitros"), "h": ("hora", "horas"), "min": ("minuto", "minutos"), "s": ("segundo", "segundos"),
        "kWh": ("kilovatio hora", "kilovatios hora"), "kW": ("kilovatio", "kilovatios"), "W": ("vatio", "vatios"),
        "V": ("voltio", "voltios"),
        "GB": ("gigabyte", "gigabytes"), "MB": ("megabyte", "megabytes"), "TB": ("terabyte", "terabytes"), "Hz": ("hercio", "hercios"),
        "ha": ("hectárea", "hectáreas"),
    },
    signs={"&": "y", "+": "más", "=": "igual a", "@": "arroba", "×": "por", "÷": "entre", "<": "menor que", ">": "mayor que",
        "€": "euros", "$": "dólares", "£": "libras"},
    abbreviations={
        "Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Dr.": "doctor", "Dra.": "doctora", "Prof.": "profesor", "Ud.": "usted",
        "Uds.": "ustedes", "etc.": "etcétera", "EE. UU.": "Estados Unidos", "EE.UU.": "Estados Unidos", "pág.": "página",
        "núm.": "número",
        "p. ej.": "por ejemplo", "aprox.": "aproximadamente", "n.º": "número", "nº": "número", "Av.": "avenida",
        "a. C.": "antes de Cristo",
        "d. C.": "después de Cristo", "máx.": "máximo", "mín.": "mínimo", "tel.": "teléfono", "Tel.": "teléfono",
    },
    magnitudes="mil|millones|millón|mil millones|billones",
    of=" de ",
    short_one={"veintiuno": "veintiún", "uno": "un"},
    feminine={"veintiuno": "veintiuna", "uno": "una"},
)  # fmt: skip

FR = Language(
    months=("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    date="{day} {month} {year}",
    first="premier",
    point="virgule",
    minus="moins",
    until="à",
    percent="pour cent",
    degrees=("degrés Celsius", "degrés Fahrenheit", "degrés"),
    time="{hour} {hours} {minute}",
    full_hour="{hour} {hours}",
    currencies={
        "€": ("euro", "euros", "centimes"), "$": ("dollar", "dollars", "cents"), "£": ("livre", "livres", "pence"),
        "¥": ("yen", "yens", ""),
        "₹": ("roupie", "roupies", ""), "US$": ("dollar", "dollars", "cents"), "CHF": ("franc suisse", "francs suisses", "centimes"),
    },
    money="{whole} {name} {cents}",
    units={
        "km/h": ("kilomètre heure", "kilomètres heure"), "m/s": ("mètre par seconde", "mètres par seconde"),
        "km²": ("kilomètre carré", "kilomètres carrés"), "m²": ("mètre carré", "mètres carrés"), "m³": ("mètre cube", "mètres cubes"),
        "km": ("kilomètre", "kilomètres"), "m": ("mètre", "mètres"), "cm": ("centimètre", "centimètres"),
        "mm": ("millimètre", "millimètres"),
        "kg": ("kilo", "kilos"), "g": ("gramme", "grammes"), "mg": ("milligramme", "milligrammes"), "l": ("litre", "litres"),
        "L": ("litre", "litres"), "ml": ("millilitre", "millilitres"), "cl": ("centilitre", "centilitres"), "min": ("minute", "minutes"),
        "s": ("seconde", "secondes"), "kWh": ("kilowattheure", "kilowattheures"), "kW": ("kilowatt", "kilowatts"), "W": ("watt", "watts"),
        "V": ("volt", "volts"), "Go": ("gigaoctet", "gigaoctets"), "Mo": ("mégaoctet", "mégaoctets"), "To": ("téraoctet", "téraoctets"),
        "GB": ("gigaoctet", "gigaoctets"), "Hz": ("hertz", "hertz"), "ha": ("hectare", "hectares"),
    },
    signs={"&": "et", "+": "plus", "=": "égale", "@": "arobase", "×": "fois", "÷": "divisé par", "<": "inférieur à",
        ">": "supérieur à", "€": "euros", "$": "dollars", "£": "livres"},
    abbreviations={
        "M.": "monsieur", "MM.": "messieurs", "Mme": "madame", "Mmes": "mesdames", "Mlle": "mademoiselle", "Dr": "docteur",
        "Me": "maître",
        "Pr": "professeur", "St": "saint", "Ste": "sainte", "etc.": "et cetera", "p. ex.": "par exemple", "c.-à-d.": "c'est-à-dire",
        "n°": "numéro", "N°": "numéro", "env.": "environ", "av. J.-C.": "avant Jésus-Christ", "apr. J.-C.": "après Jésus-Christ",
        "tél.": "téléphone", "Tél.": "téléphone", "bd": "boulevard", "max.": "maximum", "min.": "minimum",
    },
    magnitudes="mille|millions?|milliards?",
    of=" d'",
    feminine={"un": "une"},
)  # fmt: skip

DE = Language(
    months=("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"),
    date="{day} {month} {year}",
    first="",
    point="Komma",
    minus="minus",
    until="bis",
    percent="Prozent",
    degrees=("Grad Celsius", "Grad Fahrenheit", "Grad"),
    time="{hour} Uhr {minute}",
    full_hour="{hour} Uhr",
    currencies={
        "€": ("Euro", "Euro", "Cent"), "$": ("Dollar", "Dollar", "Cent"), "£": ("Pfund", "Pfund", "Pence"), "¥": ("Yen", "Yen", ""),
        "₹": ("Rupie", "Rupien", ""), "US$": ("US-Dollar", "US-Dollar", "Cent"), "CHF": ("Franken", "Franken", "Rappen"),
        "EUR": ("Euro", "Euro", "Cent"),
    },
    money="{whole} {name} {cents}",
    units={
        "km/h": ("Kilometer pro Stunde", "Kilometer pro Stunde"), "m/s": ("Meter pro Sekunde", "Meter pro Sekunde"),
        "km²": ("Quadratkilometer", "Quadratkilometer"), "m²": ("Quadratmeter", "Quadratmeter"), "m³": ("Kubikmeter", "Kubikmeter"),
        "km": ("Kilometer", "Kilometer"), "m": ("Meter", "Meter"), "cm": ("Zentimeter", "Zentimeter"), "mm": ("Millimeter", "Millimeter"),
        "kg": ("Kilogramm", "Kilogramm"), "g": ("Gramm", "Gramm"), "mg": ("Milligramm", "Milligramm"), "l": ("Liter", "Liter"),
        "L": ("Liter", "Liter"), "ml": ("Milliliter", "Milliliter"), "h": ("Stunde", "Stunden"), "Std.": ("Stunde", "Stunden"),
        "min": ("Minute", "Minuten"), "Min.": ("Minute", "Minuten"), "s": ("Sekunde", "Sekunden"), "Sek.": ("Sekunde", "Sekunden"),
        "kWh": ("Kilowattstunde", "Kilowattstunden"), "kW": ("Kilowatt", "Kilowatt"), "W": ("Watt", "Watt"), "V": ("Volt", "Volt"),
        "GB": ("Gigabyte", "Gigabyte"), "MB": ("Megabyte", "Megabyte"), "TB": ("Terabyte", "Terabyte"), "Hz": ("Hertz", "Hertz"),
        "ha": ("Hektar", "Hektar"), "PS": ("PS", "PS"), "t": ("Tonne", "Tonnen"),
    },
    signs={"&": "und", "+": "plus", "=": "gleich", "@": "ät", "×": "mal", "÷": "geteilt durch", "<": "kleiner als",
        ">": "größer als", "€": "Euro", "$": "Dollar", "£": "Pfund", "§": "Paragraf"},
    abbreviations={
        "z. B.": "zum Beispiel", "z.B.": "zum Beispiel", "d. h.": "das heißt", "d.h.": "das heißt", "usw.": "und so weiter",
        "u. a.": "unter anderem", "u.a.": "unter anderem", "bzw.": "beziehungsweise", "ca.": "circa", "Dr.": "Doktor",
        "Prof.": "Professor",
        "Nr.": "Nummer", "Hr.": "Herr", "Fr.": "Frau", "Str.": "Straße", "St.": "Sankt", "evtl.": "eventuell", "ggf.": "gegebenenfalls",
        "inkl.": "inklusive", "exkl.": "exklusive", "max.": "maximal", "min.": "minimal", "Mio.": "Millionen", "Mrd.": "Milliarden",
        "Tel.": "Telefon", "vgl.": "vergleiche", "S.": "Seite", "etc.": "et cetera", "v. Chr.": "vor Christus",
        "n. Chr.": "nach Christus",
        "Abb.": "Abbildung", "Kap.": "Kapitel", "u. s. w.": "und so weiter", "o. ä.": "oder ähnliches", "i. d. R.": "in der Regel",
    },
    magnitudes=r"Tausend|tausend|Millionen|Million|Mio\.|Milliarden|Milliarde|Mrd\.",
    short_one={"eins": "ein"},
    feminine={"eins": "ein"},
)  # fmt: skip

IT = Language(
    months=(
        "gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre",
    ),
    date="{day} {month} {year}",
    first="primo",
    point="virgola",
    minus="meno",
    until="a",
    percent="per cento",
    degrees=("gradi Celsius", "gradi Fahrenheit", "gradi"),
    time="{hour} e {minute}",
    full_hour="{hour}",
    currencies={
        "€": ("euro", "euro", "centesimi"), "$": ("dollaro", "dollari", "centesimi"), "£": ("sterlina", "sterline", "penny"),
        "¥": ("yen", "yen", ""), "₹": ("rupia", "rupie", ""), "US$": ("dollaro", "dollari", "centesimi"),
        "CHF": ("franco svizzero", "franchi svizzeri", "centesimi"),
    },
    money="{whole} {name} e {cents}",
    units={
        "km/h": ("chilometro all'ora", "chilometri all'ora"), "m/s": ("metro al secondo", "metri al secondo"),
        "km²": ("chilometro quadrato", "chilometri quadrati"), "m²": ("metro quadrato", "metri quadrati"),
        "km": ("chilometro", "chilometri"),
        "m": ("metro", "metri"), "cm": ("centimetro", "centimetri"), "mm": ("millimetro", "millimetri"), "kg": ("chilo", "chili"),
        "g": ("grammo", "grammi"), "mg": ("milligrammo", "milligrammi"), "l": ("litro", "litri"), "L": ("litro", "litri"),
        "ml": ("millilitro", "millilitri"), "h": ("ora", "ore"), "min": ("minuto", "minuti"), "s": ("secondo", "secondi"),
        "kWh": ("chilowattora", "chilowattora"), "kW": ("chilowatt", "chilowatt"), "W": ("watt", "watt"), "V": ("volt", "volt"),
        "GB": ("gigabyte", "gigabyte"), "MB": ("megabyte", "megabyte"), "Hz": ("hertz", "hertz"), "ha": ("ettaro", "ettari"),
    },
    signs={"&": "e", "+": "più", "=": "uguale a", "@": "chiocciola", "×": "per", "÷": "diviso", "<": "minore di",
        ">": "maggiore di", "€": "euro", "$": "dollari", "£": "sterline"},
    abbreviations={
        "sig.": "signor", "Sig.": "Signor", "sig.ra": "signora", "Sig.ra": "Signora", "dott.": "dottor", "Dott.": "Dottor",
        "dott.ssa": "dottoressa", "Dott.ssa": "Dottoressa", "prof.": "professor", "Prof.": "Professor", "ecc.": "eccetera",
        "pag.": "pagina",
        "es.": "esempio", "p. es.": "per esempio", "n.": "numero", "n°": "numero", "ca.": "circa", "tel.": "telefono", "Tel.": "telefono",
        "a.C.": "avanti Cristo", "d.C.": "dopo Cristo", "S.": "San", "max.": "massimo", "min.": "minimo",
    },
    magnitudes="mila|milioni|milione|miliardi|miliardo",
    of=" di ",
    short_one={"ventuno": "ventuno", "uno": "un"},
    feminine={"uno": "una"},
)  # fmt: skip

PT = Language(
    months=("janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"),
    date="{day} de {month} de {year}",
    first="primeiro",
    point="vírgula",
    minus="menos",
    until="a",
    percent="por cento",
    degrees=("graus Celsius", "graus Fahrenheit", "graus"),
    time="{hour} e {minute}",
    full_hour="{hour} {hours}",
    currencies={
        "R$": ("real", "reais", "centavos"), "€": ("euro", "euros", "cêntimos"), "$": ("dólar", "dólares", "centavos"),
        "US$": ("dólar", "dólares", "centavos"), "£": ("libra", "libras", "pence"), "¥": ("iene", "ienes", ""),
        "₹": ("rupia", "rupias", ""),
    },
    money="{whole} {name} e {cents} {part}",
    units={
        "km/h": ("quilômetro por hora", "quilômetros por hora"), "m/s": ("metro por segundo", "metros por segundo"),
        "km²": ("quilômetro quadrado", "quilômetros quadrados"), "m²": ("metro quadrado", "metros quadrados"),
        "km": ("quilômetro", "quilômetros"), "m": ("metro", "metros"), "cm": ("centímetro", "centímetros"),
        "mm": ("milímetro", "milímetros"),
        "kg": ("quilo", "quilos"), "g": ("grama", "gramas"), "mg": ("miligrama", "miligramas"), "l": ("litro", "litros"),
        "L": ("litro", "litros"),
        "ml": ("mililitro", "mililitros"), "min": ("minuto", "minutos"), "s": ("segundo", "segundos"),
        "kWh": ("quilowatt-hora", "quilowatts-hora"), "kW": ("quilowatt", "quilowatts"), "W": ("watt", "watts"), "V": ("volt", "volts"),
        "GB": ("gigabyte", "gigabytes"), "MB": ("megabyte", "megabytes"), "Hz": ("hertz", "hertz"), "ha": ("hectare", "hectares"),
    },
    signs={"&": "e", "+": "mais", "=": "igual a", "@": "arroba", "×": "vezes", "÷": "dividido por", "<": "menor que",
        ">": "maior que", "€": "euros", "$": "dólares", "£": "libras"},
    abbreviations={
        "Sr.": "senhor", "Sra.": "senhora", "Dr.": "doutor", "Dra.": "doutora", "Prof.": "professor", "Profa.": "professora",
        "etc.": "etcétera", "pág.": "página", "p. ex.": "por exemplo", "nº": "número", "n.º": "número", "aprox.": "aproximadamente",
        "Av.": "avenida", "R.": "rua", "tel.": "telefone", "Tel.": "telefone", "a.C.": "antes de Cristo", "d.C.": "depois de Cristo",
        "máx.": "máximo", "mín.": "mínimo",
    },
    magnitudes="mil|milhões|milhão|bilhões|bilhão|mil milhões",
    of=" de ",
    feminine={"um": "uma", "dois": "duas"},
)  # fmt: skip

HI = Language(
    months=("जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्टूबर", "नवंबर", "दिसंबर"),
    date="{day} {month} {year}",
    first="",
    point="दशमलव",
    minus="माइनस",
    until="से",
    percent="प्रतिशत",
    degrees=("डिग्री सेल्सियस", "डिग्री फ़ारेनहाइट", "डिग्री"),
    time="{hour} बजकर {minute} मिनट",
    full_hour="{hour} बजे",
    currencies={
        "₹": ("रुपया", "रुपये", "पैसे"), "Rs.": ("रुपया", "रुपये", "पैसे"), "Rs": ("रुपया", "रुपये", "पैसे"),
        "रु.": ("रुपया", "रुपये", "पैसे"),
        "$": ("डॉलर", "डॉलर", "सेंट"), "€": ("यूरो", "यूरो", "सेंट"), "£": ("पाउंड", "पाउंड", "पेंस"), "¥": ("येन", "येन", ""),
    },
    money="{whole} {name} {cents} {part}",
    units={
        "km/h": ("किलोमीटर प्रति घंटा", "किलोमीटर प्रति घंटा"), "km": ("किलोमीटर", "किलोमीटर"), "cm": ("सेंटीमीटर", "सेंटीमीटर"),
        "mm": ("मिलीमीटर", "मिलीमीटर"), "m": ("मीटर", "मीटर"), "kg": ("किलोग्राम", "किलोग्राम"), "किग्रा": ("किलोग्राम", "किलोग्राम"),
        "किमी": ("किलोमीटर", "किलोमीटर"), "g": ("ग्राम", "ग्राम"), "mg": ("मिलीग्राम", "मिलीग्राम"), "l": ("लीटर", "लीटर"),
        "L": ("लीटर", "लीटर"),
        "ml": ("मिलीलीटर", "मिलीलीटर"), "GB": ("गीगाबाइट", "गीगाबाइट"), "MB": ("मेगाबाइट", "मेगाबाइट"), "W": ("वाट", "वाट"),
        "V": ("वोल्ट", "वोल्ट"),
        "min": ("मिनट", "मिनट"), "s": ("सेकंड", "सेकंड"),
    },
    signs={"&": "और", "+": "प्लस", "=": "बराबर", "@": "एट", "×": "गुणा", "÷": "भाग", "₹": "रुपये", "$": "डॉलर", "€": "यूरो",
        "£": "पाउंड"},
    abbreviations={"डॉ.": "डॉक्टर", "प्रो.": "प्रोफ़ेसर", "श्री.": "श्री", "नं.": "नंबर"},
    magnitudes="हज़ार|हजार|लाख|करोड़|अरब",
)  # fmt: skip

HINDI_BELOW_100 = (
    "शून्य एक दो तीन चार पाँच छह सात आठ नौ दस ग्यारह बारह तेरह चौदह पंद्रह सोलह सत्रह अठारह उन्नीस बीस इक्कीस बाईस तेईस चौबीस पच्चीस छब्बीस "
    "सत्ताईस अट्ठाईस उनतीस तीस इकतीस बत्तीस तैंतीस चौंतीस पैंतीस छत्तीस सैंतीस अड़तीस उनतालीस चालीस इकतालीस बयालीस तैंतालीस चौवालीस पैंतालीस छियालीस "
    "सैंतालीस अड़तालीस उनचास पचास इक्यावन बावन तिरपन चौवन पचपन छप्पन सत्तावन अट्ठावन उनसठ साठ इकसठ बासठ तिरसठ चौंसठ पैंसठ छियासठ सड़सठ अड़सठ "
    "उनहत्तर सत्तर इकहत्तर बहत्तर तिहत्तर चौहत्तर पचहत्तर छिहत्तर सतहत्तर अठहत्तर उनासी अस्सी इक्यासी बयासी तिरासी चौरासी पचासी छियासी सत्तासी "
    "अट्ठासी नवासी नब्बे इक्यानवे बानवे तिरानवे चौरानवे पचानवे छियानवे सत्तानवे अट्ठानवे निन्यानवे"
).split()
HINDI_ORDINALS = {1: "पहल", 2: "दूसर", 3: "तीसर", 4: "चौथ", 6: "छठ"}
HINDI_SIZES = ((10**9, "अरब"), (10**7, "करोड़"), (10**5, "लाख"), (1000, "हज़ार"), (100, "सौ"))

TABLES = {"es": ES, "fr": FR, "de": DE, "it": IT, "pt": PT, "hi": HI}
