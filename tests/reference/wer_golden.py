"""Whisper's normalisers string by string, and jiwer's counts: `tests/golden/wer/cases.json`.

    python tests/reference/wer_golden.py tests/golden/wer

`normalized`: strings as transformers' EnglishTextNormalizer (with whisper-normalizer's copy of openai/whisper's spellings)
and BasicTextNormalizer make them. Written strings have the tricky cases; random ones put the words of numbers, signs and
fillers in any order. `pairs`: random texts with jiwer's counts.
"""

import json
import random
import sys
from importlib.resources import files
from pathlib import Path

import jiwer
from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

WRITTEN = """
Hello, world!
I'm sure they're Dr. Smith's; we'd've gone, he'd been, she's got it, that's done, it's gone.
won't can't let's ain't y'all wanna gotta gonna I'ma imma woulda coulda shoulda ma'am
Mr. and Mrs. St. John, Prof. X, Capt. Kirk, Gov. A, Ald. B, Gen. C, Sen. D, Rep. E, Pres. F, Rev. G
Hon. H, Asst. I, Assoc. J, Lt. K, Col. L, Jr., Sr., Esq.
Uh, um, hmm, mm-hmm, mhm, mmm: umbrella hum
<laughs> [music] (applause) () (()) <a [b> c] ((nested) still) <open
the colour of the harbour is analysed in the aluminium centre
twenty five dollars and sixty-seven cents
$20 million, £3.50, €5 and ¢7, $2 and ¢7, $2 ¢70, $0.5, $0.50, $0 12
one oh one; one hundred and one; a hundred and twenty three thousand four hundred and fifty six
two and a half million, three and a half, dog and a half, and a half, a year and a half
nineteen sixties, the 1960s, 274th, 32nd, 21 st, 3 rd, 4 th, 5 s, 7street
double oh seven, triple five, double the fun, triple twenty, double nineteen, double
minus five, plus 7, negative, positive vibes, minus plus dog, minus minus three, plus
ten percent, ten per cent, ten per dog, per cent, percent, 50%, %, 5 % 6, a%b
point five, zero point five, 0 point 5, three point one four, point dog, point first, 1 point 2 point 3, point
first second third fourth fifth sixth seventh eighth ninth nineth tenth eleventh twelfth thirteenth twentieth ninetieth
twenty first, one hundredth, two thousandth, three millionths, zeroth, hundreds of thousands, sixes and sevens, forties
1,000,000 and 1,2,3 and 10,20,30 and 1.000,5
3.14 2.0 2.50 007 0 00 1 1s 1.5 11 1,1 one ones
version 1.2.3 192.168.0.1 point 5. 6.end ... a..b .5 5.
one two three four, twenty twenty, twenty nineteen, nineteen ninety nine, thirty three hundred, five hundred million
one thousand two hundred thirty four million five
2.5 million, 0 million, oh million, 1.234 hundred, point five million, 2.5 millionth, 1.2345 hundreds
it 's  a\ttest\n 'quoted' rock 'n' roll
naïve café Ærøskøbing œuvre straße Łódź Đorđe þorn ﬁne ½ ² Ⅳ ™ … — “quoted” ’s don’t
e\u0301te\u0301 st\u0301 i\u0307 \u0130stanbul ΟΔΟΣ ß ẞ ǅ
日本語、テキスト。 العربية ٣ و ١٢٣ हिन्दी में १२ 한국어 ไทย ３４
a\u00a0b\u2003c\u200bd\u001ce x\u0085y zero\u200dwidth
five$ $ £ ¢5 5¢ €€ $.5 .$5 $-5 +5 -5 −5 5+5 5-5 a_b_c 1_000
one point twenty five hundred, oh five, oh oh seven five, twenty oh five, zero zero zero
minus point five dollars, minus dollars, five dollars cents, twenty pounds fifty, one euro
hundred hundred thousand, million million, zero hundred, zero thousandth
and and and, one and, one hundred and, one hundred and dog, and five, 5 and 6, hundred and thousand
point 5 5, 5 point, 5. 5, 5 .5, oh point oh, double point, point point five
12345678901234567890 99999999999999999999999999999 thousand, three decillion, nine nonillion
st. st street stst 1st1 hon's dr's mrs' col. lt's gen x
""".strip("\n").split("\n")

PIECES = (
    "one two nine ten eleven twelve nineteen twenty thirty ninety hundred thousand million o oh zero first third twelfth "
    "nineteenth twenties sixtieth hundredth thousands and and point point double triple minus plus dollars cents pound "
    "percent per cent cent half a dog 5 12 0 100 1960s 3.5 2.0 0.05 $5 $0.25 ¢7 £ 50% . , 's 't um mr colour centre 1,5 "
    "and\u00a0a\u00a0half ones fives 1 1s 21st"
).split(" ")


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    spellings = files("whisper_normalizer") / "normalizers" / "english.json"
    english = EnglishTextNormalizer(json.loads(spellings.read_text(encoding="utf-8")))
    basic = BasicTextNormalizer()
    random.seed(7)
    strings = ["", " ", *(line.encode().decode("utf-8") for line in WRITTEN)]
    normalized, refused = [], 0
    while len(normalized) < 700:
        text = strings.pop(0) if strings else None
        if text is None:
            text = " ".join(random.choice(PIECES) for _ in range(random.randint(2, 9)))
            text = text.replace(" .", random.choice([".", " ."])).replace(" '", random.choice(["'", " '"]))
        try:
            normalized.append([text, english(text), basic(text)])
        except Exception:  # Whisper's own code fails on some, such as "point hundred"; there is nothing to compare with.
            refused += 1
            print("refused", repr(text))
    pairs = []
    for at in range(60):
        letters = "abcd" if at % 2 else "abcdefghijklmnop"
        said = [random.choice(letters) * random.randint(1, 2) for _ in range(random.randint(1, 25))]
        heard = []
        for word in said:
            chance = random.random()
            if chance < 0.2:
                heard.append(random.choice(letters))
            elif chance > 0.35:
                heard.append(word)
            if random.random() < 0.15:
                heard.append(random.choice(letters))
        said, heard = " ".join(said), " ".join(heard)
        words = jiwer.process_words(said, heard)
        characters = jiwer.process_characters(said, heard)

        def counts(found, rate):
            return [found.hits, found.substitutions, found.insertions, found.deletions, rate]

        pairs.append([said, heard, counts(words, words.wer), counts(characters, characters.cer)])
    whole = jiwer.process_words([pair[0] for pair in pairs], [pair[1] for pair in pairs]).wer
    data = {"normalized": normalized, "pairs": pairs, "wer_of_all": whole}
    text = json.dumps(data, ensure_ascii=True, indent=None, separators=(",", ":")).replace("],[", "],\n[")
    (folder / "cases.json").write_text(text + "\n")
    print(len(normalized), "strings,", refused, "refused")


if __name__ == "__main__":
    main()
