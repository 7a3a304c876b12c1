"""Firefox and WebKit for the tests of the boxes, driven by what comes with them.

Firefox listens to Marionette, its own protocol; WebKitGTK has a server of the WebDriver protocol
(Debian: ``firefox-esr``; ``webkit2gtk-driver`` with ``xvfb``). So neither needs a package of
Python. A browser has ``open(address)``, ``run(script, *arguments)`` and ``close()``; a script is
the body of a function, and a promise that it returns is waited for.
"""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

SECONDS = 240  # for a page, or a script
PREFERENCES = {
    "marionette.port": 0,
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


def firefox_binary() -> str | None:
    """Where Firefox is, if it is installed."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


def webkit_binaries() -> tuple[str, str, str] | None:
    """WebKit's server, its small browser and a screen in memory, if all are installed."""
    driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    browsers = sorted(Path("/usr").glob("lib*/*/webkit2gtk-4*/MiniBrowser"))
    return (driver, str(browsers[-1]), screen) if driver and browsers and screen else None


def wait_until(find, what: str, seconds: float = 60):
    """What a function returns as soon as this is not None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := find()) is not None:
            return found
        time.sleep(0.1)
    raise TimeoutError(f"{what} did not start within {seconds} seconds")


class Firefox:
    """Firefox without a window, with a profile of its own."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        folder = Path(self.profile.name)
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (folder / "user.js").write_text("\n".join(lines))
        options = ["--headless", "--marionette", "--no-remote", "--profile", str(folder)]
        self.process = subprocess.Popen(
            [firefox_binary(), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.profile.name},
        )
        try:
            port_file = folder / "MarionetteActivePort"
            port = wait_until(
                lambda: int(port_file.read_text() or 0) or None if port_file.exists() else None,
                "Firefox",
            )
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
            self.stream = self.socket.makefile("rb")
            self._receive()  # its greeting
            self.number = 0
            self._command("WebDriver:NewSession", {"capabilities": {}})
            limits = {"script": 1000 * SECONDS, "pageLoad": 1000 * SECONDS}
            self._command("WebDriver:SetTimeouts", limits)
        except BaseException:
            self._end()
            raise

    def _receive(self):
        length = b""
        while not length.endswith(b":"):
            length += self.stream.read(1) or b"0:"  # it has ended
        return json.loads(self.stream.read(int(length[:-1])))

    def _command(self, name, parameters):
        self.number += 1
        message = json.dumps([0, self.number, name, parameters]).encode()
        self.socket.sendall(str(len(message)).encode() + b":" + message)
        _, _, error, result = self._receive()
        assert error is None, error
        return result

    def open(self, address):
        self._command("WebDriver:Navigate", {"url": address})

    def run(self, script, *arguments):
        parameters = {"script": script, "args": arguments, "sandbox": None, "newSandbox": True}
        return self._command("WebDriver:ExecuteScript", parameters)["value"]

    def _end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.profile.cleanup()

    def close(self):
        self._command("Marionette:Quit", {"flags": ["eForceQuit"]})
        self.stream.close()
        self.socket.close()
        self._end()


class WebKit:
    """WebKitGTK in its small browser, on a screen in memory."""

    def __init__(self):
        driver, browser, screen = webkit_binaries()
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        read, write = os.pipe()
        options = ["-displayfd", str(write), "-nolisten", "tcp", "-screen", "0", "1200x1000x24"]
        self.processes = [subprocess.Popen([screen, *options], pass_fds=[write], **quiet)]
        os.close(write)
        with os.fdopen(read) as stream:
            display = stream.readline().strip()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**os.environ, "DISPLAY": f":{display}", "HOME": self.home.name}
        environment |= {"GDK_BACKEND": "x11", "LIBGL_ALWAYS_SOFTWARE": "1", "NO_AT_BRIDGE": "1"}
        environment |= {"XDG_RUNTIME_DIR": self.home.name}
        self.processes.append(
            subprocess.Popen([driver, f"--port={port}"], env=environment, **quiet)
        )
        self.address = f"http://127.0.0.1:{port}"
        try:
            wait_until(self._status, "WebKitWebDriver")
            options = {"binary": browser, "args": ["--automation"]}
            wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
            session = self._request("POST", "/session", wanted)["sessionId"]
            self.address += f"/session/{session}"
            limits = {"script": 1000 * SECONDS, "pageLoad": 1000 * SECONDS}
            self._request("POST", "/timeouts", limits)
        except BaseException:
            self._end()
            raise

    def _status(self):
        try:
            return self._request("GET", "/status")
        except OSError:
            return None

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:2000]) from error

    def open(self, address):
        self._request("POST", "/url", {"url": address})

    def run(self, script, *arguments):
        return self._request("POST", "/execute/sync", {"script": script, "args": arguments})

    def _end(self):
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        self.home.cleanup()

    def close(self):
        self._request("DELETE", "")
        self._end()
