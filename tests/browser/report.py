"""Drives the page of `percept manifest report` in Chromium: cards, filters, players, hostile names, narrow screens.

    pip install playwright && apt-get install chromium
    python tests/browser/report.py target/debug/percept

What the page should show is computed here from the JSON results.
"""

import json
import math
import pathlib
import shutil
import subprocess
import sys
import tempfile

from playwright.sync_api import Page, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOSTILE = "<img src=x onerror=alert(1)>.png"


def run(percept: str, folder: pathlib.Path, *arguments: str) -> None:
    done = subprocess.run([percept, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr  # one input is broken


def pictures(percept: str, folder: pathlib.Path) -> list[dict]:
    (folder / "in").mkdir()
    shapes = ROOT / "tests/golden/shapes"
    for copy in range(30):
        for name in ("small", "landscape", "portrait"):
            shutil.copy(shapes / f"{name}.png", folder / "in" / f"{name} {copy:02}.png")
    shutil.copy(shapes / "small.png", folder / "in" / HOSTILE)
    (folder / "in/broken.png").write_bytes(b"nothing")
    model = str(ROOT / "tests/models/shapes-segformer")
    run(percept, folder, "segment", "in", "-o", "out", "-f", "json", "--model", model, "--report", "out/report.html")
    return [json.loads(path.read_text()) for path in sorted((folder / "out").glob("*.json"))]


def recordings(percept: str, folder: pathlib.Path) -> list[dict]:
    (folder / "in").mkdir()
    for name in ("a b", "c"):
        shutil.copy(ROOT / "assets/welcome.wav", folder / "in" / f"{name}.wav")
    (folder / "in/broken.wav").write_bytes(b"nothing")
    model = str(ROOT / "tests/golden/whisper/f32")
    plain = ["--language", "en", "--temperature-increment-on-fallback", "0", "--no-speech-threshold", "1"]
    arguments = ["in", "-o", "out", "-f", "json", "--model", model, *plain, "--report", "out/report.html"]
    run(percept, folder, "transcribe", *arguments)
    return [json.loads(path.read_text()) for path in sorted((folder / "out").glob("*.json"))]


def shown(page: Page) -> int:
    """How many results the page says it shows, after the filters have settled."""
    page.wait_for_timeout(250)
    return int(page.locator("#count").inner_text().split(" of ")[0].replace(",", ""))


def fill(page: Page, **values: str) -> int:
    page.get_by_role("button", name="Reset").click()
    for field, value in values.items():
        element = page.locator(f"#{field}")
        element.select_option(label=value) if field in ("class", "order") else element.fill(value)
    return shown(page)


def drive_pictures(page: Page, results: list[dict]) -> None:
    found = [[(one["label"]["name"], one["score"]) for one in result["result"]["instances"]] for result in results]
    assert shown(page) == len(results) == 91
    assert page.locator("article").count() == 48, "cards come as they are scrolled to"
    assert page.locator("#failures li").count() == 1
    names = page.locator("h3").all_inner_texts()
    assert f"in/{HOSTILE}" in names and page.locator("img[src=x]").count() == 0
    for kind in sorted({name for some in found for name, _ in some}):
        having = sum(any(name == kind for name, _ in some) for some in found)
        assert fill(page, **{"class": f"{kind} ({having})"}) == having
        for low, high in ((0.9, 1), (0, 0.9), (0.95, 0.99)):
            page.locator("#low").fill(str(low))
            page.locator("#high").fill(str(high))
            fits = lambda name, score: name == kind and score >= low and score <= high
            want = sum(any(fits(*one) for one in some) for some in found)
            assert shown(page) == want, (kind, low, high, want)
    assert fill(page, words="LANDSCAPE 1") == 10
    assert fill(page, words="no such thing") == 0 and page.locator(".none").count() == 1
    assert page.locator("#failures li:visible").count() == 0
    assert fill(page, words="cannot read") == 0 and page.locator("#failures li:visible").count() == 1
    fill(page, order="lowest score first")
    first = page.locator("article").first.locator(".number").all_inner_texts()
    lowest = min(score for some in found for _, score in some)
    assert min(map(float, first)) == round(lowest + 1e-9, 2), (first, lowest)
    assert fill(page) == 91
    # At once to the end, before the page has seen that it was left: the rest comes all the same.
    page.evaluate("""async () => {
      for (let frame = 0; frame < 60; frame += 1) {
        scrollTo(0, document.body.scrollHeight);
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      }
    }""")
    assert page.locator("article").count() == 91 and not page.locator("#more").is_visible()
    assert page.evaluate("[...document.images].every((image) => image.alt !== '' && image.naturalWidth > 0)")


def drive_recordings(page: Page, results: list[dict]) -> None:
    assert shown(page) == 2 and page.locator("audio").count() == 2
    said = results[0]["result"]["segments"]
    card = page.locator("article").first
    lines = card.locator(".said button")
    words, texts = card.locator(".words").all_text_contents(), [one["text"] for one in said]
    assert words == texts, (words, texts)
    last = said[-1]
    # By keyboard, as everything on the page.
    lines.last.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(1500)
    time, error = card.locator("audio").evaluate("(audio) => [audio.currentTime, audio.error?.message]")
    assert error is None and last["start"] <= time <= last["start"] + 3, (last["start"], time, error)
    word = max(last["text"].split(), key=len)
    assert fill(page, words=word) == sum(word.lower() in json.dumps(result["result"]).lower() for result in results)
    view = card.locator(".said").evaluate("""(list) => {
      const [hit, box] = [list.querySelector(".hit"), list].map((one) => one.getBoundingClientRect());
      return hit.top >= box.top - 1 && hit.bottom <= box.bottom + 1;
    }""")
    assert view, "the line that was searched for is in view"
    low = min(math.exp(one["avg_logprob"]) for result in results for one in result["result"]["segments"])
    assert fill(page, high=str(low / 2)) == 0 and fill(page, low=str(low / 2)) == 2


def main(percept: str) -> None:
    percept = str(pathlib.Path(percept).resolve())
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as place:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for make, drive in ((pictures, drive_pictures), (recordings, drive_recordings)):
            folder = pathlib.Path(place, make.__name__)
            folder.mkdir()
            results = make(percept, folder)
            for width in (1280, 390):
                page = browser.new_page(viewport={"width": width, "height": 844})
                wrong: list[str] = []
                page.on("console", lambda message: wrong.append(message.text))
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.on("dialog", lambda dialog: (wrong.append("a dialog"), dialog.dismiss()))
                page.on("request", lambda request: wrong.append(request.url) if request.url.startswith("http") else None)
                page.goto((folder / "out/report.html").as_uri())
                drive(page, results)
                beyond = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert beyond <= 0, f"{beyond} pixels beyond the edge of a screen of {width}"
                assert not wrong, wrong
                page.close()
            plain = browser.new_context(java_script_enabled=False).new_page()
            plain.goto((folder / "out/report.html").as_uri())
            assert "Scripts are off" in plain.inner_text("body") and plain.locator("#failures li").count() == 1
            print(f"{make.__name__}: {len(results)} results, at 1280 and 390 pixels, and without a script")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
