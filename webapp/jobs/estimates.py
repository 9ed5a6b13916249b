"""What a run will cost, going by what earlier runs took on this instance."""

from model.tracking.estimate import Estimate, Paces, Plan
from webapp.records import Job, Run
from webapp.settings import Settings


def estimate_run(settings: Settings, run: Run) -> Estimate:
    """Say about what a run costs once it starts; the same for the pages and for the API.

    run: as it is, or as `webapp.runs.prepare_run` makes it.
    """
    return Paces(settings.instance).estimate(plan_of(settings, run))


def expected_seconds(settings: Settings, work: Run | Job) -> float:
    """Say how many seconds work will about take once it starts."""
    return work.seconds if isinstance(work, Job) else estimate_run(settings, work).seconds


def plan_of(settings: Settings, run: Run) -> Plan:
    """Return what a run tracks or predicts."""
    size = (run.clip.height, run.clip.width)
    return Plan(run.method, run.weights, run.point_count, run.frames, size, settings.device)
