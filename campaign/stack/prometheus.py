"""A private Prometheus: one-second scrapes, on the loopback, without its admin or reload routes."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
from ruamel.yaml import YAML

from campaign.identity import Identity, own_identity
from campaign.stack.errors import BadRulesError, ComponentFailedError
from campaign.stack.folders import hand_over, private_folder
from campaign.stack.network import LOOPBACK
from campaign.stack.probes import REQUEST_TIMEOUT, answers
from campaign.stack.processes import ProcessSpec, run_as
from campaign.stack.service import ServiceSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from campaign.stack.programs import PrometheusPrograms

SCRAPE_INTERVAL = "1s"
SCRAPE_TIMEOUT = "900ms"
#: Prometheus looks for new targets every 5 s, then scrapes within one interval: the first sample
#: comes up to 6 s after the start, long after `/-/ready`; the rest is for a busy machine.
FIRST_SAMPLE_TIMEOUT_S = 20.0
_POLL_S = 0.1
#: of samples, on the disk: the app says how many series it has
MOST_KEPT = "4GB"
#: what only the harness and our rules may be the source of
OUR_NAMES = "(ratchet|loadgen)[:_].*|ALERTS.*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeJob:
    """One target of Prometheus; its name becomes the label `job`."""

    name: str
    port: int
    path: str = "/metrics"
    #: the port does not have the metrics: it says at this path where they are (HTTP discovery)
    discovery: str | None = None
    #: written by those who are judged: neither in our names nor without end
    is_judged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusServer:
    """A Prometheus whose configuration, rules and samples lie in one private folder."""

    programs: PrometheusPrograms
    folder: Path
    port: int
    identity: Identity
    jobs: tuple[ScrapeJob, ...]
    #: recording and alert rules; copied, so that the server's user needs no way to the originals
    rule_files: tuple[Path, ...] = ()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def configure(self) -> None:
        """Write the folder and have promtool check it.

        Raises:
            BadRulesError: with promtool's words, which name the file.
        """
        private_folder(self.folder, self.identity)
        rules = [await self._install_rules(f, i) for i, f in enumerate(self.rule_files)]
        self._write_configuration(rules)
        await self._check("config", self._config_file)

    def service(self, *, log_file: Path) -> ServiceSpec:
        """Ready means that it answers queries; see `wait_for_samples` for the first data."""
        process = ProcessSpec(
            name="prometheus",
            argv=(
                str(self.programs.prometheus),
                f"--config.file={self._config_file}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--storage.tsdb.retention.size={MOST_KEPT}",
                f"--web.listen-address={LOOPBACK}:{self.port}",
            ),
            log_file=log_file,
            cwd=self.folder,
            identity=self.identity,
        )
        return ServiceSpec(process=process, is_ready=self._answers, ready_timeout_s=60.0)

    async def wait_for_samples(
        self, jobs: Collection[str], *, since: float, timeout_s: float = FIRST_SAMPLE_TIMEOUT_S
    ) -> None:
        """See the function of that name."""
        await wait_for_samples(self.url, jobs, since=since, timeout_s=timeout_s)

    @property
    def _config_file(self) -> Path:
        return self.folder / "prometheus.yml"

    async def _install_rules(self, file: Path, index: int) -> Path:
        await self._check("rules", file)
        installed = self.folder / f"rules-{index}-{file.name}"
        shutil.copyfile(file, installed)
        return hand_over(installed, self.identity)

    def _write_configuration(self, rules: Sequence[Path]) -> None:
        with self._config_file.open("w") as file:
            YAML().dump(configuration(self.jobs, rules), file)
        hand_over(self._config_file, self.identity)

    async def _check(self, what: str, file: Path) -> None:
        # As ourselves: the originals need not be readable by anybody else.
        command = [str(self.programs.promtool), "check", what, str(file)]
        try:
            await run_as(own_identity(), command, cwd=self.folder)
        except ComponentFailedError as exc:
            problem = "\n  ".join(line.strip() for line in exc.log_tail if line.strip())
            raise BadRulesError(f"{file} is not accepted by promtool:\n  {problem}") from exc

    async def _answers(self) -> bool:
        return await answers(f"{self.url}/-/ready")


async def wait_for_samples(
    url: str,
    jobs: Collection[str],
    *,
    since: float,
    timeout_s: float = FIRST_SAMPLE_TIMEOUT_S,
) -> None:
    """Wait until each of `jobs` was scraped with success after `since` (epoch seconds).

    A job that is named n times has n targets. A database of samples that was there before still
    answers with those of its former life.

    Raises:
        ComponentFailedError: one of them was not, in `timeout_s`.
    """
    query = f"up == 1 and timestamp(up) > {since:.3f}"
    missing = wanted = Counter([*jobs])  # the names, also of a mapping
    try:
        async with (
            asyncio.timeout(timeout_s),
            aiohttp.ClientSession(timeout=REQUEST_TIMEOUT) as session,
        ):
            while missing := wanted - await _jobs(session, url, query):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_S)
    except TimeoutError as exc:
        reason = f"has no sample of {', '.join(sorted(missing))} after {timeout_s:g} s"
        raise ComponentFailedError("prometheus", reason) from exc


async def _jobs(session: aiohttp.ClientSession, url: str, query: str) -> Counter[str]:
    """The jobs of the series among the answers."""
    try:
        async with session.get(f"{url}/api/v1/query", params={"query": query}) as reply:
            answer = await reply.json()
    except (aiohttp.ClientError, TimeoutError):
        return Counter()
    return Counter(series["metric"]["job"] for series in answer.get("data", {}).get("result", ()))


def configuration(jobs: Sequence[ScrapeJob], rules: Sequence[Path]) -> dict[str, object]:
    """The contents of prometheus.yml; understood by 2.40 and by 3.x."""
    return {
        "global": {
            "scrape_interval": SCRAPE_INTERVAL,
            "scrape_timeout": SCRAPE_TIMEOUT,
            "evaluation_interval": SCRAPE_INTERVAL,
        },
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [
            {"job_name": job.name, "metrics_path": job.path, **_targets(job), **_bounds(job)}
            for job in jobs
        ],
    }


def _bounds(job: ScrapeJob) -> Mapping[str, object]:
    """What is refused of a page that is not ours.

    A series of ours that somebody else exposes would stand beside ours: an invariant that is
    recorded twice is UNKNOWN, and a generator that seems starved spoils a trial that was lost.
    """
    if not job.is_judged:
        return {}
    return {
        "sample_limit": 5000,
        "body_size_limit": "4MB",
        "metric_relabel_configs": [
            {"source_labels": ["__name__"], "regex": OUR_NAMES, "action": "drop"}
        ],
    }


def _targets(job: ScrapeJob) -> Mapping[str, object]:
    where = f"{LOOPBACK}:{job.port}"
    if job.discovery is None:
        return {"static_configs": [{"targets": [where]}]}
    url = f"http://{where}{job.discovery}"
    return {"http_sd_configs": [{"url": url, "refresh_interval": SCRAPE_INTERVAL}]}
