# SPDX-License-Identifier: Apache-2.0
"""Real engines as processes of their own, and what they say of themselves."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from waiting import eventually

ROOT = pathlib.Path(os.environ.get("PENSTOCK_ENGINES") or ".engines").resolve()
MODEL = "tiny"

# Nothing leaves the machine; one thread each, since two engines, a gateway and clients share it.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Count:
    """Tokens that an engine has counted since it started."""

    input: int
    output: int

    def __sub__(self, earlier: "Count") -> "Count":
        return Count(self.input - earlier.input, self.output - earlier.output)


@dataclass(frozen=True)
class Cache:
    """An engine's KV cache: the share that running sequences hold, and all it holds, in tokens."""

    share: float
    capacity: int


class Engine:
    """One engine on loopback, in its own process group; a subclass knows one kind of server."""

    # What the configuration calls this kind of server.
    kind: str
    # By when it has noticed that a client left, and by when it has started, in seconds.
    notices_within: float
    ready_within: float

    def __init__(self, name: str, capacity: int, arguments: list[str]):
        self.name = name
        # Tokens that its KV cache holds.
        self.capacity = capacity
        self.arguments = arguments
        self.port = _free_port()
        self.process: subprocess.Popen | None = None
        self.log = ROOT / "logs" / f"{name}.log"
        self.group_file = ROOT / "running" / name

    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    # Life.

    def start(self) -> "Engine":
        """Starts it and waits until it takes requests."""
        self.log.parent.mkdir(exist_ok=True)
        self.group_file.parent.mkdir(exist_ok=True)
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT / "models",
                env=os.environ | ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Whoever started this test run can still find the group if the run is killed.
        self.group_file.write_text(f"{self.process.pid}\n")
        try:
            eventually(self._is_ready, f"{self.name} is ready, see {self.log}", self.ready_within)
        except BaseException:
            self.kill()
            raise
        return self

    def _is_ready(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.log}")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def tell_to_end(self) -> None:
        """As a process manager does, which knows of the first process only."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Asks it to end, and ends it if it does not."""
        if self.process is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """Ends every process of it at once."""
        if self.process is None:
            return
        self._signal(signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        self.group_file.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    # What it says of itself.

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return answer.read().decode()

    def post(self, path: str, body: dict) -> tuple[int, dict]:
        """Asks the engine itself, without the gateway; the status and the JSON answer."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def events(self, path: str, body: dict) -> list[str]:
        """The data of each event of a stream, asked of the engine itself."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            json.dumps(body | {"stream": True}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            lines = answer.read().decode().splitlines()
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]

    def samples(self) -> dict[str, float]:
        """Each metric by its name; summed where there are several of it."""
        found: dict[str, float] = {}
        for line in self.get("/metrics").splitlines():
            if not line.startswith("#"):
                series, value = line.rsplit(" ", 1)
                name = series.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found

    def running(self) -> int:
        """Sequences that it works on, or has waiting."""
        raise NotImplementedError

    def count(self) -> Count:
        raise NotImplementedError

    def cache(self) -> Cache:
        raise NotImplementedError

    def wait_idle(self, within: float = 60.0) -> None:
        """Waits until nothing runs and nothing waits.

        On a busy machine one scrape takes up to two seconds: what it says is of when it was asked.
        """
        deadline = time.monotonic() + within
        asked_at = time.monotonic()
        while self.running() > 0:
            assert asked_at <= deadline, f"{self.name} is not idle within {within} s"
            time.sleep(0.02)
            asked_at = time.monotonic()


class VLLM(Engine):
    kind = "vllm"
    notices_within = 1.0
    ready_within = 600.0

    BLOCK = 128

    def __init__(
        self, name: str = "vllm", length: int = 8192, blocks: int = 128, more: tuple[str, ...] = ()
    ):
        sizes = {
            "--max-model-len": length,
            "--num-gpu-blocks-override": blocks,
            "--block-size": self.BLOCK,
            "--max-num-seqs": 8,
            "--max-num-batched-tokens": 512,
        }
        arguments = [text for pair in sizes.items() for text in map(str, pair)]
        super().__init__(name, blocks * self.BLOCK, [*arguments, *more])

    def command(self) -> list[str]:
        # The model by a relative name: it stands in answers.
        return [
            *(f"{ROOT}/vllm/bin/vllm", "serve", "tiny-qwen2", "--served-model-name", MODEL),
            *("--host", "127.0.0.1", "--port", str(self.port)),
            *("--dtype", "bfloat16", "--enforce-eager", "--enable-prefix-caching"),
            *("--enable-prompt-tokens-details", *self.arguments),
        ]

    def running(self) -> int:
        samples = self.samples()
        return int(samples["vllm:num_requests_running"] + samples["vllm:num_requests_waiting"])

    def count(self) -> Count:
        samples = self.samples()
        return Count(
            int(samples["vllm:prompt_tokens_total"]), int(samples["vllm:generation_tokens_total"])
        )

    def preemptions(self) -> int:
        return int(self.samples()["vllm:num_preemptions_total"])

    def cache(self) -> Cache:
        page = self.get("/metrics")
        [labels] = re.findall(r"^vllm:cache_config_info\{(.*)\} 1\.0$", page, re.MULTILINE)
        [usage] = re.findall(r"^vllm:kv_cache_usage_perc\{.*\} (.*)$", page, re.MULTILINE)
        configuration = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        blocks, size = int(configuration["num_gpu_blocks"]), int(configuration["block_size"])
        return Cache(float(usage), blocks * size)


class LlamaCpp(Engine):
    kind = "llamacpp"
    notices_within = 2.0
    ready_within = 60.0

    SLOTS = 4

    def __init__(
        self,
        name: str = "llamacpp",
        length: int = 8192,
        more: tuple[str, ...] = (),
        has_metrics: bool = True,
    ):
        capacity = self.SLOTS * length
        metrics = ["--metrics"] if has_metrics else []
        sizes = ["-c", str(capacity), "-np", str(self.SLOTS)]
        super().__init__(name, capacity, [*sizes, *metrics, *more])

    def command(self) -> list[str]:
        return [
            *(f"{ROOT}/llamacpp/build/bin/llama-server", "-m", "tiny-qwen2.gguf"),
            *("--alias", MODEL, "--host", "127.0.0.1", "--port", str(self.port), "--offline"),
            *("-t", "1", "--jinja", "--slots", *self.arguments),
        ]

    def running(self) -> int:
        samples = self.samples()
        return int(
            samples["llamacpp:requests_processing"] + samples["llamacpp:requests_deferred"]
        )

    def count(self) -> Count:
        samples = self.samples()
        return Count(
            int(
                samples["llamacpp:prompt_tokens_total"]
                + samples["llamacpp:prompt_tokens_cached_total"]
            ),
            int(samples["llamacpp:tokens_predicted_total"]),
        )

    def cache(self) -> Cache:
        slots = json.loads(self.get("/slots"))
        # An idle slot keeps its last prompt, and gives it up for the next one.
        used = sum(slot["n_prompt_tokens"] for slot in slots if slot["is_processing"])
        capacity = sum(slot["n_ctx"] for slot in slots)
        return Cache(used / capacity, capacity)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
