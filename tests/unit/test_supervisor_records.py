from pathlib import Path

from campaign.supervisor.records import DeploymentRecords
from campaign.supervisor.wire import DeploymentRequest, DeploymentResult

REQUEST = DeploymentRequest(id="t1-d1", revision="abc", source="/src")
RESULT = DeploymentResult(
    id="t1-d1",
    revision="abc",
    ok=True,
    reason=None,
    log_tail=("a line",),
    drained_first=False,
    duration_s=1.5,
    started_at=10.0,
    finished_at=11.5,
    source_hash="f00",
)


def test_a_finished_deployment_is_known_to_the_next_supervisor(tmp_path: Path) -> None:
    records = DeploymentRecords(tmp_path / "file")
    records.begin(REQUEST, at=10.0)
    records.finish(RESULT)
    again = DeploymentRecords(tmp_path / "file")
    assert again.results() == (RESULT,)
    assert again.request("t1-d1") == REQUEST


def test_a_deployment_that_began_and_never_finished_was_interrupted(tmp_path: Path) -> None:
    DeploymentRecords(tmp_path / "file").begin(REQUEST, at=10.0)
    for _ in range(2):
        (result,) = DeploymentRecords(tmp_path / "file").results()
        assert (result.ok, result.reason, result.started_at) == (False, "interrupted", 10.0)


def test_a_line_cut_off_by_a_crash_is_dropped_and_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file"
    records = DeploymentRecords(path)
    records.begin(REQUEST, at=10.0)
    path.write_bytes(path.read_bytes() + b'{"finished": {"id": "t1-')
    DeploymentRecords(path).finish(RESULT)
    assert DeploymentRecords(path).results()[-1] == RESULT


def test_a_first_line_cut_off_leaves_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"begun"')
    assert DeploymentRecords(path).results() == ()
    assert path.read_bytes() == b""
