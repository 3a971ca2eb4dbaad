"""Reads what `percept manifest export -f parquet` wrote with pyarrow, and compares every cell with the JSON results.

    python tests/reference/read_parquet.py out/percept-run.jsonl all.parquet

Needs pyarrow. Run it where percept ran: the paths in a manifest are those that were typed.
"""

import json
import sys

import numpy
import pyarrow
import pyarrow.parquet

ROWS = {"segment": "instances", "transcribe": "segments"}
WHOLE, SINGLE, DOUBLE, TEXT = pyarrow.int64(), pyarrow.float32(), pyarrow.float64(), pyarrow.string()
COLUMNS = {
    "segment": {
        "instance": (WHOLE, lambda row: row["id"]),
        "class": (TEXT, lambda row: row["label"] and row["label"]["name"]),
        "score": (SINGLE, lambda row: float(numpy.float32(row["score"]))),
        "left": (WHOLE, lambda row: row["box"][0]),
        "top": (WHOLE, lambda row: row["box"][1]),
        "right": (WHOLE, lambda row: row["box"][2]),
        "bottom": (WHOLE, lambda row: row["box"][3]),
        "area": (WHOLE, lambda row: row["area"]),
    },
    "transcribe": {
        "segment": (WHOLE, lambda row: row["id"]),
        "start": (DOUBLE, lambda row: row["start"]),
        "end": (DOUBLE, lambda row: row["end"]),
        "text": (TEXT, lambda row: row["text"]),
        "avg_logprob": (SINGLE, lambda row: float(numpy.float32(row["avg_logprob"]))),
        "no_speech_prob": (SINGLE, lambda row: float(numpy.float32(row["no_speech_prob"]))),
    },
}


def main(manifest: str, parquet: str) -> None:
    records = [json.loads(line) for line in open(manifest, encoding="utf-8")]
    records.sort(key=lambda record: (record["input"]["path"], record["input"].get("path_bytes") or ""))
    columns = COLUMNS[records[0]["task"]]
    want = []
    for record in (record for record in records if record["status"] == "done"):
        texts = (open(out["path"], encoding="utf-8").read() for out in record["outputs"] if out["path"].endswith(".json"))
        result = next(value for value in map(json.loads, texts) if "schema" in value)["result"]
        for row in result[ROWS[record["task"]]]:
            cells = {name: value(row) for name, (_, value) in columns.items()}
            want.append({"input": record["input"]["path"], **cells})
    table = pyarrow.parquet.read_table(parquet)
    types = {"input": TEXT, **{name: kind for name, (kind, _) in columns.items()}}
    assert {field.name: field.type for field in table.schema} == types, table.schema
    got = table.to_pylist()
    assert got == want, next(pair for pair in zip(got, want) if pair[0] != pair[1])
    print(f"{len(got)} rows of {len(types)} columns are those of the JSON results")


if __name__ == "__main__":
    main(*sys.argv[1:])
