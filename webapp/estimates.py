"""What a run will cost, from what the last runs of its method took on this instance."""

from dataclasses import replace

from sqlalchemy import select

from model.tracking.estimate import Estimate, Plan, estimate
from webapp.backend import Backend
from webapp.records import Run, RunState

RECENT_RUNS = 5
"""An estimate looks at this many finished runs of the same method and weights."""


def estimate_run(backend: Backend, run: Run) -> Estimate:
    """Say about what a run costs once it starts; the same for the pages and for the API.

    run: as it is, or as `webapp.runs.prepare_run` makes it.
    """
    with backend.database.session() as session:
        recent = session.scalars(
            select(Run)
            .where(Run.method == run.method, Run.weights == run.weights, Run.state == RunState.DONE)
            .order_by(Run.created_at.desc())
            .limit(RECENT_RUNS)
        ).all()
    earlier = [
        (plan_of(done), (done.finished_at - done.started_at).total_seconds())
        for done in recent
        if done.started_at and done.finished_at
    ]
    found = estimate(plan_of(run), earlier, backend.settings.device)
    return replace(found, seconds=round(found.seconds, 2))


def plan_of(run: Run) -> Plan:
    """Return what a run tracks or predicts."""
    return Plan(run.method, run.weights, run.grid**2, run.frames, (run.clip.height, run.clip.width))
