"""Pages in a real Chromium without a window, driven through its DevTools protocol over a pair of pipes.

The protocol: https://chromedevtools.github.io/devtools-protocol/. Messages are JSON, ended by a zero byte.
"""

import base64
import contextlib
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MISSING = "there is no Chromium here: apt-get install chromium"
PATIENCE = 60  # Seconds.
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
    "--hide-scrollbars", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--remote-debugging-pipe",
)  # fmt: skip
# Chromium reads from file descriptor 3 and writes to 4, whatever numbers the pipes have here.
LAUNCH = "import os, sys; read, write, *words = sys.argv[1:]; os.dup2(int(read), 13); os.dup2(int(write), 14)\n"
LAUNCH += "os.dup2(13, 3); os.dup2(14, 4); os.execv(words[0], words)"


class Chromium:
    """A context in which a browser runs; `page(address)` opens a tab."""

    def __enter__(self):
        self._closing = contextlib.ExitStack()
        profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._closing.callback(profile.cleanup)
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        words = [PROGRAM, *QUIET, f"--user-data-dir={profile.name}"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), *words],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._numbers, self._rest, self._answers, self._pages = itertools.count(1), b"", {}, {}
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)
        self._closing.close()

    def send(self, method, *, session=None, **params):
        """Returns the result of a command; AssertionError for one that is refused."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self._out, json.dumps(message).encode() + b"\0")
        self.listen(lambda: number in self._answers)
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def listen(self, enough, patience=PATIENCE):
        """Takes in what the browser says until `enough()`."""
        end = time.monotonic() + patience
        while not enough():
            ready, _, _ = select.select([self._in], [], [], max(0, end - time.monotonic()))
            received = os.read(self._in, 1 << 20) if ready else b""
            if not received:
                raise OSError("Chromium has said nothing in time, or has ended.")
            *messages, self._rest = (self._rest + received).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self._answers[message["id"]] = message
                elif page := self._pages.get(message.get("sessionId")):
                    page.event(message["method"], message["params"])

    def page(self, address, *, width=1100, height=900, scale=1, dark=False):
        """Opens a tab, in the colours of the day or of the night, and returns it once it has been loaded."""
        target = self.send("Target.createTarget", url="about:blank", newWindow=True)["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.send(f"{domain}.enable")
        phone = width < 600
        page.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone
        )
        page.send("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.send("Emulation.setEmulatedMedia", features=[scheme])
        page.send("Page.navigate", url=address)
        self.listen(lambda: page.loaded)
        return page


class Page:
    """A tab.

    Attributes:
        errors: What its console has reported as an error or a warning.
        requests: The addresses that it has asked for.
    """

    def __init__(self, browser, session):
        self._browser, self._session = browser, session
        self.errors, self.requests, self.loaded = [], [], False

    def send(self, method, **params):
        return self._browser.send(method, session=self._session, **params)

    def event(self, method, params):
        """Notes what matters."""
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])

    def evaluate(self, expression):
        """Returns the value of JavaScript, awaited if it is a promise."""
        found = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression, patience=PATIENCE):
        """Returns the value of JavaScript once it is true."""
        end = time.monotonic() + patience
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"still false: {expression}"
            time.sleep(0.05)
        return value

    def press(self, key, code=None, text=None):
        """Presses a key and lets it go."""
        named = {"key": key, "code": code or key} | ({"text": text} if text else {})
        self.send("Input.dispatchKeyEvent", type="keyDown", **named)
        self.send("Input.dispatchKeyEvent", type="keyUp", **named)

    def drag(self, points):
        """Draws with the mouse from point to point of the window."""
        (x, y), *rest = points
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
        for x, y in rest:
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)

    def screenshot(self, *, whole=False):
        """Returns the window, or all of the page, as a PNG file."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=whole)["data"])
