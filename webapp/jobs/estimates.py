"""What a run will cost, going by what earlier runs took on this instance."""

from collections.abc import Sequence

from model.tracking.estimate import Estimate, Paces, Plan
from webapp.core.settings import Settings
from webapp.rows.records import Job, Run


def estimate_run(settings: Settings, run: Run) -> Estimate:
    """Say about what a run costs once it starts; the same for the pages and for the API.

    run: as it is, or as `webapp.actions.runs.prepare_run` makes it.
    """
    return Paces(settings.instance).estimate(plan_of(settings, run))


def expected_seconds(settings: Settings, works: Sequence[Run | Job]) -> dict[str, float]:
    """Say how many seconds each of several runs and jobs will about take once it starts, by its id."""
    runs = [work for work in works if isinstance(work, Run)]
    costs = Paces(settings.instance).estimates(plan_of(settings, run) for run in runs)
    jobs = {work.id: work.seconds for work in works if isinstance(work, Job)}
    return jobs | {run.id: cost.seconds for run, cost in zip(runs, costs, strict=True)}


def plan_of(settings: Settings, run: Run) -> Plan:
    """Return what a run tracks or predicts."""
    size = (run.clip.height, run.clip.width)
    return Plan(run.method, run.weights, run.point_count, run.frames, size, settings.device)
