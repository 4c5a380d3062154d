#!/usr/bin/env python3
"""browser - a headless Chromium for tests: commands on stdin, one answer line (JSON) each on stdout.

  browser.py PROGRAM PROFILE       PROFILE: an empty folder

  look WIDTH HEIGHT light|dark     of the screen and the user's wish, from now on
  open URL                         loads it, without what was there before
  value EXPRESSION                 of JavaScript
  wait SECONDS EXPRESSION          until it is true; its last value
  offline true|false               from now on
  shot FILE                        a picture (PNG) of the whole page
  faults                           what the page wrote to the console, errors, and breaches of its policy, since `open`

An answer is the value, or {"error": "..."}. The program is spoken to over a pipe (fds 3 and 4), so there is no port.
"""
import base64
import json
import os
import subprocess
import sys
import time

PATIENCE_S = 60
OPTIONS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
]


class Browser:
    def __init__(self, program, profile):
        to_read, self.to = os.pipe()
        self.from_, from_write = os.pipe()
        environment = dict(os.environ, HOME=profile, XDG_CONFIG_HOME=profile, XDG_CACHE_HOME=profile, TZ="UTC")
        script = f'exec 3<&{to_read} 4>&{from_write} && exec "$@"'
        self.process = subprocess.Popen(["bash", "-c", script, "bash", program, f"--user-data-dir={profile}", *OPTIONS],
                                        pass_fds=(to_read, from_write), env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(f"{profile}/stderr", "wb"))
        os.close(to_read)
        os.close(from_write)
        self.last_id, self.pending, self.faults, self.loaded = 0, b"", [], None
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(domain + ".enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def message(self):
        while b"\0" not in self.pending:
            data = os.read(self.from_, 1 << 20)
            if not data:
                raise EOFError("the browser ended")
            self.pending += data
        text, self.pending = self.pending.split(b"\0", 1)
        return json.loads(text)

    def notice(self, method, params):
        if method == "Page.lifecycleEvent" and params["name"] == "load":
            self.loaded = params["loaderId"]
        elif method == "Runtime.consoleAPICalled":
            self.faults.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.faults.append(details["text"] + " " + details.get("exception", {}).get("description", ""))
        elif method == "Log.entryAdded":
            self.faults.append(params["entry"]["text"])
        elif method == "Audits.issueAdded":
            self.faults.append(json.dumps(params["issue"]))

    def call(self, method, **params):
        self.last_id += 1
        request = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while True:
            answer = self.message()
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return answer["result"]
            if "method" in answer:
                self.notice(answer["method"], answer["params"])

    def look(self, rest):
        width, height, scheme = rest.split()
        self.call("Emulation.setDeviceMetricsOverride", width=int(width), height=int(height), deviceScaleFactor=2,
                  mobile=int(width) < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return True

    def open(self, url):
        self.call("Page.navigate", url="about:blank")
        self.faults = []
        answer = self.call("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE_S
        while "errorText" not in answer and self.loaded != answer["loaderId"] and time.monotonic() < end:
            self.value("1")
        if self.loaded != answer["loaderId"]:
            raise RuntimeError(answer.get("errorText", "it does not load"))
        return True

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", "?"))
        return answer["result"].get("value")

    def wait(self, rest):
        seconds, expression = rest.split(" ", 1)
        end = time.monotonic() + float(seconds)
        while True:
            value = self.value(expression)
            if value or time.monotonic() >= end:
                return value
            time.sleep(0.05)

    def offline(self, rest):
        self.call("Network.emulateNetworkConditions", offline=rest == "true", latency=0, downloadThroughput=-1,
                  uploadThroughput=-1)
        return True

    def shot(self, file):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        with open(file, "wb") as out:
            out.write(base64.b64decode(picture["data"]))
        return True


def main():
    browser = Browser(sys.argv[1], sys.argv[2])
    try:
        for line in sys.stdin:
            verb, _, rest = line.strip().partition(" ")
            try:
                if verb == "faults":
                    browser.value("1")  # what is on its way comes before the answer
                    answer = browser.faults
                else:
                    answer = {"look": browser.look, "open": browser.open, "value": browser.value, "wait": browser.wait,
                              "offline": browser.offline, "shot": browser.shot}[verb](rest)
            except (RuntimeError, KeyError, ValueError) as error:
                answer = {"error": str(error)}
            print(json.dumps(answer), flush=True)
    finally:
        browser.process.terminate()
        browser.process.wait(10)


main()
