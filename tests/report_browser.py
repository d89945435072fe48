"""Opens a page in headless Chromium, in several widths and both colour schemes, and checks what a reader would see.

    python3 tests/report_browser.py PAGE.html [--screenshots FOLDER] [--figures N]

No error on the console, nothing fetched, N figures that have a size, no text on another or cut off, nothing wider than the
window, every text and line with contrast. Chromium is spoken to through a pipe (its DevTools protocol). Prints a line per
fault and exits with 1; prints what it measured and exits with 0.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile

WIDTHS = (400, 1600)
SCHEMES = ("light", "dark")
LOOK = r"""
(() => {
  const faults = [];
  const say = (what, element) =>
    faults.push(`${what}: '${element.textContent.trim().slice(0, 40)}' in ${element.closest('figure, section, body')
      .querySelector('h3, h2, h1')?.textContent.trim()}`);
  const channel = value => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
  const luminance = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  };
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const ground = getComputedStyle(document.body).backgroundColor;
  let texts = 0, least = 99;
  const figures = [...document.querySelectorAll('figure')];
  for (const figure of figures) {
    const svg = figure.querySelector('svg'), box = svg?.getBoundingClientRect();
    if (!svg || box.width < 200 || box.height < 80) { say('a figure without a picture', figure); continue; }
    const labels = [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()]);
    for (const [text, at] of labels) {
      texts += 1;
      if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 || at.bottom > box.bottom + 1)
        say('cut off', text);
      if (at.height < 9) say(`too small, ${at.height} pixels`, text);
      least = Math.min(least, contrast(getComputedStyle(text).fill, ground));
      if (contrast(getComputedStyle(text).fill, ground) < 4.5) say('hard to read', text);
    }
    labels.forEach(([a, first], i) => labels.slice(i + 1).forEach(([b, second]) => {
      const wide = Math.min(first.right, second.right) - Math.max(first.left, second.left);
      const high = Math.min(first.bottom, second.bottom) - Math.max(first.top, second.top);
      if (wide > 0.5 && high > 1.5) say(`on top of '${b.textContent.trim()}'`, a);
    }));
    for (const line of svg.querySelectorAll('path, use')) {
      const { stroke, fill } = getComputedStyle(line);
      const drawn = stroke !== 'none' ? stroke : fill;
      if (line.closest('[style*="--run"], [stroke*="--run"]') && drawn !== 'none' && contrast(drawn, ground) < 3)
        say('a line hard to see', svg);
    }
  }
  for (const element of document.querySelectorAll('h1, h2, h3, p, li, td, th, caption, figcaption')) {
    texts += 1;
    least = Math.min(least, contrast(getComputedStyle(element).color, ground));
    if (contrast(getComputedStyle(element).color, ground) < 4.5) say('hard to read', element);
  }
  const wide = document.scrollingElement.scrollWidth;
  if (wide > innerWidth) faults.push(`the page is ${wide} pixels wide in a window of ${innerWidth}`);
  return { faults, figures: figures.length, texts, least };
})()
"""


class Browser:
    """Chromium behind its pipe: NUL-terminated JSON, descriptors 3 (to it) and 4 (from it)."""

    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.come, come_write = os.pipe()
        words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
                 f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"]

        def inherit():
            # The pipe's ends may themselves be 3 or 4: first out of the way.
            come, go = os.dup2(to_read, 30), os.dup2(come_write, 31)
            os.dup2(come, 3)
            os.dup2(go, 4)

        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=inherit, close_fds=False)
        os.close(to_read)
        os.close(come_write)
        self.rest, self.number, self.events, self.session = b"", 0, [], None

    def receive(self):
        while b"\0" not in self.rest:
            more = os.read(self.come, 1 << 16)
            if not more:
                sys.exit("error: chromium has ended")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    sys.exit(f"error: {method}: {answer['error']['message']}")
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)

    def wait(self, method):
        while not any(event["method"] == method for event in self.events):
            self.events.append(self.receive())

    def attach(self):
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def end(self):
        self.session = None
        self.call("Browser.close")
        self.process.wait()


def faults_of_events(events, address):
    for event in events:
        parameters = event.get("params", {})
        if event["method"] == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            yield f"console: {parameters['entry']['text']}"
        elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            yield "console: " + " ".join(str(argument.get("value", "")) for argument in parameters["args"])
        elif event["method"] == "Runtime.exceptionThrown":
            yield f"exception: {parameters['exceptionDetails']['text']}"
        elif event["method"] == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if url != address and not url.startswith("data:"):
                yield f"fetched: {url}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page")
    parser.add_argument("--figures", type=int)
    parser.add_argument("--screenshots")
    parser.add_argument("--chromium", default="chromium")
    options = parser.parse_args()
    address = "file://" + os.path.abspath(options.page)
    faults = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(options.chromium, profile)
        browser.attach()
        for width in WIDTHS:
            for scheme in SCHEMES:
                browser.events.clear()
                browser.call("Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1,
                             mobile=False)
                browser.call("Emulation.setEmulatedMedia",
                             features=[{"name": "prefers-color-scheme", "value": scheme}])
                browser.call("Page.navigate", url=address)
                browser.wait("Page.loadEventFired")
                seen = browser.call("Runtime.evaluate", expression=LOOK, returnByValue=True)
                if "exceptionDetails" in seen:
                    sys.exit(f"error: {seen['exceptionDetails']['exception']['description']}")
                seen = seen["result"]["value"]
                found = list(faults_of_events(browser.events, address)) + seen["faults"]
                if options.figures is not None and seen["figures"] != options.figures:
                    found.append(f"{seen['figures']} figures, not {options.figures}")
                faults += [f"{width} pixels, {scheme}: {fault}" for fault in found]
                print(f"{width} pixels, {scheme}: {seen['figures']} figures, {seen['texts']} texts, least contrast "
                      f"{seen['least']:.1f}")
                if options.screenshots:
                    shot = browser.call("Page.captureScreenshot", captureBeyondViewport=True)
                    with open(os.path.join(options.screenshots, f"{width}-{scheme}.png"), "wb") as out:
                        out.write(base64.b64decode(shot["data"]))
        browser.end()
    for fault in faults:
        print(f"error: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
