# SPDX-License-Identifier: Apache-2.0
"""nginx and HAProxy as processes of the test's own, each before one upstream."""

import pathlib
import re
import shutil
import socket
import subprocess

from waiting import eventually

NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_header_timeout {patience}s;
    client_body_timeout {patience}s;
    lingering_timeout 1s;
    server {{
        listen unix:{socket};
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    option http-buffer-request
    option http-server-close
    http-reuse never
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout http-request {patience}s
frontend front
    bind unix@{socket}
    default_backend back
backend back
    server upstream {upstream}
"""


class ReferenceProxy:
    """One of the two, with its own defaults wherever they concern how requests are read."""

    def __init__(self, name: str, folder: pathlib.Path, upstream: str, patience: int):
        self.name = name
        self.address = str(folder / f"{name}.sock")
        text = {"nginx": NGINX, "haproxy": HAPROXY}[name]
        file = folder / f"{name}.conf"
        file.write_text(
            text.format(folder=folder, socket=self.address, upstream=upstream, patience=patience)
        )
        command = {"nginx": ["-c", file, "-p", folder], "haproxy": ["-db", "-q", "-f", file]}[name]
        self.process = subprocess.Popen(
            [executable(name), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, f"{name} listens")

    def _answers(self) -> bool:
        assert self.process.poll() is None, f"{self.name} ended: {self.process.returncode}"
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.address) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def executable(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def version(name: str) -> str:
    """As the executable tells it, such as 1.22.1."""
    told = subprocess.run([executable(name), "-v"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr)
    assert found, told
    return found[0]
