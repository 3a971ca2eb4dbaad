#!/bin/sh
# Makes DejaVuSans-subset.ttf: DejaVu Sans 2.37 (Debian's fonts-dejavu-core), Latin, Greek, Cyrillic, punctuation,
# currency, arrows and mathematical signs, without hinting and layout tables, which nothing here reads.
# Needs `pip install fonttools==4.68.0`.
set -eu
cd "$(dirname "$0")"
pyftsubset /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf --output-file=DejaVuSans-subset.ttf \
    --unicodes=U+0020-007E,U+00A0-024F,U+0370-03FF,U+0400-045F,U+0490-0491,U+1E00-1EFF,U+2010-2027,U+2030-203A,U+20AC,U+2116,U+2122,U+2190-2193,U+2212,U+2248,U+2260,U+2264,U+2265 \
    --layout-features= --no-hinting --desubroutinize --notdef-outline --legacy-kern --drop-tables+=GSUB,GPOS,GDEF
