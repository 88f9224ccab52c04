"""What runs next: one pure function of the files, the budget, the workers and the history."""

from batch.schedule.order import POLICIES, Policy, order_key
from batch.schedule.plan import explain, schedule
from batch.schedule.recommend import Recommendation, recommend_workers

__all__ = [
    "POLICIES",
    "Policy",
    "Recommendation",
    "explain",
    "order_key",
    "recommend_workers",
    "schedule",
]
